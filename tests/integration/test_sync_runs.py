"""Syncs are kept: what changed one by one, what found nothing new counted by the hour."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlmodel import col, select

from meetbot.domain.account_calendar import PRIMARY, CalendarsMode
from meetbot.domain.event import Provider
from meetbot.domain.push import ChannelState
from meetbot.errors import ProviderError
from meetbot.storage.calendar_user_state import note_asked
from meetbot.storage.sync_runs import RunEntry, list_runs
from meetbot.storage.tables import PushChannel, SyncRun
from meetbot.temporal.messages import SyncScope
from tests.integration.calendars import ADA, choose, of_two
from tests.integration.erasing import erase
from tests.integration.meetings import connected_with_meeting
from tests.rig import Rig

pytestmark = pytest.mark.stack


def at_the_hours_beginning(rig: Rig) -> None:
    """Move to five minutes past, so that some syncs fit into the hour."""
    now = rig.clock()
    rig.clock.offset += timedelta(hours=1) - timedelta(minutes=now.minute - 5, seconds=now.second)


def rows(rig: Rig) -> list[SyncRun]:
    with rig.read() as session:
        return list(session.exec(select(SyncRun).order_by(col(SyncRun.at))))


def listed(rig: Rig, user: str, *, quiet: bool | None = None) -> list[RunEntry]:
    with rig.read() as session:
        return list_runs(session, rig.tenant_id, user, quiet=quiet, before=None, limit=50)


def quiet_syncs(rig: Rig, user: str, count: int) -> None:
    for _ in range(count):
        rig.clock.offset += timedelta(minutes=5)
        rig.sync(user)


def test_quiet_syncs_of_an_hour_add_no_row_and_count_as_one_entry(rig: Rig) -> None:
    at_the_hours_beginning(rig)
    user, _ = connected_with_meeting(rig)
    rig.sync(user)
    quiet_syncs(rig, user, 3)
    assert [(row.result, row.runs, row.changed, row.seen) for row in rows(rig)] == [("changed", 1, 1, 1)]
    quiet, first = listed(rig, user)
    assert (quiet.result, quiet.runs) == ("unchanged", 3)
    assert quiet.last_at - quiet.at >= timedelta(minutes=10)
    assert first.result == "changed"


def test_an_hour_that_is_over_becomes_one_row(rig: Rig) -> None:
    at_the_hours_beginning(rig)
    user, _ = connected_with_meeting(rig)
    rig.sync(user)
    quiet_syncs(rig, user, 2)
    rig.clock.offset += timedelta(hours=1)
    rig.sync(user)
    assert [(row.result, row.runs) for row in rows(rig)] == [("changed", 1), ("unchanged", 2)]
    assert [(entry.result, entry.runs) for entry in listed(rig, user)] == [
        ("unchanged", 1), ("unchanged", 2), ("changed", 1),
    ]  # fmt: skip
    assert [entry.result for entry in listed(rig, user, quiet=False)] == ["changed"]
    assert len(listed(rig, user, quiet=True)) == 2


def test_a_change_between_quiet_syncs_leaves_their_count(rig: Rig) -> None:
    at_the_hours_beginning(rig)
    user, event = connected_with_meeting(rig, starts_in_minutes=600)
    rig.sync(user)
    quiet_syncs(rig, user, 1)
    rig.clock.offset += timedelta(minutes=5)
    rig.sandbox.cancel(event)
    rig.sync(user)
    quiet_syncs(rig, user, 1)
    assert [(entry.result, entry.runs, entry.changed + entry.removed) for entry in listed(rig, user)] == [
        ("unchanged", 2, 0), ("changed", 1, 1), ("changed", 1, 1),
    ]  # fmt: skip


def test_failures_that_are_alike_are_counted_by_the_hour(rig: Rig) -> None:
    at_the_hours_beginning(rig)
    user, _ = connected_with_meeting(rig)
    rig.sandbox.fault(path="/google/calendar/v3", status=503)
    for _ in range(3):
        with pytest.raises(ProviderError) as failed:
            rig.sync(user)
        rig.clock.offset += timedelta(minutes=5)
    (row,) = rows(rig)
    assert (row.result, row.runs, row.seen) == (failed.value.code, 3, None)


def test_a_sync_says_what_set_it_off(rig: Rig) -> None:
    user, event = connected_with_meeting(rig, starts_in_minutes=600)
    rig.sync(user)
    for number, prepare in enumerate((asked, notified, nothing)):
        rig.clock.offset += timedelta(minutes=5)
        rig.sandbox.change(event, title=f"Title {number}")
        prepare(rig, user)
        rig.sync(user)
    rig.put_rules(user, {"rules": []})
    rig.sync(user, SyncScope.DECISIONS)
    assert [row.trigger for row in rows(rig)] == ["poll", "manual", "push", "poll", "rules"]


def asked(rig: Rig, user: str) -> None:
    with rig.database.transaction(rig.tenant_id) as session:
        note_asked(session, rig.tenant_id, user, now=rig.clock())


def notified(rig: Rig, user: str) -> None:
    channel = PushChannel(
        tenant_id=rig.tenant_id,
        id="chn_1",
        calendar_user_id=user,
        provider="google",
        calendar_id="primary",
        state=ChannelState.ACTIVE,
        last_notified_at=rig.clock(),
    )
    with rig.database.transaction(rig.tenant_id) as session:
        session.add(channel)


def nothing(rig: Rig, user: str) -> None:
    """The calendar's slot has come."""


def test_lost_access_is_a_run_with_its_code(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    rig.sync(user)
    rig.sandbox.post("/control/accounts/ada@acme.test/revoke", {})
    rig.services.tokens.forget(rig.tenant_id, user)
    rig.sync(user)
    assert rows(rig)[-1].result == rig.calendar_user(user).error_code


def test_a_repeated_notice_of_lost_access_is_a_run_too(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    rig.sync(user)
    rig.sandbox.post("/control/accounts/ada@acme.test/revoke", {})
    rig.services.tokens.forget(rig.tenant_id, user)
    rig.sync(user)
    rig.clock.offset += timedelta(hours=25)
    for _ in range(2):
        rig.sync(user)
    code = rig.calendar_user(user).error_code
    assert [(row.result, row.runs) for row in rows(rig) if row.result == code] == [(code, 1), (code, 1)]


def test_meetings_of_a_deselected_calendar_count_with_the_sync_that_let_them_go(rig: Rig) -> None:
    user, _ = of_two(rig, Provider.GOOGLE)
    rig.sandbox.event(ADA, title="another", starts_in_minutes=600)
    choose(rig, user, CalendarsMode.SELECTED, PRIMARY)
    rig.sync(user)
    latest = rows(rig)[-1]
    assert (latest.result, latest.changed, latest.removed, latest.seen) == ("changed", 1, 1, 2)


def test_an_erasure_takes_the_runs_and_a_late_sync_adds_none(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    rig.sync(user)
    assert len(rows(rig)) == 1
    erase(rig, user)
    rig.sync(user)
    assert rows(rig) == []
