"""The statements that write events do what `meetbot.calendars.stored_after` foretells."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from meetbot.calendars.decide_stored import decision_record, record_of
from meetbot.calendars.event_decisions import DecidedEvent, NormalisedEvent, decide_events
from meetbot.calendars.stored_after import EventChanges, stored_after
from meetbot.domain.decision import ReasonCode
from meetbot.domain.event import Event, EventStatus, MeetingLink, Platform, Provider, Visibility
from meetbot.domain.identity import identity_of
from meetbot.rules import Decision, Outcome
from meetbot.rules.policy import Policy
from meetbot.storage.events import (
    skip_without_access,
    stored_events,
    tombstone_events,
    write_decisions,
    write_events,
)
from tests.rig import Rig

pytestmark = pytest.mark.stack

HOUR = timedelta(hours=1)
POLICY = Policy(Provider.GOOGLE, "ada@acme.test", (), {}, (), {}, {})
STARTS = (None, -2 * HOUR, HOUR, -30 * HOUR)
STATUSES = (EventStatus.CONFIRMED, EventStatus.CANCELLED)
VERSIONS = list(itertools.product(STARTS, STATUSES, Outcome))


def decided(rig: Rig, user: str, number: int, version: tuple[timedelta | None, EventStatus, Outcome]) -> DecidedEvent:
    """One version of the event with this number.

    Its UID changes with its start, and with that its meeting key.
    """
    starts_in, status, outcome = version
    start = None if starts_in is None else midday(rig) + starts_in
    event = Event(
        provider=Provider.GOOGLE,
        calendar_id="primary",
        provider_event_id=str(number),
        ical_uid=f"{number} {starts_in}",
        original_start=None,
        title="Planning",
        start=start,
        end=None if start is None else start + HOUR,
        all_day=False,
        status=status,
        organizer=None,
        attendees=(),
        is_organizer=starts_in is None,
        owner_response=None,
        recurring=False,
        visibility=Visibility.DEFAULT,
        link=None if starts_in is None else MeetingLink(Platform.ZOOM, f"https://zoom.us/j/{number}", None, None, "x"),
        updated=start,
    )
    read = NormalisedEvent(event, identity_of(event, rig.tenant_id, user), repr(version).encode())
    (one,) = decide_events(POLICY, [read], now=midday(rig))
    return replace(one, decision=replace(one.decision, outcome=outcome))


def midday(rig: Rig) -> datetime:
    return rig.clock().replace(hour=12, minute=0, second=0, microsecond=0)


def test_writing_changes_the_stored_events_as_foretold(rig: Rig) -> None:
    user, now = rig.connect(rig.sandbox.account("ada@acme.test")), midday(rig)
    since = now - timedelta(days=1)
    pairs = list(enumerate(itertools.product(VERSIONS, VERSIONS)))
    alone = list(enumerate(VERSIONS, start=len(pairs)))
    with rig.database.transaction(rig.tenant_id) as session:
        first = [decided(rig, user, number, before) for number, (before, _) in pairs]
        first += [decided(rig, user, number, version) for number, version in alone]
        write_events(session, [record_of(one, now=now - 48 * HOUR) for one in first])
        stored = stored_events(session, rig.tenant_id, user, since=since)
        known = {event.id for event in stored}
        untouched = [one for one in first[len(pairs) :] if one.identity.event_id in known]
        changes = EventChanges(
            written=[
                new
                for number, (_, after) in pairs
                if (new := decided(rig, user, number, after)).identity.event_id in known
            ],
            gone=[one.identity.event_id for one in untouched[0::6] if one.event.status is not EventStatus.CANCELLED],
            unreadable=[
                one.identity.event_id for one in untouched[3::6] if one.event.status is not EventStatus.CANCELLED
            ],
            redecided=[replace(one, decision=opposite(one)) for one in untouched[1::3]],
            given_up=[
                one.identity.event_id
                for one in untouched[2::3]
                if one.event.status is not EventStatus.CANCELLED and one.decision.outcome is Outcome.RECORD
            ],
        )
        write_events(session, [record_of(one, now=now) for one in changes.written])
        tombstone_events(session, rig.tenant_id, changes.gone, now=now)
        tombstone_events(session, rig.tenant_id, changes.unreadable, now=now, reason=ReasonCode.ACCESS_REVOKED)
        write_decisions(session, [decision_record(one, now=now) for one in changes.redecided])
        skip_without_access(session, rig.tenant_id, changes.given_up, now=now)
        after = stored_events(session, rig.tenant_id, user, since=since)
    groups = (changes.written, changes.gone, changes.redecided, changes.given_up, changes.unreadable)
    assert min(len(group) for group in groups) > 0
    foretold = stored_after(stored, changes, (), since=since, now=now)
    assert {event.id: event for event in foretold} == {event.id: event for event in after}


def opposite(one: DecidedEvent) -> Decision:
    outcome = Outcome.SKIP if one.decision.outcome is Outcome.RECORD else Outcome.RECORD
    return replace(one.decision, outcome=outcome)
