"""Read a user's calendars page by page, bounded in time, bytes, pages and events.

One deadline holds for the whole listing. The primary calendar comes first, and the listing fails if it fails.
If another calendar fails, that calendar is left out of `Listing.complete_calendars`, so that its missing events are
not taken for deleted ones. Without the primary one, the listing fails if every calendar fails for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from meetbot.domain.account_calendar import AccountCalendar
from meetbot.domain.event import Provider
from meetbot.errors import AccessTokenRejected, ProviderError, ReconnectRequired, ResourceGone, RetryLater
from meetbot.providers.base import PRIMARY, CalendarRef, ListedEvent, Listing
from meetbot.providers.http import Answer, AnswerTooLarge, Deadline
from meetbot.providers.times import parse_instant
from meetbot.providers.wire_json import RawItem

MAX_CALENDAR_LIST_PAGES = 20
MAX_PAGES = 2_000
"""Google may send any number of empty pages that lead on: time is the bound that counts."""
MAX_EVENTS = 20_000
"""Deleted ones do not count: they are small, and only ``MAX_BYTES`` bounds them."""
MAX_BYTES = 128 * 1024 * 1024
LISTING_SECONDS = 120.0
"""Shorter than the activity that lists may take, so that the reason is noted."""

FREE_BUSY_ONLY = "free_busy_only"
REFUSED = "calendar_refused"
LIST_DENIED = "calendar_list_denied"
NOT_LISTED = "calendar_not_listed"
"""The codes of faults of one calendar, besides those of requests."""

# What an answer about one calendar may mean besides that calendar; the account's own one has answered.
_OF_THE_CALENDAR = frozenset({"access_denied", "forbidden"})
_SMALL_PAGE_DIVISOR = 10
_LONGEST_CURSOR = 16 * 1024

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a calendar's events.

    ``next`` is what fetches the following page, None on the last one; ``size`` is in bytes. ``readable`` is False if
    the provider withholds the details, ``skipped`` is how many entries were no events with an id.
    """

    items: Sequence[RawItem]
    next: str | None
    size: int
    readable: bool = True
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Source:
    """The way in which one provider's calendars are read.

    ``fetch(calendar, next, page_size)`` returns a page and raises `ProviderError`s; ``is_gone(calendar)`` asks the
    provider once more about a calendar that answered 404.
    """

    provider: Provider
    fetch: Callable[[CalendarRef, str | None, int], Page]
    is_gone: Callable[[CalendarRef], bool]
    page_size: int


@dataclass(frozen=True, slots=True)
class ToRead:
    """The calendars to read, the primary one first.

    ``absent`` were read until now and are no longer in ``listed``, the account's whole list. That is None if it may not be
    read: then nothing is known of them.
    """

    calendars: Sequence[CalendarRef]
    absent: Sequence[str] = ()
    listed: tuple[AccountCalendar, ...] | None = None


@dataclass(slots=True)
class _Allowance:
    """The time and bytes that a listing may still use, for all of its calendars together."""

    deadline: Deadline
    bytes_left: int


@dataclass(slots=True)
class _CalendarPages:
    """The events that were read of one calendar, whether those are all, and any failure.

    ``live`` is how many of them are not deleted, ``fault`` why they are not all, ``skipped`` how many entries were no
    events.
    """

    events: dict[str, RawItem] = field(default_factory=dict)
    live: int = 0
    complete: bool = False
    failure: ProviderError | None = None
    fault: str | None = None
    is_refused: bool = False
    is_gone: bool = False
    skipped: int = 0


def read_calendars(source: Source, to_read: ToRead, deadline: Deadline) -> Listing:
    """Return all events of the calendars.

    Raises the `ProviderError` of the primary calendar, and an `AccessTokenRejected` of any calendar. Without the primary
    one, raises the first failure if all calendars fail and may answer later.
    """
    found: dict[str, _CalendarPages] = {}
    allowance = _Allowance(deadline, MAX_BYTES)
    refusal: RetryLater | None = None
    for calendar in to_read.calendars:
        # After one throttled request the next would be throttled too: the other calendars wait for the next sync.
        pages = (
            _CalendarPages(fault="rate_limited") if refusal is not None else _read_calendar(source, calendar, allowance)
        )
        if pages.failure is not None:
            refusal = _throttled(pages.failure)
            pages = _after_failure(source, calendar, pages, pages.failure)
        found[calendar.id] = pages
    _raise_if_none_answers(found)
    for calendar_id in to_read.absent:
        found[calendar_id] = _of_absent(source, calendar_id, is_list_known=to_read.listed is not None)
    return _listing(found, refusal, to_read.listed)


def _listing(
    found: Mapping[str, _CalendarPages], refusal: RetryLater | None, listed: tuple[AccountCalendar, ...] | None
) -> Listing:
    return Listing(
        events=[
            ListedEvent(name, item.id, item.body) for name, pages in found.items() for item in pages.events.values()
        ],
        complete_calendars=frozenset(name for name, pages in found.items() if pages.complete),
        failed_calendars=frozenset(name for name, pages in found.items() if not (pages.complete or pages.is_gone)),
        faults={name: pages.fault for name, pages in found.items() if pages.fault is not None},
        skipped=sum(pages.skipped for pages in found.values()),
        refusal=refusal,
        refused_calendars=frozenset(name for name, pages in found.items() if pages.is_refused),
        gone_calendars=frozenset(name for name, pages in found.items() if pages.is_gone),
        calendars=listed,
    )


def _raise_if_none_answers(found: Mapping[str, _CalendarPages]) -> None:
    """Raise the outage that kept all calendars from answering.

    It is the listing's, as that of the primary calendar is.
    """
    if PRIMARY in found or any(one.complete or one.is_refused or one.is_gone for one in found.values()):
        return
    for pages in found.values():
        if pages.failure is not None:
            raise pages.failure


