"""What a sync decides, over generated calendars and a database that is a dictionary."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import orjson
from hypothesis import given
from hypothesis import strategies as st

from meetbot.calendars.decide_sync import (
    Background,
    CalendarChanges,
    CalendarSnapshot,
    Needs,
    SyncOutcome,
    decide_sync,
    what_is_needed,
)
from meetbot.calendars.event_decisions import EarlierDecision, NormalisedEvent
from meetbot.calendars.stored_after import stored_after
from meetbot.domain.event import Event, EventStatus, MeetingLink, Platform, Provider, Visibility
from meetbot.domain.identity import identity_of
from meetbot.domain.stored_event import StoredEvent
from meetbot.rules import Outcome
from meetbot.rules.policy import Policy, StoredRuleSet

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SINCE = NOW - timedelta(days=1)
HORIZON = timedelta(hours=48)
HOUR = timedelta(hours=1)

RECORD_ALL = {"rules": [{"name": "all", "action": "record", "when": {"attendee_count": {"gte": 0}}}]}
RECORD_NONE = {"rules": [{"name": "none", "action": "skip", "when": {"attendee_count": {"gte": 0}}}]}


def policy(rules: object = RECORD_ALL, *, version: int = 1, overrides: Mapping[str, str] | None = None) -> Policy:
    return Policy(
        provider=Provider.GOOGLE,
        owner_email="ada@acme.test",
        internal_domains=("acme.test",),
        attributes={},
        rule_sets=(StoredRuleSet("user", version, orjson.dumps(rules).decode()),),
        occurrence_overrides=dict(overrides or {}),
        series_overrides={},
    )


def read(
    event_id: str = "a",
    *,
    uid: str = "uid",
    starts_in: timedelta | None = HOUR,
    original_in: timedelta | None = None,
    url: str | None = "https://meet.google.com/abc-defg-hij",
    status: EventStatus = EventStatus.CONFIRMED,
) -> NormalisedEvent:
    start = None if starts_in is None else NOW + starts_in
    event = Event(
        provider=Provider.GOOGLE,
        calendar_id="primary",
        provider_event_id=event_id,
        ical_uid=uid,
        original_start=None if original_in is None else NOW + original_in,
        title="Planning",
        start=start,
        end=None if start is None else start + HOUR / 2,
        all_day=False,
        status=status,
        organizer=None,
        attendees=(),
        is_organizer=False,
        owner_response=None,
        recurring=original_in is not None,
        visibility=Visibility.DEFAULT,
        link=None if url is None else MeetingLink(Platform.GOOGLE_MEET, url, None, None, "conference"),
    )
    return NormalisedEvent(
        event, identity_of(event, "ten_1", "cu_1"), repr((event_id, uid, starts_in, url, status)).encode()
    )


def occurrence(day: int, *, shifted_by: timedelta = timedelta()) -> NormalisedEvent:
    """One day's occurrence of a daily series.

    Shifting a series gives its occurrences other original starts.
    """
    start = HOUR + timedelta(days=day) + shifted_by
    return read(f"series_{start}", uid="series", starts_in=start, original_in=start)


@dataclass
class Calendar:
    """What the database holds of one calendar user between syncs."""

    policy: Policy
    stored: Sequence[StoredEvent] = ()
    events: dict[str, EarlierDecision] = field(default_factory=dict)
    decided_policy: str | None = None
    access_given_up: bool = False

    def snapshot(self) -> CalendarSnapshot:
        return CalendarSnapshot(
            "ten_1", "cu_1", self.policy, self.decided_policy, self.access_given_up, SINCE, self.stored
        )

    def sync(self, changes: CalendarChanges | None = None) -> SyncOutcome:
        changes = changes or CalendarChanges()
        needs = what_is_needed(self.snapshot(), changes, now=NOW)
        outcome = decide_sync(self.snapshot(), changes, self.load(needs), now=NOW, horizon=HORIZON)
        self.store(outcome)
        return outcome

    def load(self, needs: Needs) -> Background:
        return Background(
            series_keys={key: self.events[key].read.identity.series_key for key in needs.series_of},
            earlier_decisions=[
                self.events[event.id] for event in self.stored if not event.deleted and event.is_ahead(NOW)
            ]
            if needs.earlier_decisions
            else [],
        )

    def store(self, outcome: SyncOutcome) -> None:
        plan = {entry.meeting_key: entry for entry in outcome.claims.plan}
        after = []
        for event in stored_after(self.stored, outcome.events, (), since=SINCE, now=NOW):
            if event.meeting_key in outcome.claims.written:
                claimed_by = outcome.claims.written[event.meeting_key]
                event = event._replace(
                    claimed_event_id=claimed_by, claimed_digest=plan[event.meeting_key].target_digest
                )
            elif event.meeting_key in outcome.claims.withdrawn:
                event = event._replace(claimed_event_id=None, claimed_digest=None)
            after.append(event)
        self.stored = after
        for new in (*outcome.events.written, *outcome.events.redecided):
            decision = new.decision
            self.events[new.identity.event_id] = EarlierDecision(
                NormalisedEvent(new.event, new.identity, new.fingerprint),
                (
                    decision.outcome,
                    decision.reason,
                    decision.rule,
                    decision.rule_set_version,
                    decision.layer,
                    new.override,
                    dict(decision.facts),
                ),
            )
        for event_id in outcome.events.given_up:
            earlier = self.events[event_id]
            made = (Outcome.SKIP, "access_revoked", None, None, None, *earlier.made[5:])
            self.events[event_id] = EarlierDecision(earlier.read, made)
        overrides = dict(self.policy.occurrence_overrides)
        for predecessor, successor in outcome.successors.items():
            if predecessor in overrides:
                overrides.setdefault(successor, overrides[predecessor])
        self.policy = replace(self.policy, occurrence_overrides=overrides)
        self.decided_policy = outcome.decided_policy


def synced(*events: NormalisedEvent, **overrides: str) -> Calendar:
    calendar = Calendar(policy(overrides=overrides))
    calendar.sync(CalendarChanges(read=events))
    return calendar


def outcomes(calendar: Calendar) -> dict[str, str]:
    return {event.provider_event_id: event.outcome for event in calendar.stored if not event.deleted}


# Properties

reads = st.builds(
    read,
    st.sampled_from("abcde"),
    uid=st.sampled_from(["one", "two", "three"]),
    starts_in=st.none() | st.timedeltas(-timedelta(days=2), timedelta(days=4)),
    original_in=st.none() | st.sampled_from([HOUR, 2 * HOUR]),
    url=st.none() | st.sampled_from(["https://meet.google.com/abc-defg-hij", "https://zoom.us/j/123"]),
    status=st.sampled_from([EventStatus.CONFIRMED, EventStatus.CONFIRMED, EventStatus.CANCELLED]),
)
listings = st.lists(reads, max_size=5, unique_by=lambda one: one.identity.event_id)


def changes_of(calendar: Calendar, listing: Sequence[NormalisedEvent]) -> CalendarChanges:
    """The events that are there now; those stored and not listed are gone."""
    known = {event.id: event for event in calendar.stored if not event.deleted}
    there = [one for one in listing if one.event.status is not EventStatus.CANCELLED or one.identity.event_id in known]
    listed = {one.identity.event_id for one in there}
    return CalendarChanges(read=there, gone=sorted(known.keys() - listed))


@given(st.lists(listings, min_size=1, max_size=4))
def test_after_any_history_a_sync_without_news_writes_nothing(history: list[list[NormalisedEvent]]) -> None:
    calendar = Calendar(policy())
    for listing in history:
        last = calendar.sync(changes_of(calendar, listing))

    assert what_is_needed(calendar.snapshot(), CalendarChanges(), now=NOW) == Needs([], [], False)
    again = calendar.sync()

    assert again.events.count == 0
    assert (again.claims.written, again.claims.withdrawn, again.successors) == ({}, (), {})
    assert [entry.meeting_key for entry in again.claims.plan] == [entry.meeting_key for entry in last.claims.plan]


@given(st.lists(listings, min_size=1, max_size=4))
def test_the_plan_holds_the_near_meetings_that_are_to_be_recorded(history: list[list[NormalisedEvent]]) -> None:
    calendar = Calendar(policy())
    for listing in history:
        outcome = calendar.sync(changes_of(calendar, listing))
        near = {
            event.meeting_key
            for event in calendar.stored
            if event.outcome == Outcome.RECORD and not event.deleted and event.start_at is not None
            if event.is_ahead(NOW) and event.start_at <= NOW + HORIZON
        }
        assert [entry.meeting_key for entry in outcome.claims.plan] == sorted(near)


@given(st.lists(listings, min_size=1, max_size=4))
def test_each_planned_meeting_and_no_other_to_come_is_claimed(history: list[list[NormalisedEvent]]) -> None:
    calendar = Calendar(policy())
    for listing in history:
        outcome = calendar.sync(changes_of(calendar, listing))
        planned = {entry.meeting_key: entry.target_digest for entry in outcome.claims.plan}
        claimed = {event.meeting_key: event.claimed_digest for event in calendar.stored if event.claimed_digest}
        assert planned.items() <= claimed.items()
        over = {event.meeting_key for event in calendar.stored if event.has_ended(NOW)}
        assert claimed.keys() - planned.keys() <= over


@given(listings, listings, st.randoms(use_true_random=False))
def test_the_order_of_events_changes_nothing(
    before: list[NormalisedEvent], listing: list[NormalisedEvent], shuffling: random.Random
) -> None:
    one, other = synced(*before), synced(*before)
    other.stored = shuffling.sample(list(other.stored), len(other.stored))
    changes = changes_of(one, listing)
    shuffled = CalendarChanges(shuffling.sample(list(changes.read), len(changes.read)), changes.gone)

    first, second = one.sync(changes), other.sync(shuffled)

    assert first.claims.plan == second.claims.plan
    assert first.claims.written == second.claims.written
    assert first.successors == second.successors


@given(st.lists(listings, min_size=1, max_size=3))
def test_changed_rules_come_to_what_a_first_sync_by_them_decides(history: list[list[NormalisedEvent]]) -> None:
    calendar = Calendar(policy())
    for listing in history:
        calendar.sync(changes_of(calendar, listing))
    calendar.policy = policy(RECORD_NONE, version=2)

    outcome = calendar.sync()

    assert outcome.claims.plan == ()
    assert {event.outcome for event in calendar.stored if event.is_ahead(NOW)} <= {Outcome.SKIP}
    assert outcome.decided_policy == outcome.policy_digest == calendar.policy.digest


# Examples


def test_an_unchanged_calendar_needs_nothing_but_the_snapshot() -> None:
    calendar = synced(read("a"), occurrence(0), occurrence(1))

    assert what_is_needed(calendar.snapshot(), CalendarChanges(), now=NOW) == Needs([], [], False)


def test_events_without_a_new_decision_are_not_written_by_changed_rules() -> None:
    calendar = synced(read("a"), read("b", url=None))
    calendar.policy = policy(RECORD_NONE, version=2)

    assert [one.event.provider_event_id for one in calendar.sync().events.redecided] == ["a"]


def test_decisions_are_not_read_again_if_all_events_have_just_changed() -> None:
    calendar = synced(read("a"), read("b"))
    calendar.policy = policy(RECORD_NONE, version=2)
    changes = CalendarChanges(read=[read("a", starts_in=2 * HOUR)], gone=[read("b").identity.event_id])

    assert not what_is_needed(calendar.snapshot(), changes, now=NOW).earlier_decisions
    assert calendar.sync(changes).claims.plan == ()


def test_a_meeting_gone_from_the_calendar_is_no_longer_claimed() -> None:
    calendar = synced(read("a"))

    outcome = calendar.sync(CalendarChanges(gone=[read("a").identity.event_id]))

    assert (outcome.claims.plan, outcome.claims.withdrawn) == ((), (read("a").identity.meeting_key,))


def test_the_claim_of_a_recorded_meeting_that_is_over_stays() -> None:
    key, over = read("a").identity.meeting_key, NOW - HOUR
    calendar = synced(read("a"))
    calendar.stored = [event._replace(start_at=over, end_at=over) for event in calendar.stored]

    outcome = calendar.sync(CalendarChanges(read=[read("a", starts_in=-HOUR, url="https://zoom.us/j/123")]))

    assert (outcome.claims.plan, outcome.claims.withdrawn) == ((), ())
    assert [(event.meeting_key, event.outcome) for event in calendar.stored] == [(key, Outcome.RECORD)]


def test_after_a_long_loss_of_access_nothing_is_recorded_until_all_is_decided_again() -> None:
    calendar = synced(read("a"), read("b", uid="other"))
    calendar.access_given_up = True

    outcome = calendar.sync()

    assert (outcome.claims.plan, len(outcome.claims.withdrawn), outcome.decided_policy) == ((), 2, None)
    assert outcomes(calendar) == {"a": Outcome.SKIP, "b": Outcome.SKIP}
    calendar.access_given_up = False
    assert len(calendar.sync().claims.plan) == 2


def moved_by_half_an_hour(days: int) -> CalendarChanges:
    return CalendarChanges(
        read=[occurrence(day, shifted_by=HOUR / 2) for day in range(days)],
        gone=[occurrence(day).identity.event_id for day in range(days)],
    )


def test_an_override_goes_with_its_occurrence_when_the_series_is_moved() -> None:
    first, second = occurrence(0), occurrence(1)
    calendar = synced(first, second, **{first.identity.meeting_key: "skip"})

    outcome = calendar.sync(moved_by_half_an_hour(2))

    moved = [occurrence(day, shifted_by=HOUR / 2).identity.meeting_key for day in range(2)]
    assert outcome.successors == dict(zip((one.identity.meeting_key for one in (first, second)), moved, strict=True))
    assert [entry.meeting_key for entry in outcome.claims.plan] == [moved[1]]
    assert outcome.decided_policy == calendar.policy.digest
    assert calendar.policy.occurrence_overrides[moved[0]] == "skip"


def test_an_override_of_the_successors_own_beats_the_one_carried_over() -> None:
    first, moved = occurrence(0), occurrence(0, shifted_by=HOUR / 2)
    overrides = {first.identity.meeting_key: "skip", moved.identity.meeting_key: "record"}
    calendar = synced(first, **overrides)

    outcome = calendar.sync(moved_by_half_an_hour(1))

    assert [entry.meeting_key for entry in outcome.claims.plan] == [moved.identity.meeting_key]


def test_an_occurrence_farther_than_half_a_day_succeeds_nobody() -> None:
    first = occurrence(0)
    calendar = synced(first)
    later = occurrence(0, shifted_by=13 * HOUR)

    assert calendar.sync(CalendarChanges(read=[later], gone=[first.identity.event_id])).successors == {}


def test_an_occurrence_of_another_series_succeeds_nobody() -> None:
    first = occurrence(0)
    calendar = synced(first)
    other = read("other", uid="another", starts_in=HOUR, original_in=HOUR)

    assert calendar.sync(CalendarChanges(read=[other], gone=[first.identity.event_id])).successors == {}
