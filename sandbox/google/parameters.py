"""Query parameters of the Calendar API, checked as Google checks them.

Source: the discovery document of calendar v3.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import Request

from sandbox.calendar.records import Calendar
from sandbox.google import errors
from sandbox.google.listing import ListQuery

_NOT_WITH_SYNC_TOKEN = ("iCalUID", "orderBy", "q", "timeMin", "timeMax", "updatedMin")
EVENTS_ON_A_PAGE, MOST_EVENTS_ON_A_PAGE = 250, 2500


def read_list_query(http: Request) -> ListQuery:
    """Read the parameters of events.list. Raises `GoogleError` (400) for a wrong combination.

    A sync token goes with none of the filters in developers.google.com/workspace/calendar/api/v3/reference/events/list.
    """
    given = http.query_params
    sync_token = given.get("syncToken")
    if sync_token is not None and (clash := [name for name in _NOT_WITH_SYNC_TOKEN if name in given]):
        message = f"Sync token cannot be used with other query restrictions: {', '.join(clash)}."
        raise errors.bad_request("badRequest", message, "syncToken")
    if sync_token is not None and given.get("showDeleted", "").lower() == "false":
        raise errors.bad_request("invalid", "Deleted items cannot be excluded.", "showDeleted")
    query = ListQuery(
        time_min=read_instant(http, "timeMin"),
        time_max=read_instant(http, "timeMax"),
        updated_min=read_instant(http, "updatedMin"),
        single_events=read_flag(http, "singleEvents"),
        show_deleted=read_flag(http, "showDeleted"),
        order_by=given.get("orderBy"),
        event_types=frozenset(given.getlist("eventTypes")),
        ical_uid=given.get("iCalUID"),
        text=given.get("q"),
        page_size=read_page_size(http, EVENTS_ON_A_PAGE, MOST_EVENTS_ON_A_PAGE),
        page_token=given.get("pageToken"),
        sync_token=sync_token,
    )
    _check(query)
    return query


def read_time_zone(http: Request, calendar: Calendar) -> ZoneInfo:
    """Return the zone in which the answer gives times: `timeZone`, else the calendar's own."""
    name = http.query_params.get("timeZone", calendar.time_zone)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise errors.bad_request("invalid", "Invalid time zone definition.", "timeZone") from error


def read_instant(http: Request, name: str) -> datetime | None:
    """Read an RFC 3339 time with a mandatory offset; fractions of a second are ignored."""
    text = http.query_params.get(name)
    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise errors.bad_request("badRequest", "Bad Request", name) from error
    if parsed.tzinfo is None or "T" not in text.upper():
        raise errors.bad_request("badRequest", "Bad Request", name)
    return parsed.replace(microsecond=0)


def read_flag(http: Request, name: str) -> bool:
    """Return whether a parameter is `true`."""
    return http.query_params.get(name, "false").lower() == "true"


def read_positive(http: Request, name: str) -> int | None:
    """Read a positive number; None if it is not given."""
    text = http.query_params.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or int(text[:9]) == 0:
        raise errors.bad_request("invalidParameter", f"Invalid value for: {name}", name)
    return int(text[:9])


def read_page_size(http: Request, default: int, most: int) -> int:
    """Read `maxResults`; larger values than ``most`` count as ``most``."""
    return min(read_positive(http, "maxResults") or default, most)


def _check(query: ListQuery) -> None:
    if query.order_by not in (None, "startTime", "updated"):
        raise errors.bad_request("invalidParameter", "Invalid value for: orderBy", "orderBy")
    if query.order_by == "startTime" and not query.single_events:
        message = "The requested ordering is not available for the particular query."
        raise errors.bad_request("badRequest", message, "orderBy")
    if query.time_min and query.time_max and query.time_max <= query.time_min:
        raise errors.bad_request("timeRangeEmpty", "The specified time range is empty.", "timeMax")
