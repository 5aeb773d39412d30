"""events.list: which events a calendar shows, page by page, in full or since a sync token.

The parameters are those of the discovery document; tokens follow developers.google.com/workspace/calendar/api/guides/sync.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sandbox.calendar.copies import copies_on
from sandbox.calendar.instances import Instance, find_occurrence, occurrences, whole_meeting
from sandbox.calendar.records import Calendar, CalendarCopy
from sandbox.google.errors import bad_request, full_sync_required
from sandbox.state import State

_EARLIEST = 0


@dataclass(frozen=True, slots=True)
class ListQuery:
    """The checked parameters of events.list."""

    time_min: datetime | None
    time_max: datetime | None
    updated_min: datetime | None
    single_events: bool
    show_deleted: bool
    order_by: str | None
    event_types: frozenset[str]
    ical_uid: str | None
    text: str | None
    page_size: int
    page_token: str | None
    sync_token: str | None

    def fingerprint(self) -> str:
        """Return a hash of what must stay the same from page to page and from sync to sync."""
        parts = (self.single_events, sorted(self.event_types))
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Page:
    """One page. Only the last one has a sync token; ``incremental``: it began with one."""

    items: Sequence[Instance]
    next_page_token: str | None
    next_sync_token: str | None
    incremental: bool


def list_page(state: State, account: str, calendar: Calendar, query: ListQuery, *, empty: bool = False) -> Page:
    """Return one page. Raises 400 for a malformed token, 410 for one that is no longer valid.

    ``empty``: a page without items that has a next page, as Google may send.
    """
    since = _since(calendar, query)
    offset, taken_at = _page_start(calendar, query, state.change)
    found = _listed(state, copies_on(state, account, calendar.id), query, since)
    size = 0 if empty else query.page_size
    items = found[offset : offset + size]
    end = offset + len(items)
    if empty or end < len(found):
        return Page(items, _token("page", calendar, query, at=end, change=taken_at), None, since is not None)
    return Page(items, None, _sync_token(calendar, query, taken_at), since is not None)


def _listed(state: State, copies: list[CalendarCopy], query: ListQuery, since: int | None) -> list[Instance]:
    if since is not None:
        return [each for each in _changed(state, copies, query, since) if _wanted(each, query)]
    shown = [each for copy in copies for each in _shown(state, copy, query) if _wanted(each, query)]
    if query.order_by == "startTime":
        shown.sort(key=lambda each: each.start)
    elif query.order_by == "updated":
        shown.sort(key=lambda each: each.updated)
    return shown


def _shown(state: State, copy: CalendarCopy, query: ListQuery) -> Iterator[Instance]:
    """One copy's part of a full listing."""
    base = whole_meeting(state, copy)
    if not base.meeting.recurrence:
        if base.overlaps(query.time_min, query.time_max) and (query.show_deleted or not base.cancelled):
            yield base
    elif query.single_events:
        for each in occurrences(state, copy, query.time_min, query.time_max):
            if query.show_deleted or not each.cancelled:
                yield each
    elif query.show_deleted or not base.removed:
        yield from _series(state, copy, query, base)


def _series(state: State, copy: CalendarCopy, query: ListQuery, master: Instance) -> Iterator[Instance]:
    """A series and its changed occurrences.

    Cancelled ones are shown even without showDeleted, as long as the series itself is not deleted.
    """
    in_window = occurrences(state, copy, query.time_min, query.time_max)
    if in_window and copy.occurrences is None:
        yield master
    yield from (each for each in in_window if each.deviation is not None)


def _changed(state: State, copies: list[CalendarCopy], query: ListQuery, since: int) -> Iterator[Instance]:
    """What changed after ``since``, at whatever time it takes place, deletions included."""
    for copy in copies:
        base = whole_meeting(state, copy)
        wholly = max(base.meeting.change, copy.change) > since
        deviations = [d for d in base.meeting.deviations.values() if d.change > since]
        if base.meeting.recurrence and query.single_events:
            yield from _changed_occurrences(state, copy, None if wholly else [d.original_start for d in deviations])
            continue
        if (wholly or deviations) and copy.occurrences is None:
            yield base
        if not base.removed:
            yield from _at(state, copy, [d.original_start for d in deviations])


def _changed_occurrences(state: State, copy: CalendarCopy, only: list[datetime] | None) -> Iterator[Instance]:
    """A changed series brings all its occurrences, also outside the first listing's window."""
    if only is None:
        yield from occurrences(state, copy, None, None)
    else:
        yield from _at(state, copy, only)


def _at(state: State, copy: CalendarCopy, starts: list[datetime]) -> Iterator[Instance]:
    for start in starts:
        instance = find_occurrence(state, copy, start)
        if instance is not None:
            yield instance


def _wanted(instance: Instance, query: ListQuery) -> bool:
    meeting = instance.meeting
    return (
        (not query.event_types or meeting.event_type in query.event_types)
        and (query.ical_uid is None or meeting.uid == query.ical_uid)
        and (query.updated_min is None or instance.updated >= query.updated_min)
        and (query.text is None or query.text.casefold() in f"{instance.title} {instance.description}".casefold())
    )


def _since(calendar: Calendar, query: ListQuery) -> int | None:
    if query.sync_token is None:
        return None
    content = _read(query.sync_token, "sync", "syncToken")
    if (
        content["e"] != calendar.sync_epoch
        or content["c"] != _short(calendar.id)
        or content["f"] != query.fingerprint()
    ):
        raise full_sync_required()
    return int(content["n"])


def _page_start(calendar: Calendar, query: ListQuery, change: int) -> tuple[int, int]:
    """Offset of the page, and the change number at which the traversal began."""
    if query.page_token is None:
        return 0, change
    content = _read(query.page_token, "page", "pageToken")
    if content["f"] != query.fingerprint() or content["c"] != _short(calendar.id):
        raise bad_request("invalid", "Invalid page token value.", "pageToken")
    if query.sync_token is not None and content["e"] != calendar.sync_epoch:
        raise full_sync_required()
    return int(content["at"]), int(content["n"])


def _sync_token(calendar: Calendar, query: ListQuery, taken_at: int) -> str | None:
    """None for an ordered or filtered listing: Google gives no token for one."""
    if query.order_by or query.updated_min or query.ical_uid or query.text:
        return None
    return _token("sync", calendar, query, at=_EARLIEST, change=taken_at)


def _token(kind: str, calendar: Calendar, query: ListQuery, *, at: int, change: int) -> str:
    content = {
        "k": kind,
        "c": _short(calendar.id),
        "e": calendar.sync_epoch,
        "f": query.fingerprint(),
        "n": change,
        "at": at,
    }
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=") + "="


def _read(token: str, kind: str, parameter: str) -> dict[str, Any]:
    try:
        stripped = token.rstrip("=")
        content = json.loads(base64.urlsafe_b64decode(stripped + "=" * (-len(stripped) % 4)))
    except (binascii.Error, ValueError) as error:
        raise bad_request("invalid", "Invalid Value", parameter) from error
    if not isinstance(content, dict) or content.get("k") != kind:
        raise bad_request("invalid", "Invalid Value", parameter)
    return content


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
