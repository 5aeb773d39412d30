"""The calendars of an account over HTTP: listing and choosing them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from meetbot.domain.account_calendar import AccessRole
from meetbot.storage.tables import CalendarUser, StoredCalendar
from meetbot.temporal.messages import CalendarUserSignal
from tests.api.conftest import Tenant

SYNCED = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SHARED = "boss@own.com"
SIDE = "c_side@group.calendar.google.com"


def add_calendar(tenant: Tenant, user: CalendarUser, calendar_id: str = "primary", **changes: Any) -> None:
    values: dict[str, Any] = {
        "tenant_id": tenant.id,
        "calendar_user_id": user.id,
        "calendar_id": calendar_id,
        "name": f"Name of {calendar_id}",
        "owned": True,
        "access_role": AccessRole.OWNER,
        "is_read": True,
        "last_synced_at": SYNCED - timedelta(hours=1),
    }
    with tenant.front.database.transaction(tenant.id) as session:
        session.add(StoredCalendar(**(values | changes)))


def of_three(tenant: Tenant) -> CalendarUser:
    user = tenant.add_user(last_synced_at=SYNCED)
    add_calendar(tenant, user, SIDE)
    add_calendar(tenant, user, SHARED, owned=False, access_role=AccessRole.READER, is_read=False, last_synced_at=None)
    add_calendar(tenant, user)
    return user


def put(tenant: Tenant, user: CalendarUser, **body: Any) -> Any:
    return tenant.put(f"/calendar/users/{user.id}/calendars", json=body)


def selected(answer: Any) -> list[str]:
    return [one["id"] for one in answer.json()["data"] if one["selected"]]


def test_the_accounts_calendars_are_listed_its_own_first(tenant: Tenant) -> None:
    answer = tenant.get(f"/calendar/users/{of_three(tenant).id}/calendars")
    assert answer.status_code == 200
    first, shared, side = answer.json()["data"]
    assert first == {
        "id": "primary",
        "name": "Name of primary",
        "primary": True,
        "owned": True,
        "access_role": "owner",
        "selected": True,
        "last_synced_at": "2026-03-02T09:00:00Z",
        "error": None,
    }
    assert (shared["id"], shared["selected"], shared["access_role"]) == (SHARED, False, "reader")
    assert shared["last_synced_at"] is None
    assert (side["id"], side["selected"]) == (SIDE, True)


def test_before_the_first_sync_the_list_is_empty(tenant: Tenant) -> None:
    assert tenant.get(f"/calendar/users/{tenant.add_user().id}/calendars").json() == {"data": []}


def test_choosing_holds_at_once_and_wakes_the_workflow(tenant: Tenant) -> None:
    user = of_three(tenant)
    answer = put(tenant, user, mode="selected", calendar_ids=["primary", SHARED])
    assert answer.status_code == 200
    assert selected(answer) == ["primary", SHARED]
    assert tenant.front.orchestrator.signals == [(user.id, CalendarUserSignal.SYNC_NOW)]
    assert tenant.get(f"/calendar/users/{user.id}").json()["calendars_mode"] == "selected"


def test_choosing_again_changes_nothing(tenant: Tenant) -> None:
    user = of_three(tenant)
    body = {"mode": "selected", "calendar_ids": [SHARED]}
    first, second = (put(tenant, user, **body).json() for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("mode", "expected"), [("primary", ["primary"]), ("owned", ["primary", SIDE]), ("selected", [SIDE])]
)
def test_each_mode_selects_its_calendars(tenant: Tenant, mode: str, expected: list[str]) -> None:
    named = {"calendar_ids": [SIDE]} if mode == "selected" else {}
    assert selected(put(tenant, of_three(tenant), mode=mode, **named)) == expected


def test_what_was_named_is_forgotten_with_another_mode(tenant: Tenant) -> None:
    user = of_three(tenant)
    put(tenant, user, mode="selected", calendar_ids=[SHARED])
    put(tenant, user, mode="primary")
    assert selected(put(tenant, user, mode="selected", calendar_ids=[SIDE])) == [SIDE]


def test_an_unknown_calendar_is_refused_with_its_place(tenant: Tenant) -> None:
    user = of_three(tenant)
    answer = put(tenant, user, mode="selected", calendar_ids=["primary", "no such calendar"])
    assert answer.status_code == 422
    assert [(fault["path"], fault["code"]) for fault in answer.json()["errors"]] == [
        ("calendar_ids.1", "unknown_calendar")
    ]
    assert tenant.get(f"/calendar/users/{user.id}").json()["calendars_mode"] == "owned"
    assert tenant.front.orchestrator.signals == []


def test_another_users_calendar_is_unknown(tenant: Tenant) -> None:
    of_three(tenant)
    other = tenant.add_user()
    assert put(tenant, other, mode="selected", calendar_ids=[SIDE]).status_code == 422


def test_the_accounts_own_calendar_can_be_named_before_the_first_sync(tenant: Tenant) -> None:
    assert selected(put(tenant, tenant.add_user(), mode="selected", calendar_ids=["primary"])) == ["primary"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"mode": "all"},
        {"mode": "selected"},
        {"mode": "selected", "calendar_ids": []},
        {"mode": "selected", "calendar_ids": [""]},
        {"mode": "selected", "calendar_ids": ["primary"] * 26},
        {"mode": "selected", "calendar_ids": None},
        {"mode": "owned", "calendar_ids": ["primary"]},
        {"mode": "owned", "more": 1},
    ],
)
def test_a_selection_that_makes_no_sense_is_refused(tenant: Tenant, body: dict[str, Any]) -> None:
    assert put(tenant, of_three(tenant), **body).status_code == 422


def test_a_calendar_that_could_not_be_read_says_what_to_do(tenant: Tenant) -> None:
    user = tenant.add_user(last_synced_at=SYNCED)
    add_calendar(tenant, user, is_read=False, error_code="free_busy_only", refused_since=SYNCED)
    (shown,) = tenant.get(f"/calendar/users/{user.id}/calendars").json()["data"]
    assert shown["error"]["code"] == "free_busy_only"
    assert "share all event details" in shown["error"]["next_step"]
    assert shown["last_synced_at"] == "2026-03-02T08:00:00Z"


def test_a_calendar_that_is_gone_says_so_and_is_not_selected(tenant: Tenant) -> None:
    user = tenant.add_user()
    add_calendar(tenant, user, SIDE, is_read=False, error_code="calendar_gone", gone_at=SYNCED)
    (shown,) = tenant.get(f"/calendar/users/{user.id}/calendars").json()["data"]
    assert (shown["selected"], shown["error"]["code"]) == (False, "calendar_gone")


def test_the_tenants_default_holds_for_whom_nothing_else_was_said(tenant: Tenant) -> None:
    usual, other = of_three(tenant), of_three(tenant)
    put(tenant, other, mode="owned")
    tenant.front.orchestrator.signals.clear()
    changed = tenant.request("PATCH", "/tenant", json={"calendars_mode": "primary"})
    assert changed.json()["calendars_mode"] == "primary"
    assert selected(tenant.get(f"/calendar/users/{usual.id}/calendars")) == ["primary"]
    assert selected(tenant.get(f"/calendar/users/{other.id}/calendars")) == ["primary", SIDE]
    modes = {one["id"]: one["calendars_mode"] for one in tenant.get("/calendar/users").json()["data"]}
    assert modes == {usual.id: "primary", other.id: "owned"}
    assert (usual.id, CalendarUserSignal.RULES_CHANGED) in tenant.front.orchestrator.signals


def test_a_tenant_cannot_have_calendars_selected_for_all(tenant: Tenant) -> None:
    assert tenant.request("PATCH", "/tenant", json={"calendars_mode": "selected"}).status_code == 422


def test_choosing_needs_the_scope_to_write(tenant: Tenant) -> None:
    user = of_three(tenant)
    headers = {"Authorization": f"Bearer {tenant.key_with('calendars:read')}"}
    path = f"/calendar/users/{user.id}/calendars"
    assert tenant.get(path, headers=headers).status_code == 200
    assert tenant.put(path, headers=headers, json={"mode": "primary"}).status_code == 403


def test_a_choice_is_audited_without_the_calendars_ids(tenant: Tenant) -> None:
    user = of_three(tenant)
    put(tenant, user, mode="selected", calendar_ids=[SHARED])
    (entry,) = [
        one for one in tenant.get("/audit-log").json()["data"] if one["action"] == "calendar_user.calendars_chosen"
    ]
    assert entry["target"] == user.id
    assert entry["detail"] == {"mode": "selected", "calendars": 1}


def test_another_tenants_calendars_are_not_found(tenant: Tenant, new_tenant: Callable[[], Tenant]) -> None:
    user, other = of_three(tenant), new_tenant()
    assert other.get(f"/calendar/users/{user.id}/calendars").status_code == 404
    assert put(other, user, mode="primary").status_code == 404
