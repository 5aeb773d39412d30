"""What one sync comes to: the rows to write, the claims and the plan.

Pure: knows no clock, network or database.

The caller loads a `CalendarSnapshot` and the changes since, asks `what_is_needed` which of the rarely needed things to load as
well, has `decide_sync` decide, and stores the `SyncOutcome` as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from meetbot.calendars.claim_changes import ClaimChanges, claim_changes
from meetbot.calendars.daily_limit import DEFAULT_MAX_BOTS_PER_DAY, NO_LIMIT_CHANGES, LimitChanges, limit_bots
from meetbot.calendars.event_decisions import EarlierDecision, NormalisedEvent, decide_again, decide_events
from meetbot.calendars.listing_diff import ChangedEvent, is_stale
from meetbot.calendars.stored_after import EventChanges, is_skeleton, stored_after, vanished_after
from meetbot.calendars.successors import (
    NO_SUCCESSORS,
    Successors,
    find_successors,
    with_overrides_carried_over,
    with_split_copies,
)
from meetbot.domain.event import Event, EventStatus
from meetbot.domain.identity import identity_of
from meetbot.domain.stored_event import StoredClaim, StoredEvent
from meetbot.rules import Outcome
from meetbot.rules.policy import Policy

_log = structlog.get_logger(__name__)

Normalise = Callable[[ChangedEvent], Event | None]


@dataclass(frozen=True, slots=True)
class CalendarSnapshot:
    """What is stored of one calendar user before a sync.

    ``stored`` are the events that end after ``since`` or have no usable end; ``decided_policy`` is the digest of the policy
    that decided about them. ``access_given_up``: access was lost for longer than the tenant's grace.
    """

    tenant_id: str
    calendar_user_id: str
    policy: Policy
    decided_policy: str | None
    access_given_up: bool
    since: datetime
    stored: Sequence[StoredEvent]
    max_bots_per_day: int = DEFAULT_MAX_BOTS_PER_DAY


@dataclass(frozen=True, slots=True)
class CalendarChanges:
    """The differences from the snapshot: events new or changed, and ids of those gone.

    ``unreadable`` are ids of those whose calendar shows nothing any more. ``skipped`` is how many changed events could not be
    read.
    """

    read: Sequence[NormalisedEvent] = ()
    gone: Sequence[str] = ()
    skipped: int = 0
    unreadable: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Needs:
    """What a decision needs besides the snapshot; nothing of it in nearly every sync.

    ``claims``: meeting keys whose claim the snapshot does not show. ``series_of``: ids of vanished events that may have
    successors. ``earlier_decisions``: whether stored events have to be decided about again.
    """

    claims: Sequence[str] = ()
    series_of: Sequence[str] = ()
    earlier_decisions: bool = False


@dataclass(frozen=True, slots=True)
class Background:
    """What was loaded for `Needs`. ``series_keys`` are by event id."""

    claims: Sequence[StoredClaim] = ()
    series_keys: Mapping[str, str] = field(default_factory=dict)
    earlier_decisions: Sequence[EarlierDecision] = ()


NO_BACKGROUND = Background()


@dataclass(frozen=True, slots=True)
class SyncOutcome:
    """All that a sync writes, and the plan.

    ``decided_policy`` is what the calendar user's row is to say from now on.
    """

    events: EventChanges
    successors: Successors
    claims: ClaimChanges
    policy_digest: str
    decided_policy: str | None
    limits: LimitChanges = NO_LIMIT_CHANGES

    @property
    def changed(self) -> int:
        """Return how many events differ from before, or are decided about differently."""
        return self.events.count + self.limits.count


def read_changes(snapshot: CalendarSnapshot, changed: Iterable[ChangedEvent], normalise: Normalise) -> CalendarChanges:
    """Normalise what has changed, and leave out what is no news.

    That is what names no event, what is older than the stored copy, and what was cancelled before we ever saw it. An event
    that cannot be read is left as it is stored, so that one does not stop the whole calendar.
    """
    read, skipped = [], 0
    for change in changed:
        try:
            event = normalise(change)
        except Exception as error:
            # Any fault at all: which ones a hostile event finds is not known.
            skipped += 1
            _log.error("calendar.event_skipped", tenant_id=snapshot.tenant_id, code=type(error).__name__)
            continue
        if event is None or is_stale(change, event.updated):
            continue
        if event.status is EventStatus.CANCELLED and change.stored is None:
            continue
        known = change.stored.keys if change.stored is not None else None
        identity = identity_of(event, snapshot.tenant_id, snapshot.calendar_user_id, known=known)
        read.append(NormalisedEvent(event, identity, change.fingerprint))
    return CalendarChanges(read=read, skipped=skipped)


def what_is_needed(snapshot: CalendarSnapshot, changes: CalendarChanges, *, now: datetime) -> Needs:
    """Return what `decide_sync` will look at that the snapshot does not hold."""
    appeared = _appeared(snapshot, changes)
    vanished = vanished_after(snapshot.stored, changes.read, changes.gone, now=now) if appeared else []
    return Needs(
        claims=_unseen_claims(snapshot, changes, now),
        series_of=[event.id for event in vanished],
        earlier_decisions=_policy_may_differ(snapshot, vanished) and _some_are_untouched(snapshot, changes, now),
    )


def decide_sync(
    snapshot: CalendarSnapshot, changes: CalendarChanges, background: Background, *, now: datetime, horizon: timedelta
) -> SyncOutcome:
    """Decide what one sync writes, and plan the recordings of the next ``horizon``."""
    successors = _successors(snapshot, changes, background, now)
    policy = with_overrides_carried_over(snapshot.policy, successors)
    touched = _touched(changes)
    earlier = [one for one in background.earlier_decisions if one.read.identity.event_id not in touched]
    events = EventChanges(
        written=tuple(decide_events(policy, changes.read, now=now)),
        gone=tuple(changes.gone),
        redecided=tuple(decide_again(policy, earlier, now=now)),
        given_up=[event_id for event_id in _given_up(snapshot, now) if event_id not in touched],
        unreadable=tuple(changes.unreadable),
    )
    stored = stored_after(snapshot.stored, events, background.claims, since=snapshot.since, now=now)
    stored, limits = limit_bots(stored, snapshot.max_bots_per_day, now=now)
    digest = policy.digest
    return SyncOutcome(
        events=events,
        successors=successors,
        claims=claim_changes(
            stored, snapshot.stored, now=now, horizon=horizon, access_given_up=snapshot.access_given_up
        ),
        policy_digest=digest,
        decided_policy=_decided_policy(snapshot, digest, events.given_up),
        limits=limits,
    )


def _appeared(snapshot: CalendarSnapshot, changes: CalendarChanges) -> list[NormalisedEvent]:
    """Occurrences of series that are not stored yet.

    In a calendar's first sync none counts: nothing precedes it.
    """
    if not changes.read or not snapshot.stored:
        return []
    known = {event.id for event in snapshot.stored}
    return [read for read in changes.read if read.event.recurring and read.identity.event_id not in known]


def _unseen_claims(snapshot: CalendarSnapshot, changes: CalendarChanges, now: datetime) -> list[str]:
    """Return the meetings to come that may be claimed by a version the snapshot does not show."""
    if not changes.read:
        return []
    known = {event.meeting_key for event in snapshot.stored}
    keys = {
        read.identity.meeting_key
        for read in changes.read
        if not is_skeleton(read.event) and (read.event.end is None or read.event.end > now)
    }
    return sorted(keys - known)


def _policy_may_differ(snapshot: CalendarSnapshot, vanished: Iterable[StoredEvent]) -> bool:
    """Return whether decisions were made by another policy, or overrides are carried over."""
    if snapshot.access_given_up:
        return False
    overridden = snapshot.policy.occurrence_overrides
    return snapshot.decided_policy != snapshot.policy.digest or any(one.shared_key in overridden for one in vanished)


def _some_are_untouched(snapshot: CalendarSnapshot, changes: CalendarChanges, now: datetime) -> bool:
    touched = _touched(changes)
    return any(not event.deleted and event.is_ahead(now) and event.id not in touched for event in snapshot.stored)


def _touched(changes: CalendarChanges) -> set[str]:
    return {*(read.identity.event_id for read in changes.read), *changes.gone, *changes.unreadable}


def _successors(
    snapshot: CalendarSnapshot, changes: CalendarChanges, background: Background, now: datetime
) -> Successors:
    found = NO_SUCCESSORS
    if background.series_keys:
        vanished = vanished_after(snapshot.stored, changes.read, changes.gone, now=now)
        found = find_successors(vanished, background.series_keys, _appeared(snapshot, changes))
    return with_split_copies(found, snapshot.stored, changes.read)


def _given_up(snapshot: CalendarSnapshot, now: datetime) -> tuple[str, ...]:
    """The meetings to come that are no longer recorded because access was lost for too long."""
    if not snapshot.access_given_up:
        return ()
    return tuple(
        event.id
        for event in snapshot.stored
        if event.outcome == Outcome.RECORD and not event.deleted and event.is_ahead(now)
    )


def _decided_policy(snapshot: CalendarSnapshot, digest: str, given_up: Sequence[str]) -> str | None:
    if not snapshot.access_given_up:
        return digest
    # None is no policy's digest: once the user has reconnected, all is decided again.
    return None if given_up else snapshot.decided_policy
