"""How whoever was turned away goes on: after an approval, or by trying again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.admin_flow import (
    DIRECTORY,
    OTHER_DIRECTORY,
    approve,
    ask,
    deliveries,
    go_on,
    listen,
    refused,
    turn_away,
    use_microsoft,
    waiting,
)
from tests.api.conftest import Tenant
from tests.api.consent_flow import HOME, RULES, open_link, told, users
from tests.api.stand_ins import Consent


@pytest.fixture(autouse=True)
def directories(tenant: Tenant) -> None:
    tenant.front.microsoft.directories.update({"acme.test": DIRECTORY, "other.test": OTHER_DIRECTORY})


def ada(**changes: Any) -> Consent:
    values: dict[str, Any] = {"subject": "ada", "email": "ada@acme.test", "scopes": frozenset({"calendar"})}
    return Consent(**(values | changes))


def test_after_the_approval_each_is_told_with_a_working_link(tenant: Tenant) -> None:
    listen(tenant)
    turn_away(tenant)
    turn_away(tenant, customer_user_id="customer-2", login_hint="eve@other.test")
    turn_away(tenant, customer_user_id="customer-3", login_hint=None)
    (link,) = {user["admin_consent_url"] for user in waiting(tenant) if user["customer_user_id"] == "customer-1"}
    assert approve(tenant, link).status_code == 200
    approved = {data["customer_user_id"]: data for data in deliveries(tenant, "calendar_user.admin_approved")}
    # Where the directory is not known it may be the one.
    assert approved.keys() == {"customer-1", "customer-3"}
    ready = approved["customer-1"]
    assert (ready["state_detail"], ready["sequence"]) == ("admin_approved", 2)
    assert "admin_consent_url" not in ready
    answer = go_on(tenant, ready["connect_url"], ada())
    assert (answer.status_code, "is connected" in answer.text) == (200, True)
    (user,) = users(tenant)
    assert (user.id, user.customer_user_id, user.subject) == (ready["id"], "customer-1", "ada")
    (connected,) = deliveries(tenant, "calendar_user.connected")
    assert connected["sequence"] > ready["sequence"]
    assert {user["customer_user_id"] for user in waiting(tenant)} == {"customer-2", "customer-3"}


def test_a_link_made_by_request_lets_those_who_wait_go_on_too(tenant: Tenant) -> None:
    listen(tenant)
    turn_away(tenant)
    approve(tenant, ask(tenant))
    assert len(deliveries(tenant, "calendar_user.admin_approved")) == 1


def test_an_approval_of_another_client_releases_nobody(tenant: Tenant) -> None:
    listen(tenant)
    turn_away(tenant)
    own = {"client_id": "own-client", "client_secret": "own-secret"}
    assert tenant.put("/oauth-apps/microsoft", json=own).status_code == 200
    url = ask(tenant)
    tenant.front.orchestrator.exchange = lambda tenant_id, exchange_id: None
    approve(tenant, url)
    assert deliveries(tenant, "calendar_user.admin_approved") == []


def test_an_approval_reaches_no_other_tenant(new_tenant: Callable[[], Tenant]) -> None:
    owner, other = new_tenant(), new_tenant()
    for each in (owner, other):
        listen(each)
        turn_away(each)
    approve(owner, ask(owner))
    assert len(deliveries(owner, "calendar_user.admin_approved")) == 1
    assert deliveries(other, "calendar_user.admin_approved") == []


def test_those_who_lost_access_in_that_directory_are_told_too(tenant: Tenant) -> None:
    listen(tenant)
    lost = tenant.add_user(provider="microsoft", subject=f"{DIRECTORY}:oid-1", state="needs_reconnect")
    tenant.add_user(provider="microsoft", subject=f"{OTHER_DIRECTORY}:oid-2", state="needs_reconnect")
    tenant.add_user(provider="microsoft", subject=f"{DIRECTORY}:oid-3", state="active")
    approve(tenant, ask(tenant))
    (data,) = deliveries(tenant, "calendar_user.admin_approved")
    assert (data["id"], data["sequence"], "/reconnect/" in data["reconnect_url"]) == (lost.id, 2, True)


def test_a_reconnection_that_is_refused_changes_nothing(tenant: Tenant) -> None:
    use_microsoft(tenant)
    user = tenant.add_user(provider="microsoft", subject=f"{DIRECTORY}:oid-1", state="needs_reconnect")
    made = tenant.post(f"/calendar/users/{user.id}/reconnect").json()
    answer = refused(tenant, made["authorization_url"])
    assert "/v1/calendar/admin-consent/" in answer.text
    assert (waiting(tenant), users(tenant)[0].state) == ([], "needs_reconnect")


def test_being_turned_away_after_the_approval_is_told_with_another_link(tenant: Tenant) -> None:
    listen(tenant)
    turn_away(tenant)
    (before,) = waiting(tenant)
    approve(tenant, before["admin_consent_url"])
    refused(tenant, before["connect_url"])
    (after,) = waiting(tenant)
    assert after["state_detail"] == "awaiting_admin"
    assert after["admin_consent_url"] not in (None, before["admin_consent_url"])
    assert sorted(data["sequence"] for data in deliveries(tenant, "calendar_user.awaiting_admin")) == [1, 3]


def test_the_connect_url_works_without_an_approval_of_ours(tenant: Tenant) -> None:
    turn_away(tenant)
    (user,) = waiting(tenant)
    go_on(tenant, user["connect_url"], ada())
    assert [row.id for row in users(tenant)] == [user["id"]]


def test_the_connect_url_ends_with_the_connection(tenant: Tenant) -> None:
    turn_away(tenant)
    (user,) = waiting(tenant)
    go_on(tenant, user["connect_url"], ada())
    assert open_link(tenant.front.browser(), user["connect_url"]).status_code == 400


def test_what_was_asked_for_at_first_is_kept_for_the_connection(tenant: Tenant) -> None:
    turn_away(tenant, redirect_url=HOME, attributes={"team": "sales"}, rules=RULES)
    (user,) = waiting(tenant)
    answer = told(go_on(tenant, user["connect_url"], ada()))
    assert (answer["status"], answer["meetbot_calendar_user_id"]) == ("connected", user["id"])
    assert users(tenant)[0].attributes == {"team": "sales"}
    assert len(tenant.get(f"/calendar/users/{user['id']}/rules").json()["rules"]) == 1


def test_a_new_connect_of_the_same_account_takes_the_id_over(tenant: Tenant) -> None:
    turn_away(tenant)
    (user,) = waiting(tenant)
    made = tenant.post(
        "/calendar/connect/microsoft", json={"customer_user_id": "customer-1", "attributes": {"a": "b"}}
    ).json()
    go_on(tenant, made["authorization_url"], ada())
    assert [(row.id, row.attributes) for row in users(tenant)] == [(user["id"], {"a": "b"})]
    assert waiting(tenant) == []


def test_a_connect_of_another_account_leaves_the_one_that_waits(tenant: Tenant) -> None:
    turn_away(tenant)
    made = tenant.post("/calendar/connect/microsoft", json={"customer_user_id": "customer-1"}).json()
    go_on(tenant, made["authorization_url"], ada(subject="other", email="ada@home.test"))
    assert len(users(tenant)) == len(waiting(tenant)) == 1


def test_an_account_that_is_connected_already_keeps_its_own_id(tenant: Tenant) -> None:
    listen(tenant)
    use_microsoft(tenant)
    known = tenant.add_user(provider="microsoft", subject="ada", email="ada@acme.test")
    turn_away(tenant)
    (user,) = waiting(tenant)
    answer = go_on(tenant, user["connect_url"], ada())
    assert "is connected" in answer.text
    assert ([row.id for row in users(tenant)], waiting(tenant)) == ([known.id], [])
    (gone,) = deliveries(tenant, "calendar_user.disconnected")
    assert (gone["id"], gone["sequence"]) == (user["id"], 2)
