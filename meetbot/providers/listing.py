"""Reading a user's calendars page by page, with an end to everything.

A listing has one time budget. The primary calendar comes first and its failure is the listing's; another calendar's
failure only keeps that calendar out of `Listing.complete_calendars`, so that nothing is concluded from its absence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from meetbot.domain.event import Provider
from meetbot.errors import AccessTokenRejected, ProviderError, ResourceGone, RetryLater
from meetbot.providers.base import ListedEvent, Listing
from meetbot.providers.http import Answer, AnswerTooLarge, Deadline
from meetbot.providers.times import parse_instant
from meetbot.providers.wire_json import RawItem

PRIMARY = "primary"
"""Our id for an account's own calendar, at both providers: it stays when the account's address changes, and it is the
same whether or not we may see the list of calendars. Google takes it as an alias in its paths."""

MAX_CALENDARS = 25
MAX_CALENDAR_LIST_PAGES = 20
MAX_PAGES = 40
MAX_EVENTS = 20_000
MAX_BYTES = 128 * 1024 * 1024
LISTING_SECONDS = 180.0

_SMALL_PAGE_DIVISOR = 10
_LONGEST_CURSOR = 16 * 1024

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CalendarRef:
    """A calendar to read: the id we know it by, and the one that stands in the provider's paths."""

    id: str
    path_id: str


@dataclass(frozen=True, slots=True)
class Page:
    """One page. ``next`` is what fetches the following one; ``size`` is in bytes; ``readable`` is False where the
    provider withholds the details, not ``intact`` where something on the page named no event."""

    items: Sequence[RawItem]
    next: str | None
    size: int
    readable: bool = True
    intact: bool = True


@dataclass(frozen=True, slots=True)
class Source:
    """How one provider's calendars are read. ``fetch(calendar, next, page_size)`` raises `ProviderError`s;
    ``is_gone(calendar)`` asks the provider once more about a calendar that answered 404."""

    provider: Provider
    fetch: Callable[[CalendarRef, str | None, int], Page]
    is_gone: Callable[[CalendarRef], bool]
    page_size: int


@dataclass(slots=True)
class _Allowance:
    """What one whole listing may still use, over all of its calendars."""

    deadline: Deadline
    bytes_left: int


@dataclass(slots=True)
class _Reading:
    """What was read of one calendar: to its last page, or as far as it went and, if something broke, why."""

    events: dict[str, RawItem] = field(default_factory=dict)
    complete: bool = False
    failure: ProviderError | None = None


def read_calendars(source: Source, calendars: Sequence[CalendarRef], deadline: Deadline) -> Listing:
    """All events of the calendars; ``calendars`` has the primary one first.

    Raises the `ProviderError` of the primary calendar, and `AccessTokenRejected` whichever calendar met it.
    """
    events: list[ListedEvent] = []
    complete: set[str] = set()
    failed: set[str] = set()
    allowance = _Allowance(deadline, MAX_BYTES)
    throttled = False
    for calendar in calendars:
        # Once throttled, going on would only be throttled again: the others say nothing until the next sync.
        reading = _Reading() if throttled else _read_calendar(source, calendar, allowance)
        if reading.failure is not None:
            throttled = reading.failure.code == "rate_limited"
            reading = _after_failure(source, calendar, reading, reading.failure)
        events.extend(ListedEvent(calendar.id, item.id, item.body) for item in reading.events.values())
        (complete if reading.complete else failed).add(calendar.id)
    return Listing(events, frozenset(complete), frozenset(failed))


def _after_failure(source: Source, calendar: CalendarRef, reading: _Reading, failure: ProviderError) -> _Reading:
    """What a failure leaves of a calendar: nothing certain, or, where it is gone for sure, certainly no events."""
    if calendar.id == PRIMARY or isinstance(failure, AccessTokenRejected):
        raise failure
    log.warning("calendar.not_listed", provider=source.provider.value, code=failure.code)
    if isinstance(failure, ResourceGone) and _is_gone(source, calendar):
        return _Reading(complete=True)
    return reading


