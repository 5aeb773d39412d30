"""The history of an event: each change that matters, with nothing of what people wrote."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from meetbot.domain.account_calendar import PRIMARY, CalendarsMode
from meetbot.domain.event import Provider
from meetbot.storage.event_history import history_of
from meetbot.storage.overrides import set_override
from meetbot.storage.tables import CalendarEvent, EventHistory
from meetbot.temporal.messages import SyncScope
from tests.integration.calendars import choose, of_two, reading_the_boss, view_path
from tests.integration.erasing import erase
from tests.integration.meetings import BOTH, connected_with_meeting, scheduled, shared_meeting
from tests.integration.rooms import book
from tests.rig import Rig

pytestmark = pytest.mark.stack


def rows(rig: Rig) -> list[EventHistory]:
    with rig.read() as session:
        return list(session.exec(select(EventHistory).order_by(col(EventHistory.at), col(EventHistory.step))))


def changes(rig: Rig) -> list[tuple[str, list[str]]]:
    return [(row.source, row.changes) for row in rows(rig)]


def synced(rig: Rig, **fields: Any) -> tuple[str, dict[str, object]]:
    user, event = connected_with_meeting(rig, **fields)
    rig.sync(user)
    return user, event


def changed(rig: Rig, user: str, event: Any, **fields: Any) -> EventHistory:
    """The entry that a change of the event adds."""
    before = len(rows(rig))
    rig.sandbox.change(event, **fields)
    rig.sync(user)
    (added,) = rows(rig)[before:]
    return added


def test_a_new_event_and_an_unchanged_one_add_no_row(rig: Rig) -> None:
    user, _ = synced(rig)
    rig.sync(user)
    assert rows(rig) == []


@BOTH
def test_a_moved_event_keeps_both_instants(rig: Rig, provider: Provider) -> None:
    account = rig.sandbox.account("ada@acme.test", provider)
    user = rig.connect(account, provider)
    event = rig.sandbox.event(account, starts_in_minutes=60)
    rig.sync(user)
    row = changed(rig, user, event, starts_in_minutes=90)
    assert (row.source, row.changes) == ("calendar", ["moved"])
    assert set(row.before) == set(row.after) == {"start", "end"}
    (stored,) = rig.events(user)
    assert stored.start_at is not None
    assert row.after["start"].startswith(stored.start_at.isoformat()[:19])


def test_no_title_address_or_link_is_kept(rig: Rig) -> None:
    user, event = synced(rig, title="Secret plans")
    secrets = ("Secret", "Hidden", "mallory", "abc-wxyz-abc")
    changed(rig, user, event, title="Hidden plans")
    changed(rig, user, event, attendees=["mallory@evil.test"])
    changed(rig, user, event, meeting_url="https://meet.google.com/abc-wxyz-abc")
    assert [row.changes for row in rows(rig)] == [["retitled"], ["attendees"], ["relinked"]]
    with rig.read() as session:
        kept = session.execute(text("select string_agg(h::text, ' ') from event_history h")).scalar_one()
    assert [secret for secret in secrets if secret in kept] == []


def test_other_rules_tell_the_decision_before_and_after(rig: Rig) -> None:
    user, _ = synced(rig)
    rig.put_rules(user, {"rules": []})
    rig.sync(user, SyncScope.DECISIONS)
    (row,) = rows(rig)
    assert (row.source, row.changes) == ("rules", ["decided"])
    assert (row.before["outcome"], row.before["rule"]) == ("record", "everything")
    assert (row.after["outcome"], row.after["reason"], row.after["rule"]) == ("skip", "no_rule_matched", None)


def test_a_new_version_that_decides_alike_is_no_change(rig: Rig) -> None:
    user, _ = synced(rig)
    rig.put_rules(user, {"rules": [{"name": "everything", "action": "record", "when": {"always": True}}]})
    rig.sync(user, SyncScope.DECISIONS)
    assert rig.events(user)[0].rule_set_version == "2"
    assert rows(rig) == []


def test_an_event_that_leaves_and_comes_back_says_so(rig: Rig) -> None:
    user, event = synced(rig)
    rig.sandbox.cancel(event)
    rig.sync(user)
    (row,) = rows(rig)
    assert "left_calendar" in row.changes
    assert (row.before["reason"], row.after["reason"]) == ("rule_matched", "cancelled")


def test_an_event_beyond_the_days_limit_tells_both_decisions(rig: Rig) -> None:
    user, event = synced(rig)
    rig.set_tenant(max_bots_per_day=0)
    rig.sandbox.change(event, title="Other")
    rig.sync(user)
    assert changes(rig) == [("calendar", ["retitled"]), ("limit", ["decided"])]
    assert rows(rig)[1].after == {"outcome": "skip", "reason": "daily_limit"}


def test_lost_access_that_gives_up_an_event_is_told(rig: Rig) -> None:
    rig.set_tenant(revoked_grace_hours=0)
    user, _ = synced(rig)
    rig.sandbox.post("/control/accounts/ada@acme.test/revoke", {})
    rig.services.tokens.forget(rig.tenant_id, user)
    rig.sync(user)
    assert changes(rig) == [("access", ["decided"])]


def test_a_history_begins_with_the_first_sight_and_names_the_bots(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    scheduled(rig, user)
    with rig.database.transaction(rig.tenant_id) as session:
        (event,) = session.exec(select(CalendarEvent)).all()
        set_override(session, event, scope="occurrence", recording="skip", set_by="key_1", now=rig.clock())
    rig.sync(user, SyncScope.DECISIONS)
    with rig.read() as session:
        entries = history_of(session, event, change=None, after=None, limit=10)
        second = history_of(
            session, event, change=None, after=(entries[0].at, entries[0].step, entries[0].key), limit=1
        )
        decided = history_of(session, event, change="decided", after=None, limit=10)
    assert [entry.changes for entry in entries] == [["first_seen"], ["bot_linked"], ["override_set"], ["decided"]]
    assert entries[1].after["bot_id"] == rig.bots()[0].id
    assert entries[2].after == {"override": "skip", "scope": "occurrence", "by": "key_1"}
    assert second == entries[1:2]
    assert decided == entries[3:]


def test_a_bot_taken_over_in_a_shared_room_is_linked_since_then(rig: Rig) -> None:
    first = book(rig, "ada")
    first.dispatch()
    other = book(rig, "grace", starts=75)
    other.dispatch()
    rig.sandbox.cancel(first.event)
    first.sync()
    first.recall()
    with rig.read() as session:
        event = session.exec(select(CalendarEvent).where(CalendarEvent.calendar_user_id == other.user)).one()
        linked = history_of(session, event, change="bot_linked", after=None, limit=10)
    taken_over, own = other.bots()
    assert own.outcome == "shared"
    assert [entry.after["bot_id"] for entry in linked] == [own.id, taken_over.id]


def test_a_copy_that_becomes_a_meeting_of_its_own_says_so(rig: Rig) -> None:
    organizer, guest, event, key, _ = shared_meeting(rig)
    (copy,) = rig.events(guest)
    rig.sandbox.change(event, starts_in_minutes=240)
    rig.sync(organizer)
    rig.sync(guest)
    assert copy.meeting_key == key
    assert all("regrouped" not in row.changes for row in rows(rig))


def test_an_erasure_takes_the_users_history_and_nobody_elses(rig: Rig) -> None:
    organizer, guest, event, _, _ = shared_meeting(rig)
    rig.sandbox.change(event, starts_in_minutes=240)
    rig.sync(organizer)
    rig.sync(guest)
    assert {row.calendar_user_id for row in rows(rig)} == {organizer, guest}
    certificate = erase(rig, guest)
    assert {row.calendar_user_id for row in rows(rig)} == {organizer}
    assert certificate.counts["event_history"] == 1


def test_changes_of_one_instant_are_kept_in_order(rig: Rig) -> None:
    user, event = synced(rig)
    frozen = rig.clock()
    rig.clock.offset = timedelta()
    assert frozen <= rig.clock()
    changed(rig, user, event, title="Other")
    steps = [(row.at, row.step) for row in rows(rig)]
    assert steps == sorted(steps)


def test_an_event_whose_calendar_is_read_no_longer_says_that_it_left(rig: Rig) -> None:
    user, _ = of_two(rig, Provider.GOOGLE)
    choose(rig, user, CalendarsMode.SELECTED, PRIMARY)
    rig.sync(user)
    (row,) = rows(rig)
    assert (row.source, row.changes) == ("calendar", ["decided", "left_calendar"])
    assert row.after["reason"] == "cancelled"


def test_an_event_of_a_calendar_that_refuses_for_too_long_says_that_access_is_lost(rig: Rig) -> None:
    user, shared = reading_the_boss(rig, Provider.GOOGLE)
    rig.set_tenant(revoked_grace_hours=0)
    rig.sandbox.fault(path=view_path(Provider.GOOGLE, shared), status=403, reason="forbidden")
    rig.sync(user)
    rig.clock.offset += timedelta(minutes=11)
    rig.sync(user)
    row = rows(rig)[-1]
    assert (row.source, row.changes, row.after["reason"]) == ("access", ["decided", "left_calendar"], "access_revoked")
