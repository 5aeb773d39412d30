"""The lookup of stored events that a complete listing does not show, one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from meetbot.calendars.listing_diff import ChangedEvent, fingerprint_of
from meetbot.domain.event import Event
from meetbot.domain.stored_event import StoredEvent
from meetbot.errors import ProviderError, ResourceGone
from meetbot.providers.base import RawEvent

# The provider is asked for each missing event, to tell "moved far away" from "gone". If more events are missing (a series was
# cut short, say), the rest count as gone if all events asked for are gone; otherwise the rest wait for the next sync.
_MAX_LOOKED_UP = 25


@dataclass(frozen=True, slots=True)
class LookedUp:
    """What the lookup found: ``found`` are elsewhere or changed, ``gone`` are ids.

    Events about which nothing could be learnt are in neither.
    """

    found: tuple[ChangedEvent, ...]
    gone: tuple[str, ...]


def look_up_missing(
    missing: Sequence[StoredEvent],
    get_event: Callable[[StoredEvent], RawEvent],
    normalise: Callable[[ChangedEvent], Event | None],
    *,
    now: datetime,
) -> LookedUp:
    """Ask for the missing events, the most urgent first, until the provider fails.

    ``get_event`` raises `ResourceGone` for an event that is gone, and other `ProviderError`s if the provider does not say.
    """
    by_urgency = sorted(missing, key=lambda event: _urgency(event, now))
    found: list[ChangedEvent] = []
    gone: list[str] = []
    unchanged = 0
    for event in by_urgency[:_MAX_LOOKED_UP]:
        try:
            raw = get_event(event)
        except ResourceGone:
            gone.append(event.id)
            continue
        except ProviderError:
            return LookedUp(tuple(found), tuple(gone))
        answer = ChangedEvent(event.calendar_id, raw, fingerprint_of(raw), event)
        try:
            is_event = normalise(answer) is not None
        except Exception:
            # There is something that cannot be read: nothing is learnt about the event, and the others still count.
            unchanged += 1
            continue
        if not is_event:
            # What is no event any more, as a meeting that has become the master of a series, is gone too.
            gone.append(event.id)
        elif answer.fingerprint == event.fingerprint:
            unchanged += 1
        else:
            found.append(answer)
    if not found and not unchanged:
        # All events asked for are gone, so the other missing events count as gone too. An event without a usable start
        # may never have been listed, so its absence says nothing.
        gone += [event.id for event in by_urgency[_MAX_LOOKED_UP:] if event.start_at is not None]
    return LookedUp(tuple(found), tuple(gone))


def _urgency(event: StoredEvent, now: datetime) -> tuple[bool, bool, datetime, str]:
    """Return a sort key: the soonest first, then those without a start, then those over.

    No bot waits for an event without a usable start.
    """
    return event.has_ended(now), event.start_at is None, event.start_at or now, event.id
