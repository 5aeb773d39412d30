"""A calendar user's limit of bots a day: which meetings go beyond it. Pure.

A guest list is the sender's own words, so that anybody can make a rule such as "customers" send bots at the customer's cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from meetbot.domain.decision import ReasonCode
from meetbot.domain.stored_event import StoredEvent
from meetbot.rules import Outcome

DEFAULT_MAX_BOTS_PER_DAY = 50
_RECORD = str(Outcome.RECORD)
_SKIP = str(Outcome.SKIP)


@dataclass(frozen=True, slots=True)
class LimitChanges:
    """The events, by id, that the limit skips from now on, and those that it lets go again."""

    skipped: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Return how many events are decided about differently."""
        return len(self.skipped) + len(self.allowed)


NO_LIMIT_CHANGES = LimitChanges()


def limit_bots(
    stored: Sequence[StoredEvent], most: int, *, now: datetime
) -> tuple[Sequence[StoredEvent], LimitChanges]:
    """Return the events as the limit leaves them, and what it changes.

    A day is one of UTC, by the meeting's start. Meetings with an override to record come first and are never skipped; then
    those that are claimed, so that a flood of invitations takes no bot from anybody; then the earliest.
    """
    beyond = _beyond(stored, most)
    skipped = tuple(
        event.id for event in stored if event.id in beyond and event.outcome == _RECORD and event.is_ahead(now)
    )
    allowed = tuple(
        event.id for event in stored if _was_limited(event) and event.id not in beyond and event.is_ahead(now)
    )
    if not skipped and not allowed:
        return stored, NO_LIMIT_CHANGES
    changed = dict.fromkeys(skipped, (_SKIP, ReasonCode.DAILY_LIMIT.value))
    changed |= dict.fromkeys(allowed, (_RECORD, ReasonCode.RULE_MATCHED.value))
    return [_decided(event, changed.get(event.id)) for event in stored], LimitChanges(skipped, allowed)


def _beyond(stored: Iterable[StoredEvent], most: int) -> set[str]:
    """Return the ids of all events of meetings beyond the limit of their day."""
    days: dict[date, dict[str, list[StoredEvent]]] = {}
    for event in stored:
        if event.start_at is not None and (event.outcome == _RECORD or _was_limited(event)) and not event.deleted:
            day = days.setdefault(event.start_at.astimezone(UTC).date(), {})
            day.setdefault(event.meeting_key, []).append(event)
    beyond: set[str] = set()
    for meetings in days.values():
        if len(meetings) > most:
            for key in sorted(meetings, key=lambda key: _rank(meetings[key]))[most:]:
                beyond.update(event.id for event in meetings[key] if not _is_overridden(event))
    return beyond


def _rank(copies: Sequence[StoredEvent]) -> tuple[bool, bool, str, str]:
    return (
        not any(_is_overridden(copy) for copy in copies),
        not any(copy.claimed_digest is not None for copy in copies),
        min(copy.start_at.astimezone(UTC).isoformat() for copy in copies if copy.start_at is not None),
        copies[0].meeting_key,
    )


def _is_overridden(event: StoredEvent) -> bool:
    return event.reason == ReasonCode.OVERRIDE_RECORD


def _was_limited(event: StoredEvent) -> bool:
    return event.outcome == _SKIP and event.reason == ReasonCode.DAILY_LIMIT and not event.deleted


def _decided(event: StoredEvent, new: tuple[str, str] | None) -> StoredEvent:
    return event if new is None else event._replace(outcome=new[0], reason=new[1])
