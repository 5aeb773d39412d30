"""The stored events as they will be once a sync is written, to plan on before. Pure.

This says in Python what the statements of `meetbot.storage.events` do to the few columns that planning looks at.
`tests/integration/test_stored_after.py` holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from meetbot.calendars.event_decisions import DecidedEvent, NormalisedEvent
from meetbot.domain.decision import ReasonCode
from meetbot.domain.event import Event, EventStatus
from meetbot.domain.identity import Identity
from meetbot.domain.stored_event import StoredClaim, StoredEvent
from meetbot.rules import Outcome

_ACCESS_REVOKED = ReasonCode.ACCESS_REVOKED.value
_CANCELLED = ReasonCode.CANCELLED.value


@dataclass(frozen=True, slots=True)
class EventChanges:
    """What a sync writes to events.

    ``written`` are new or changed events, ``redecided`` unchanged ones about which something else is decided now. The others
    are ids: ``gone`` become tombstones, ``given_up`` are not recorded for want of access to the account, and ``unreadable``
    become tombstones for want of access to their calendar.
    """

    written: Sequence[DecidedEvent] = ()
    gone: Sequence[str] = ()
    redecided: Sequence[DecidedEvent] = ()
    given_up: Sequence[str] = ()
    unreadable: Sequence[str] = ()

    @property
    def count(self) -> int:
        """Return how many events differ from before, or are decided about differently."""
        groups = (self.written, self.gone, self.redecided, self.given_up, self.unreadable)
        return sum(len(group) for group in groups)


def is_skeleton(event: Event) -> bool:
    """Return whether this is a cancelled event that came back without content.

    What it was stays stored.
    """
    return event.status is EventStatus.CANCELLED and event.start is None


def stored_after(
    stored: Sequence[StoredEvent],
    changes: EventChanges,
    unseen: Iterable[StoredClaim],
    *,
    since: datetime,
    now: datetime,
) -> Sequence[StoredEvent]:
    """Return the events as they are after the writing, but none that ended by ``since``.

    An event without a usable end counts as one that has not ended.

    ``unseen`` are claims on meetings of which no event was stored.
    """
    if not changes.count:
        return stored
    claims = {event.meeting_key: _claim_of(event) for event in stored if event.claimed_digest is not None}
    claims |= {claim.meeting_key: claim[1:] for claim in unseen}
    after = {event.id: event for event in stored}
    for new in changes.written:
        old = after.get(new.identity.event_id)
        event = _overwritten(old, new.event, new.identity, new.fingerprint)
        outcome, reason = str(new.decision.outcome), str(new.decision.reason)
        if old is not None and _was_over(old, new.event, now):
            outcome, reason = old.outcome, old.reason
        claimed_event_id, claimed_digest, acknowledged_digest = claims.get(event.meeting_key, (None, None, None))
        after[event.id] = event._replace(
            outcome=outcome,
            reason=reason,
            claimed_event_id=claimed_event_id,
            claimed_digest=claimed_digest,
            acknowledged_digest=acknowledged_digest,
        )
    for ids, reason in ((changes.gone, _CANCELLED), (changes.unreadable, _ACCESS_REVOKED)):
        after |= {one: _tombstone(after[one], now, reason=reason) for one in ids if one in after}
    for new in changes.redecided:
        if (known := after.get(new.identity.event_id)) is not None:
            after[known.id] = known._replace(outcome=str(new.decision.outcome), reason=str(new.decision.reason))
    for event_id in changes.given_up:
        after[event_id] = after[event_id]._replace(outcome=str(Outcome.SKIP), reason=_ACCESS_REVOKED)
    return [event for event in after.values() if event.end_at is None or event.end_at > since]


def vanished_after(
    stored: Iterable[StoredEvent], read: Iterable[NormalisedEvent], gone: Iterable[str], *, now: datetime
) -> list[StoredEvent]:
    """Return future events that are off the calendar, before this sync or after it."""
    changed = {one.identity.event_id: one for one in read}
    left = frozenset(gone)
    vanished = []
    for event in stored:
        new = changed.get(event.id)
        if new is not None:
            after = _overwritten(event, new.event, new.identity, new.fingerprint)
        else:
            after = _tombstone(event, now) if event.id in left else event
        if after.deleted and after.is_ahead(now):
            vanished.append(after)
    return vanished


def _overwritten(old: StoredEvent | None, event: Event, identity: Identity, fingerprint: bytes) -> StoredEvent:
    deleted = event.status is EventStatus.CANCELLED
    if old is not None and is_skeleton(event):
        return old._replace(deleted=True, fingerprint=fingerprint, provider_updated=event.updated)
    return StoredEvent(
        id=identity.event_id,
        calendar_id=event.calendar_id,
        provider_event_id=event.provider_event_id,
        fingerprint=fingerprint,
        deleted=deleted,
        start_at=event.start,
        end_at=event.end,
        outcome=old.outcome if old is not None else str(Outcome.SKIP),
        shared_key=identity.shared_key,
        meeting_key=identity.meeting_key,
        meeting_url=event.link.url if event.link is not None else None,
        provider_updated=event.updated,
        is_organizer=event.is_organizer,
        claimed_event_id=old.claimed_event_id if old is not None else None,
        claimed_digest=old.claimed_digest if old is not None else None,
        acknowledged_digest=old.acknowledged_digest if old is not None else None,
        is_unsettled=old.is_unsettled if old is not None else False,
    )


def _was_over(old: StoredEvent, event: Event, now: datetime) -> bool:
    """Return whether the meeting is over in both versions.

    Its decision then stays as it is, so that the reason can still be read.
    """
    if old.deleted or not old.has_ended(now):
        return False
    return event.end is None or event.end <= now


def _tombstone(event: StoredEvent, now: datetime, *, reason: str = _CANCELLED) -> StoredEvent:
    outcome, why = (event.outcome, event.reason) if event.has_ended(now) else (str(Outcome.SKIP), reason)
    return event._replace(deleted=True, fingerprint=b"", outcome=outcome, reason=why)


def _claim_of(event: StoredEvent) -> tuple[str | None, str | None, str | None]:
    return event.claimed_event_id, event.claimed_digest, event.acknowledged_digest
