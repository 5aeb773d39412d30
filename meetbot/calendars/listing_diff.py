"""What a listing of the provider's changes about what is stored. Pure: knows no clock, network or database."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson

from meetbot.providers.base import Listing, RawEvent
from meetbot.providers.wire_json import parse_object
from meetbot.storage.events import StoredEvent

_FINGERPRINT_BYTES = 16
# Grows when normalising itself changes, so that stored events are read anew after a deployment.
_NORMALISING_REVISION = b"2"
LOOK_BACK = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open: events that end after ``start`` and begin before ``end`` are listed."""

    start: datetime
    end: datetime


def window_at(now: datetime, days_ahead: int) -> Window:
    return Window(start=now - LOOK_BACK, end=now + timedelta(days=days_ahead))


def fingerprint(body: bytes) -> bytes:
    """Digest of the provider's JSON. Whatever we can see of an event, a change of it changes this.

    SHA-256 because processors have it built in: every event of every sync is digested.
    """
    return hashlib.sha256(_NORMALISING_REVISION + body).digest()[:_FINGERPRINT_BYTES]


@dataclass(frozen=True, slots=True)
class ChangedEvent:
    calendar_id: str
    raw: RawEvent
    fingerprint: bytes
    stored: StoredEvent | None


def fingerprint_of(raw: RawEvent) -> bytes:
    """Of an event that was asked for by itself. A listing may word the same differently, which then counts as a change."""
    return fingerprint(orjson.dumps(raw))


@dataclass(frozen=True, slots=True)
class Comparison:
    """``changed`` is to be written, ``missing`` was expected in a complete listing and was not there."""

    changed: tuple[ChangedEvent, ...]
    missing: tuple[StoredEvent, ...]


def compare(stored: Sequence[StoredEvent], listing: Listing, window: Window) -> Comparison:
    """What of the listing is new or different, and what of the stored is unaccounted for.

    Absence speaks only where the calendar was read to its end, or where the calendar itself is no longer among the user's.
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
        if key not in seen and _expected(event, window) and event.calendar_id not in listing.failed_calendars
    )
    return Comparison(tuple(changed), missing)


def _expected(event: StoredEvent, window: Window) -> bool:
    """Whether a listing of the window ought to hold it. An unusable time may be any; a start alone is an end too."""
    end = event.end_at or event.start_at
    begins_in_time = event.start_at is None or event.start_at < window.end
    return not event.deleted and begins_in_time and (end is None or end > window.start)


def is_stale(changed: ChangedEvent, updated: datetime | None) -> bool:
    """Whether something fresher than this listing was stored meanwhile, as by the re-check before a dispatch."""
    stored = changed.stored
    if stored is None or stored.deleted or updated is None or stored.provider_updated is None:
        return False
    return updated < stored.provider_updated
