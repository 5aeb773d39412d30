"""What a person asks when no bot came, over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from meetbot.domain.account_calendar import AccessRole
from meetbot.storage.tables import CalendarUser, StoredCalendar
from meetbot.temporal.calendar_messages import ANSWERED, CheckResult
from tests.api.conftest import Tenant, in_hours

NAMES = ["token", "scopes", "calendars", "push", "last_sync", "events", "scheduler", "backend"]


def check(tenant: Tenant, user: CalendarUser) -> dict[str, dict[str, Any]]:
    answer = tenant.get(f"/calendar/users/{user.id}/check")
    assert answer.status_code == 200, answer.text
    return {one["check"]: one for one in answer.json()["data"]}


def synced(tenant: Tenant, **changes: Any) -> CalendarUser:
    values: dict[str, Any] = {"last_synced_at": datetime.now(UTC), "scopes": ["openid", "calendar"]}
    user = tenant.add_user(**(values | changes))
    with tenant.front.database.transaction(tenant.id) as session:
        session.add(
            StoredCalendar(
                tenant_id=tenant.id,
                calendar_user_id=user.id,
                calendar_id="primary",
                owned=True,
                access_role=AccessRole.OWNER,
                is_read=True,
            )
        )
    return user


def ago(**span: float) -> datetime:
    return datetime.now(UTC) - timedelta(**span)


def test_of_a_healthy_calendar_user_all_is_right(tenant: Tenant) -> None:
    user = synced(tenant)
    tenant.add_event(user, outcome="record", reason="rule_matched")
    checks = check(tenant, user)
    assert list(checks) == NAMES
    assert {name: one["ok"] for name, one in checks.items()} == dict.fromkeys(NAMES, True) | {"push": None}
    assert {one["next_step"] for one in checks.values()} == {""}


def test_a_fresh_sync_shows_the_token_good_without_asking_the_provider(tenant: Tenant) -> None:
    assert check(tenant, synced(tenant))["token"]["ok"] is True
    (asked,) = tenant.front.orchestrator.checks
    assert not asked.asks_provider


def test_of_a_stale_sync_the_provider_is_asked(tenant: Tenant) -> None:
    user = synced(tenant, last_synced_at=ago(hours=2))
    tenant.front.orchestrator.checked = CheckResult("provider_unavailable", ANSWERED)
    checks = check(tenant, user)
    assert checks["token"]["ok"] is False
    assert "provider_unavailable" in checks["token"]["detail"]
    assert checks["last_sync"]["ok"] is False
    assert checks["last_sync"]["next_step"] != ""
    (asked,) = tenant.front.orchestrator.checks
    assert asked.asks_provider


def test_while_temporal_is_down_its_line_says_so_and_the_others_stand(tenant: Tenant) -> None:
    user = synced(tenant)
    tenant.front.orchestrator.is_up = False
    checks = check(tenant, user)
    assert (checks["scheduler"]["ok"], checks["backend"]["ok"]) == (False, None)
    assert checks["scheduler"]["next_step"] != ""
    assert checks["token"]["ok"] is True


def test_a_worker_that_does_not_answer_leaves_its_lines_open(tenant: Tenant) -> None:
    user = synced(tenant, last_synced_at=ago(hours=2))
    tenant.front.orchestrator.checked = None
    checks = check(tenant, user)
    assert (checks["token"]["ok"], checks["backend"]["ok"]) == (None, None)
    assert checks["scheduler"]["ok"] is False


def test_what_the_worker_found_a_moment_ago_is_not_asked_for_again(tenant: Tenant) -> None:
    user = synced(tenant, checked_at=ago(seconds=20), provider_check=ANSWERED, backend_check="backend_unreachable")
    checks = check(tenant, user)
    assert checks["backend"]["ok"] is False
    assert "backend_unreachable" in checks["backend"]["detail"]
    assert tenant.front.orchestrator.checks == []


def test_what_the_worker_found_long_ago_is_asked_for_again(tenant: Tenant) -> None:
    user = synced(tenant, checked_at=ago(minutes=2), backend_check="backend_unreachable")
    assert check(tenant, user)["backend"]["ok"] is True
    assert len(tenant.front.orchestrator.checks) == 1


def test_lost_access_is_told_with_the_way_back(tenant: Tenant) -> None:
    user = synced(tenant, state="needs_reconnect", error_code="invalid_grant", last_synced_at=ago(days=3))
    token = check(tenant, user)["token"]
    assert token["ok"] is False
    assert "invalid_grant" in token["detail"]
    assert "reconnect_url" in token["next_step"]
    assert not tenant.front.orchestrator.checks[0].asks_provider


def test_a_missing_scope_is_named(tenant: Tenant) -> None:
    scopes = check(tenant, synced(tenant, scopes=["openid"]))["scopes"]
    assert scopes["ok"] is False
    assert "calendar" in scopes["detail"]


def test_a_calendar_that_could_not_be_read_fails_its_check(tenant: Tenant) -> None:
    user = synced(tenant)
    with tenant.front.database.transaction(tenant.id) as session:
        row = session.get_one(StoredCalendar, (tenant.id, user.id, "primary"))
        row.is_read, row.error_code = False, "free_busy_only"
    calendars = check(tenant, user)["calendars"]
    assert calendars["ok"] is False
    assert "free_busy_only" in calendars["detail"]


@pytest.mark.parametrize(
    ("events", "ok", "words"),
    [
        ([], False, "Of 0 events"),
        ([{"meeting_url": None, "reason": "no_meeting_url"}], False, "no_meeting_url"),
        ([{"reason": "owner_declined"}, {"meeting_url": None, "reason": "no_meeting_url"}], False, "owner_declined"),
        ([{"outcome": "record", "reason": "rule_matched"}], True, "1 are to be recorded"),
        ([{"outcome": "record", "reason": "rule_matched", "start_at": in_hours(24 * 15)}], False, "Of 0 events"),
        ([{"outcome": "record", "reason": "rule_matched", "start_at": in_hours(-5)}], False, "Of 0 events"),
        ([{"outcome": "record", "reason": "rule_matched", "deleted": True}], False, "Of 0 events"),
    ],
)
def test_the_events_of_two_weeks_are_counted(tenant: Tenant, events: list[Any], ok: bool, words: str) -> None:
    user = synced(tenant)
    for event in events:
        tenant.add_event(user, **event)
    shown = check(tenant, user)["events"]
    assert shown["ok"] is ok
    assert words in shown["detail"]


def test_a_user_that_was_never_synced_has_no_calendars_yet(tenant: Tenant) -> None:
    checks = check(tenant, tenant.add_user())
    assert (checks["calendars"]["ok"], checks["last_sync"]["ok"]) == (None, False)


def test_nothing_of_a_person_stands_in_the_answer(tenant: Tenant) -> None:
    user = synced(tenant)
    event = tenant.add_event(user, title="A secret title")
    answer = tenant.get(f"/calendar/users/{user.id}/check").text
    for word in (user.email, event.title, str(event.meeting_url)):
        assert word not in answer
