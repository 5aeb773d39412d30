"""Whoever is turned away until an administrator agrees: kept, shown, told, erased."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from sqlmodel import select
from structlog.testing import capture_logs

from meetbot.errors import ReconnectRequired, RetryLater
from meetbot.storage.housekeeping import delete_expired
from meetbot.storage.tables import WaitingUser
from tests.api.admin_flow import (
    DIRECTORY,
    OTHER_DIRECTORY,
    back,
    deliveries,
    go_on,
    listen,
    query_of,
    refused,
    turn_away,
    use_microsoft,
    waiting,
)
from tests.api.conftest import Tenant
from tests.api.consent_flow import HOME, open_link, to_provider, told, users
from tests.api.stand_ins import Consent


@pytest.fixture(autouse=True)
def directories(tenant: Tenant) -> None:
    tenant.front.microsoft.directories.update({"acme.test": DIRECTORY, "other.test": OTHER_DIRECTORY})


def ada(**changes: Any) -> Consent:
    values: dict[str, Any] = {"subject": "ada", "email": "ada@acme.test", "scopes": frozenset({"calendar"})}
    return Consent(**(values | changes))


def test_a_refused_connect_is_kept_as_a_calendar_user_that_waits(tenant: Tenant) -> None:
    answer = told(turn_away(tenant, redirect_url=HOME, attributes={"team": "sales"}))
    assert answer == {
        "tab": "1",
        "status": "error",
        "error": "admin_consent_required",
        "customer_user_id": "customer-1",
    }
    (user,) = waiting(tenant)
    assert user["id"].startswith("cu_")
    assert (user["state"], user["state_detail"], user["email"]) == ("connecting", "awaiting_admin", "ada@acme.test")
    assert (user["attributes"], user["scopes"], user["last_synced_at"]) == ({"team": "sales"}, [], None)
    assert "/v1/calendar/continue/" in user["connect_url"]
    assert "/v1/calendar/admin-consent/" in user["admin_consent_url"]
    left = datetime.fromisoformat(user["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=29) < left <= timedelta(days=30)
    assert tenant.get(f"/calendar/users/{user['id']}").json() == user


def test_no_workflow_runs_for_who_waits(tenant: Tenant) -> None:
    turn_away(tenant)
    orchestrator = tenant.front.orchestrator
    assert (orchestrator.started, orchestrator.signals, users(tenant)) == ([], [], [])


def test_the_page_shows_the_link_to_forward_and_what_it_asks_for(tenant: Tenant) -> None:
    answer = turn_away(tenant)
    (user,) = waiting(tenant)
    text = unescape(answer.text)
    assert answer.status_code == 200
    for shown in (user["admin_consent_url"], "our-client", "Calendars.Read", "offline_access"):
        assert shown in text
    assert "<textarea" in answer.text


def test_the_page_of_an_access_denied_shows_a_link_too(tenant: Tenant) -> None:
    use_microsoft(tenant)
    made = tenant.post("/calendar/connect/microsoft", json={"customer_user_id": "c"}).json()
    browser = tenant.front.browser()
    state = query_of(to_provider(browser, made["authorization_url"]))["state"]
    answer = back(browser, state=state, error="access_denied", error_subcode="cancel")
    assert "/v1/calendar/admin-consent/" in answer.text
    assert waiting(tenant) == []


@pytest.mark.parametrize("error", ["admin_policy_enforced", "access_not_configured"])
def test_googles_refusals_say_what_the_administrator_must_allow(tenant: Tenant, error: str) -> None:
    made = tenant.post("/calendar/connect/google", json={"customer_user_id": "c"}).json()
    browser = tenant.front.browser()
    state = query_of(to_provider(browser, made["authorization_url"]))["state"]
    answer = browser.get("/v1/calendar/callback/google", params={"state": state, "error": error})
    text = unescape(answer.text)
    assert all(word in text for word in ("API controls", "App access control", "admin_consent_required", "\nclient\n"))
    (user,) = waiting(tenant)
    assert (user["provider"], user["state_detail"]) == ("google", "awaiting_admin")
    assert "admin_consent_url" not in user
    assert told_to_google(tenant, user["connect_url"]) == "connected"


def told_to_google(tenant: Tenant, url: str) -> str:
    browser = tenant.front.browser()
    parameters = tenant.front.google.consent(to_provider(browser, url))
    answer = browser.get("/v1/calendar/callback/google", params=parameters)
    return "connected" if "is connected" in answer.text else answer.text


def test_the_tenant_is_told_who_waits(tenant: Tenant) -> None:
    listen(tenant)
    turn_away(tenant)
    (data,) = deliveries(tenant, "calendar_user.awaiting_admin")
    (user,) = waiting(tenant)
    assert {name: value for name, value in data.items() if name != "sequence"} == user


def test_a_refusal_at_the_token_endpoint_waits_too(tenant: Tenant) -> None:
    use_microsoft(tenant)
    made = tenant.post("/calendar/connect/microsoft", json={"customer_user_id": "c", "redirect_url": HOME}).json()
    browser = tenant.front.browser()
    parameters = tenant.front.microsoft.consent(to_provider(browser, made["authorization_url"]))
    tenant.front.microsoft.failure = ReconnectRequired("admin_consent_required", "no")
    assert told(back(browser, **parameters))["error"] == "admin_consent_required"
    assert len(waiting(tenant)) == 1


def test_trying_again_keeps_the_id_and_the_links(tenant: Tenant) -> None:
    listen(tenant)
    turn_away(tenant)
    (before,) = waiting(tenant)
    turn_away(tenant, login_hint="Ada@Acme.test")
    refused(tenant, before["connect_url"])
    (after,) = waiting(tenant)
    assert [after[name] for name in ("id", "connect_url", "admin_consent_url")] == [
        before[name] for name in ("id", "connect_url", "admin_consent_url")
    ]
    assert len(deliveries(tenant, "calendar_user.awaiting_admin")) == 1


def test_a_new_connect_says_anew_what_is_to_be_connected(tenant: Tenant) -> None:
    turn_away(tenant, attributes={"team": "sales"})
    turn_away(tenant, attributes={"team": "support"}, redirect_url=HOME)
    (user,) = waiting(tenant)
    assert user["attributes"] == {"team": "support"}
    assert told(refused(tenant, user["connect_url"]))["error"] == "admin_consent_required"


def test_two_accounts_of_one_person_wait_apart(tenant: Tenant) -> None:
    turn_away(tenant)
    turn_away(tenant, login_hint="ada@other.test")
    assert len({user["id"] for user in waiting(tenant)}) == 2


def test_people_of_one_directory_forward_the_same_link(tenant: Tenant) -> None:
    turn_away(tenant)
    turn_away(tenant, customer_user_id="customer-2", login_hint="ben@acme.test")
    turn_away(tenant, customer_user_id="customer-3", login_hint="eve@other.test")
    links = {user["customer_user_id"]: user["admin_consent_url"] for user in waiting(tenant)}
    assert links["customer-1"] == links["customer-2"] != links["customer-3"]


def test_people_of_unknown_directories_share_no_link(tenant: Tenant) -> None:
    turn_away(tenant, login_hint=None)
    turn_away(tenant, customer_user_id="customer-2", login_hint=None)
    assert len({user["admin_consent_url"] for user in waiting(tenant)}) == 2


def test_a_directory_that_cannot_be_looked_up_keeps_nobody_from_waiting(tenant: Tenant) -> None:
    use_microsoft(tenant)
    made = tenant.post(
        "/calendar/connect/microsoft", json={"customer_user_id": "c", "login_hint": "ada@acme.test"}
    ).json()
    tenant.front.microsoft.failure = RetryLater("timeout", "stands still")
    refused(tenant, made["authorization_url"])
    assert len(waiting(tenant)) == 1


def test_a_fresh_link_can_be_asked_for(tenant: Tenant) -> None:
    turn_away(tenant)
    (user,) = waiting(tenant)
    made = tenant.post(f"/calendar/users/{user['id']}/reconnect", json={"redirect_url": HOME})
    assert made.status_code == 201
    assert told(go_on(tenant, made.json()["authorization_url"], ada()))["meetbot_calendar_user_id"] == user["id"]


def test_what_takes_a_connected_calendar_answers_409(tenant: Tenant) -> None:
    turn_away(tenant)
    (user,) = waiting(tenant)
    path = f"/calendar/users/{user['id']}"
    for answer in (tenant.post(f"{path}/sync"), tenant.request("PATCH", path, json={"attributes": {"a": "b"}})):
        assert (answer.status_code, answer.json()["code"]) == (409, "calendar_user_not_connected")


def test_the_listing_filters_and_pages_over_both_kinds(tenant: Tenant) -> None:
    active = [tenant.add_user(customer_user_id="x").id for _ in range(2)]
    turn_away(tenant)
    turn_away(tenant, customer_user_id="customer-2", login_hint="ben@acme.test")
    active.append(tenant.add_user(customer_user_id="x").id)
    seen, cursor = [], ""
    for _ in range(5):
        page = tenant.get(f"/calendar/users?limit=1{cursor}").json()
        seen += [user["id"] for user in page["data"]]
        cursor = f"&cursor={page['next_cursor']}"
    ids = [user["id"] for user in waiting(tenant)]
    assert (seen, page["next_cursor"]) == ([*active[:2], *ids, active[2]], None)
    assert [user["id"] for user in tenant.get("/calendar/users?customer_user_id=customer-2").json()["data"]] == ids[1:]
    assert ids[0] not in str(tenant.get("/calendar/users?state=active").json())
    assert ids[0] not in str(tenant.get("/calendar/users?provider=google").json())


def test_who_waits_is_erased_at_once_with_a_certificate(tenant: Tenant) -> None:
    listen(tenant)
    turn_away(tenant)
    (user,) = waiting(tenant)
    path = f"/calendar/users/{user['id']}"
    first = tenant.delete(path)
    assert first.status_code == 202
    certificate = tenant.get(f"/erasures/{first.json()['erasure_id']}").json()
    assert (certificate["state"], certificate["deleted"]["waiting_user"]) == ("completed", 1)
    assert tenant.get(path).status_code == 404
    assert open_link(tenant.front.browser(), user["connect_url"]).status_code == 400
    assert tenant.delete(path).json() == first.json()
    assert tenant.front.orchestrator.erasures == []
    (gone,) = deliveries(tenant)
    assert (gone["id"], gone["state"]) == (user["id"], "disconnected")
    assert "acme.test" not in str(gone)


def test_an_older_wish_to_connect_brings_nobody_back_after_the_erasure(tenant: Tenant) -> None:
    turn_away(tenant)
    (user,) = waiting(tenant)
    browser = tenant.front.browser()
    state = query_of(to_provider(browser, user["connect_url"]))["state"]
    tenant.delete(f"/calendar/users/{user['id']}")
    assert back(browser, state=state, error="access_denied", error_description="AADSTS90094").status_code == 400
    assert waiting(tenant) == []


def test_after_thirty_days_nobody_waits_and_the_row_goes(tenant: Tenant) -> None:
    turn_away(tenant)
    (user,) = waiting(tenant)
    with tenant.front.database.transaction(tenant.id) as session:
        row = session.exec(select(WaitingUser)).one()
        row.expires_at = datetime.now(UTC) - timedelta(seconds=1)
        session.add(row)
    assert tenant.get(f"/calendar/users/{user['id']}").status_code == 404
    assert waiting(tenant) == []
    assert open_link(tenant.front.browser(), user["connect_url"]).status_code == 400
    assert delete_expired(tenant.front.database)["waiting_user"] >= 1
    with tenant.front.database.transaction(tenant.id) as session:
        assert session.exec(select(WaitingUser)).all() == []


def test_another_tenant_sees_nobody_who_waits(new_tenant: Callable[[], Tenant]) -> None:
    owner, stranger = new_tenant(), new_tenant()
    turn_away(owner)
    (user,) = waiting(owner)
    path = f"/calendar/users/{user['id']}"
    answers = [
        stranger.get(path),
        stranger.delete(path),
        stranger.post(f"{path}/reconnect"),
        stranger.post(f"{path}/sync"),
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert (waiting(stranger), len(waiting(owner))) == ([], 1)


def test_a_connect_url_can_be_opened_only_so_often_at_once(tenant: Tenant) -> None:
    turn_away(tenant)
    (user,) = waiting(tenant)
    statuses = [open_link(tenant.front.browser(), user["connect_url"]).status_code for _ in range(11)]
    assert statuses == [302] * 10 + [429]


def test_no_address_and_no_words_of_the_provider_get_into_the_log(tenant: Tenant) -> None:
    with capture_logs() as logs:
        turn_away(tenant, login_hint="canary@acme.test", customer_user_id="canary-customer")
        refused(tenant, waiting(tenant)[0]["connect_url"])
    assert logs
    assert all(word not in str(logs) for word in ("canary", "acme.test", DIRECTORY, "admin needed"))