def _of_absent(source: Source, calendar_id: str, *, is_list_known: bool) -> _CalendarPages:
    """Return what is known of a calendar that has left the account's list."""
    if not is_list_known:
        return _CalendarPages(fault=LIST_DENIED, is_refused=True)
    if _is_gone(source, CalendarRef(calendar_id, calendar_id)):
        return _CalendarPages(is_gone=True)
    # The list was wrong, or the answer about the calendar is: the next sync asks again.
    return _CalendarPages(fault=NOT_LISTED)


def _throttled(failure: ProviderError) -> RetryLater | None:
    """Return the failure if it asks for a pause, or is about too many requests."""
    asks = isinstance(failure, RetryLater) and (failure.code == "rate_limited" or failure.retry_after is not None)
    return failure if isinstance(failure, RetryLater) and asks else None


def _after_failure(
    source: Source, calendar: CalendarRef, pages: _CalendarPages, failure: ProviderError
) -> _CalendarPages:
    """Return what is known of a calendar after a failure.

    That is what was read so far, or that the calendar is gone and has no events.
    """
    if calendar.id == PRIMARY or isinstance(failure, AccessTokenRejected):
        raise failure
    _log.warning("calendar.not_listed", provider=source.provider.value, code=failure.code)
    if isinstance(failure, ResourceGone) and _is_gone(source, calendar):
        return _CalendarPages(is_gone=True)
    pages.is_refused = isinstance(failure, ResourceGone | ReconnectRequired) or failure.code in _OF_THE_CALENDAR
    pages.fault = REFUSED if pages.is_refused else failure.code
    return pages


def _is_gone(source: Source, calendar: CalendarRef) -> bool:
    """Ask once more about a calendar that answered 404, before its events are dropped.

    The list of calendars named the calendar just before, so the 404 may be wrong.
    """
    try:
        return source.is_gone(calendar)
    except AccessTokenRejected:
        raise
    except ProviderError as failure:
        _log.warning("calendar.not_confirmed", provider=source.provider.value, code=failure.code)
        return False


def _read_calendar(source: Source, calendar: CalendarRef, allowance: _Allowance) -> _CalendarPages:
    pages = _CalendarPages()
    try:
        try:
            _read_pages(source, calendar, source.page_size, pages, allowance)
        except AnswerTooLarge:
            _read_pages(source, calendar, source.page_size // _SMALL_PAGE_DIVISOR, pages, allowance)
    except ProviderError as failure:
        pages.failure = failure
    return pages


def _read_pages(
    source: Source, calendar: CalendarRef, page_size: int, pages: _CalendarPages, allowance: _Allowance
) -> None:
    """Fill ``pages``; it is complete only if the last page was read within all limits."""
    cursor: str | None = None
    seen: set[str] = set()
    pages.fault = None
    for _ in range(MAX_PAGES):
        if allowance.deadline.remaining() <= 0:
            raise RetryLater("listing_timeout", f"{source.provider}: the calendars took too long to read")
        if allowance.bytes_left <= 0 or pages.live > MAX_EVENTS:
            break
        page = source.fetch(calendar, cursor, page_size)
        if not page.readable:
            pages.fault, pages.is_refused = FREE_BUSY_ONLY, True
            return
        allowance.bytes_left -= page.size
        _add(pages, page.items)
        pages.skipped += page.skipped
        cursor = page.next
        if cursor is None:
            # An item that was not readable may be the very event that seems to be missing.
            pages.complete = not pages.skipped
            return
        if cursor in seen:
            raise RetryLater("page_loop", f"{source.provider}: a page leads back to an earlier one")
        seen.add(cursor)
    pages.fault = "listing_cut_short"
    _log.warning("calendar.cut_short", provider=source.provider.value, events=len(pages.events))


def _add(pages: _CalendarPages, items: Sequence[RawItem]) -> None:
    """Add the items.

    An event comes twice if the calendar changes between two pages: the newest version stays.
    """
    for item in items:
        earlier = pages.events.get(item.id)
        if earlier is None or not _is_older(item, earlier):
            pages.events[item.id] = item
            pages.live += (earlier is None or earlier.is_deleted) - item.is_deleted


def _is_older(one: RawItem, other: RawItem) -> bool:
    mine, others = parse_instant(one.updated), parse_instant(other.updated)
    return mine is not None and others is not None and mine < others


def read_calendar_list(
    fetch: Callable[[str | None], tuple[list[object], str | None]], provider: Provider
) -> list[Mapping[str, Any]]:
    """Return all entries of a list of calendars.

    ``fetch`` returns one page's items and what leads to the next page. Raises `RetryLater` if the list does not end:
    with only its beginning, the other calendars would look deleted.
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
    """Return the error of an answer that is no page of events."""
    return RetryLater("malformed_answer", f"{provider}: status {answer.status} without a list of events")


def item_list(items: object, provider: Provider) -> list[object]:
    """Return the items of a page. Raises `RetryLater` for anything but a list."""
    if not isinstance(items, list):
        raise RetryLater("malformed_answer", f"{provider}: a list answer without a list")
    return items


def next_cursor(cursor: object, provider: Provider) -> str | None:
    """Return what leads to the next page; None on the last one.

    Raises `RetryLater` if it is neither missing nor usable.
    """
    if cursor is None or cursor == "":
        return None
    if not isinstance(cursor, str) or len(cursor) > _LONGEST_CURSOR:
        raise RetryLater("malformed_answer", f"{provider}: a page that does not say what follows")
    return cursor
