"""The differences between a provider's listing and the stored events.

Pure: knows no clock, network or database.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson

from meetbot.domain.stored_event import StoredEvent
from meetbot.providers.base import Listing, RawEvent
from meetbot.providers.wire_json import parse_object

_FINGERPRINT_BYTES = 16
# Grows when normalising itself changes, so that stored events are read anew after a deployment.
_NORMALISING_REVISION = b"3"
_LOOK_BACK = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span of time: its events end after ``start`` and begin before ``end``."""

    start: datetime
    end: datetime


def window_at(now: datetime, days_ahead: int) -> Window:
    """Return the window to list: from a day ago to ``days_ahead`` days ahead."""
    return Window(start=now - _LOOK_BACK, end=now + timedelta(days=days_ahead))


def fingerprint(body: bytes) -> bytes:
    """Return a digest of the provider's JSON, which any change of the event changes.

    SHA-256 because processors have it built in: every event of every sync is digested.
    """
    return hashlib.sha256(_NORMALISING_REVISION + body).digest()[:_FINGERPRINT_BYTES]


@dataclass(frozen=True, slots=True)
class ChangedEvent:
    """An event that is new or differs from what is stored, as the provider gave it.

    ``stored`` is None if it is new.
    """

    calendar_id: str
    raw: RawEvent
    fingerprint: bytes
    stored: StoredEvent | None


def fingerprint_of(raw: RawEvent) -> bytes:
    """Return the fingerprint of an event that was asked for by itself.

    A listing may word the same event differently, which then counts as a change.
    """
    return fingerprint(orjson.dumps(raw))


@dataclass(frozen=True, slots=True)
class Difference:
    """The changed events, and the missing ones.

    ``changed`` is to be written; ``missing`` was expected in a complete listing and was not there. ``left`` are ids of events
    on calendars that are not read any more.
    """

    changed: tuple[ChangedEvent, ...]
    missing: tuple[StoredEvent, ...]
    left: tuple[str, ...] = ()


def compare(stored: Sequence[StoredEvent], listing: Listing, window: Window, *, now: datetime) -> Difference:
    """Return what of the listing is new or different, and which stored events are missing.

    Absence counts only if the calendar was read to its end.
    """
    by_provider_id = {(event.calendar_id, event.provider_event_id): event for event in stored}
    changed: list[ChangedEvent] = []
    seen: set[tuple[str, str]] = set()
    for listed in listing.events:
        key = (listed.calendar_id, listed.id)
        if not listed.id or key in seen:
            continue
        seen.add(key)
        known, digest = by_provider_id.get(key), fingerprint(listed.body)
        if known is None or known.fingerprint != digest:
            changed.append(ChangedEvent(listed.calendar_id, parse_object(listed.body) or {}, digest, known))
    missing = tuple(
        event
        for key, event in by_provider_id.items()
        if key not in seen and _expected(event, window) and event.calendar_id in listing.complete_calendars
    )
    return Difference(tuple(changed), missing, left_with(stored, listing.read_calendars, now=now))


def left_with(stored: Sequence[StoredEvent], read: Collection[str], *, now: datetime) -> tuple[str, ...]:
    """Return the ids of events to come that are on other calendars than those that are read.

    They leave without a question to the provider: nobody wants to know of them, or there is nobody to ask. What is over
    stays as it was.
    """
    return tuple(one.id for one in stored if one.calendar_id not in read and not one.deleted and not one.has_ended(now))


def _expected(event: StoredEvent, window: Window) -> bool:
    """Return whether a listing of the window ought to hold it.

    An unusable time may be any; a start alone is an end too.
    """
    end = event.end_at or event.start_at
    begins_in_time = event.start_at is None or event.start_at < window.end
    return not event.deleted and begins_in_time and (end is None or end > window.start)


def is_stale(changed: ChangedEvent, updated: datetime | None) -> bool:
    """Return whether something fresher was stored meanwhile, for example by the re-check."""
    stored = changed.stored
    if stored is None or stored.deleted or updated is None or stored.provider_updated is None:
        return False
    return updated < stored.provider_updated
