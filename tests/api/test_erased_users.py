"""What could bring an erased calendar user back, and what the routes of erasures refuse."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from meetbot.storage.erasure_rows import close_tenant, delete_calendar_user
from tests.api.conftest import Tenant
from tests.api.consent_flow import HOME, begin, come_back, connect, open_link, to_provider, told, users
from tests.api.stand_ins import Consent


def erase(tenant: Tenant, user: str) -> None:
    """Ask for the erasure, and do the part of its workflow that deletes."""
    assert tenant.delete(f"/calendar/users/{user}").status_code == 202
    delete_rows(tenant, user)


def delete_rows(tenant: Tenant, user: str) -> None:
    with tenant.front.database.transaction(tenant.id) as session:
        delete_calendar_user(session, tenant.id, user)


def test_a_consent_under_way_brings_no_erased_user_back(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    front = tenant.front
    user = connect(tenant, Consent("subject-erased"))["meetbot_calendar_user_id"]
    location = to_provider(front.client, begin(tenant))
    exchange = front.google.exchange_code

    def erased_meanwhile(*arguments: Any, **more: Any) -> Any:
        grant = exchange(*arguments, **more)
        erase(tenant, user)
        return grant

    monkeypatch.setattr(front.google, "exchange_code", erased_meanwhile)
    answer = told(
        come_back(front.client, front.google.consent(location, Consent("subject-erased", refresh_token="late")))
    )
    assert answer["error"] == "expired"
    assert users(tenant) == []
    assert front.google.revoked == ["late"]


def test_a_consent_that_comes_while_the_erasure_runs_is_refused(tenant: Tenant) -> None:
    front = tenant.front
    user = connect(tenant)["meetbot_calendar_user_id"]
    location = to_provider(front.client, begin(tenant))
    assert tenant.delete(f"/calendar/users/{user}").status_code == 202
    assert told(come_back(front.client, front.google.consent(location)))["status"] == "error"
    assert [row.state for row in users(tenant)] == ["disconnecting"]


def test_a_connect_link_from_before_the_erasure_is_void(tenant: Tenant) -> None:
    user = connect(tenant)["meetbot_calendar_user_id"]
    url = begin(tenant)
    erase(tenant, user)
    assert open_link(tenant.front.client, url).status_code == 400


def test_reconnect_links_from_before_an_erasure_are_void_at_once(tenant: Tenant) -> None:
    front = tenant.front
    user = tenant.add_user(state="needs_reconnect")
    permanent = tenant.get(f"/calendar/users/{user.id}").json()["reconnect_url"]
    answer = tenant.post(f"/calendar/users/{user.id}/reconnect", json={"redirect_url": HOME})
    assert tenant.delete(f"/calendar/users/{user.id}").status_code == 202
    assert open_link(front.client, permanent).status_code == 400
    location = to_provider(front.client, answer.json()["authorization_url"])
    assert told(come_back(front.client, front.google.consent(location)))["error"] == "expired"
    assert [row.state for row in users(tenant)] == ["disconnecting"]


def test_reconnect_links_from_before_an_erasure_are_void_after_it(tenant: Tenant) -> None:
    user = tenant.add_user(state="needs_reconnect")
    permanent = tenant.get(f"/calendar/users/{user.id}").json()["reconnect_url"]
    once = tenant.post(f"/calendar/users/{user.id}/reconnect").json()["authorization_url"]
    erase(tenant, user.id)
    for url in (permanent, once):
        assert open_link(tenant.front.client, url).status_code == 400


def test_an_account_may_be_connected_anew_after_its_erasure(tenant: Tenant) -> None:
    user = connect(tenant)["meetbot_calendar_user_id"]
    erase(tenant, user)
    anew = connect(tenant)["meetbot_calendar_user_id"]
    assert anew != user
    assert tenant.get(f"/calendar/users/{anew}").status_code == 200
    assert tenant.get(f"/calendar/users/{user}").status_code == 404


def test_a_closed_tenants_keys_and_links_are_void(tenant: Tenant) -> None:
    url = begin(tenant)
    with tenant.front.database.transaction(tenant.id) as session:
        close_tenant(session, tenant.id, now=datetime.now(UTC))
    assert tenant.get("/calendar/users").status_code == 401
    assert open_link(tenant.front.client, url).status_code == 400


@pytest.mark.parametrize("name", ["era_unknown", "%00", "era_%00", "%ff", "a" * 5000, "era_x'--", "..%2f"])
@pytest.mark.parametrize(("method", "path"), [("GET", "/erasures/{}"), ("DELETE", "/calendar/users/{}")])
def test_an_id_that_cannot_be_is_refused_as_a_problem(tenant: Tenant, method: str, path: str, name: str) -> None:
    answer = tenant.request(method, path.format(name))
    assert answer.status_code in (400, 404)
    assert answer.headers["content-type"] == "application/problem+json"


def test_erasing_takes_a_key_that_may_write_calendars(tenant: Tenant) -> None:
    user = tenant.add_user(state="active")
    for scope, expected in (("calendars:read", 403), ("rules:write", 403), ("calendars:write", 202)):
        headers = {"Authorization": f"Bearer {tenant.key_with(scope)}"}
        answer = tenant.front.client.delete(f"/v1/calendar/users/{user.id}", headers=headers)
        assert answer.status_code == expected, scope