def _is_gone(source: Source, calendar: CalendarRef) -> bool:
    """A 404 right after the calendar was listed is a contradiction; only a second witness cancels what it held."""
    try:
        return source.is_gone(calendar)
    except AccessTokenRejected:
        raise
    except ProviderError as failure:
        log.warning("calendar.not_confirmed", provider=source.provider.value, code=failure.code)
        return False


def _read_calendar(source: Source, calendar: CalendarRef, allowance: _Allowance) -> _Reading:
    reading = _Reading()
    try:
        try:
            _read_pages(source, calendar, source.page_size, reading, allowance)
        except AnswerTooLarge:
            _read_pages(source, calendar, source.page_size // _SMALL_PAGE_DIVISOR, reading, allowance)
    except ProviderError as failure:
        reading.failure = failure
    return reading


def _read_pages(
    source: Source, calendar: CalendarRef, page_size: int, reading: _Reading, allowance: _Allowance
) -> None:
    """Fill ``reading``, complete only when the last page was read within all limits."""
    cursor: str | None = None
    seen: set[str] = set()
    intact = True
    for _ in range(MAX_PAGES):
        if allowance.deadline.remaining() <= 0:
            raise RetryLater("listing_timeout", f"{source.provider}: the calendars took too long to read")
        if allowance.bytes_left <= 0 or len(reading.events) > MAX_EVENTS:
            break
        page = source.fetch(calendar, cursor, page_size)
        if not page.readable:
            break
        allowance.bytes_left -= page.size
        _add(reading.events, page.items)
        intact = intact and page.intact
        cursor = page.next
        if cursor is None:
            # What could not be made out may be the very event that seems to be missing.
            reading.complete = intact
            return
        if cursor in seen:
            raise RetryLater("page_loop", f"{source.provider}: a page leads back to an earlier one")
        seen.add(cursor)
    log.warning("calendar.cut_short", provider=source.provider.value, events=len(reading.events))


def _add(events: dict[str, RawItem], items: Sequence[RawItem]) -> None:
    """An event can come twice when the calendar changes between two pages: the newest version stays."""
    for item in items:
        earlier = events.get(item.id)
        if earlier is None or not _is_older(item, earlier):
            events[item.id] = item


def _is_older(one: RawItem, other: RawItem) -> bool:
    mine, others = parse_instant(one.updated), parse_instant(other.updated)
    return mine is not None and others is not None and mine < others


def read_calendar_list(
    fetch: Callable[[str | None], tuple[list[object], str | None]], provider: Provider
) -> list[Mapping[str, Any]]:
    """All entries of a list of calendars. ``fetch`` answers one page's items and what leads to the next.

    Raises `RetryLater` where the list has no end: reading only its front would make the rest look deleted.
    """
    entries: list[Mapping[str, Any]] = []
    cursor: str | None = None
    for _ in range(MAX_CALENDAR_LIST_PAGES):
        items, cursor = fetch(cursor)
        entries.extend(item for item in items if isinstance(item, dict))
        if cursor is None:
            return entries
    raise RetryLater("too_many_calendars", f"{provider}: the list of calendars does not end")


def malformed_list(answer: Answer, provider: Provider) -> RetryLater:
    return RetryLater("malformed_answer", f"{provider}: status {answer.status} without a list of events")


def item_list(items: object, provider: Provider) -> list[object]:
    if not isinstance(items, list):
        raise RetryLater("malformed_answer", f"{provider}: a list answer without a list")
    return items


def next_cursor(cursor: object, provider: Provider) -> str | None:
    """What leads to the next page; None on the last one."""
    if cursor is None or cursor == "":
        return None
    if not isinstance(cursor, str) or len(cursor) > _LONGEST_CURSOR:
        raise RetryLater("malformed_answer", f"{provider}: a page that does not say what follows")
    return cursor
