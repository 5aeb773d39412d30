"""The queries sent to Microsoft Graph, what its list says, and links to follow. Pure.

Source: learn.microsoft.com/graph/api/calendar-list-calendarview, /graph/api/resources/calendar, /graph/paging.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from meetbot.domain.account_calendar import AccessRole, AccountCalendar
from meetbot.providers.base import PRIMARY
from meetbot.providers.event_fields import mapping
from meetbot.providers.listed_calendars import ListedCalendar
from meetbot.providers.storable_text import ID_LIMIT, NAME_LIMIT, address, clean, exact, same_address
from meetbot.providers.times import to_wire

PAGE_SIZE = 500
CALENDAR_LIST_PAGE_SIZE = 100

PREFER = {"Prefer": 'outlook.timezone="UTC", IdType="ImmutableId"'}
"""The header of every request: times in UTC, and ids that stay when an event moves to another folder."""

EVENT_FIELDS = (
    "id,iCalUId,type,seriesMasterId,originalStart,originalStartTimeZone,subject,body,start,end,isAllDay,isCancelled,"
    "isDraft,isOrganizer,organizer,attendees,hideAttendees,responseStatus,sensitivity,location,locations,"
    "onlineMeeting,onlineMeetingUrl,lastModifiedDateTime"
)
_CALENDAR_FIELDS = "id,name,isDefaultCalendar,canEdit,owner"


def view_query(window_start: datetime, window_end: datetime, page_size: int) -> list[tuple[str, str]]:
    """Return the query for all occurrences that overlap the window."""
    return [
        ("startDateTime", to_wire(window_start)),
        ("endDateTime", to_wire(window_end, up=True)),
        ("$select", EVENT_FIELDS),
        ("$top", str(page_size)),
    ]


def event_query() -> list[tuple[str, str]]:
    """Return the query for one event."""
    return [("$select", EVENT_FIELDS)]


def calendar_list_query() -> list[tuple[str, str]]:
    """Return the query for the list of calendars."""
    return [("$select", _CALENDAR_FIELDS), ("$top", str(CALENDAR_LIST_PAGE_SIZE))]


def listed_calendars(entries: Iterable[Mapping[str, Any]]) -> list[ListedCalendar]:
    """Return the calendars of Graph's list.

    The account's own are those that it may edit and whose owner is that of the default calendar. Others are shared, or
    holidays and birthdays, which nobody can edit. Without a default calendar there is only the one whose id is not known.
    """
    listed = list(entries)
    default = next((entry for entry in listed if entry.get("isDefaultCalendar") is True), None)
    if default is None:
        return [ListedCalendar(AccountCalendar(PRIMARY, None, True, AccessRole.OWNER), "")]
    owner = _owner(default)
    found = {PRIMARY: ListedCalendar(_calendar(PRIMARY, default, owned=True), exact(default.get("id"), ID_LIMIT) or "")}
    for entry in listed:
        calendar_id = exact(entry.get("id"), ID_LIMIT)
        if entry is not default and calendar_id:
            owned = entry.get("canEdit") is True and same_address(_owner(entry), owner)
            found[calendar_id] = ListedCalendar(_calendar(calendar_id, entry, owned=owned), calendar_id)
    return list(found.values())


def _calendar(calendar_id: str, entry: Mapping[str, Any], *, owned: bool) -> AccountCalendar:
    # Whether more than free and busy is shown does not stand in the list: reading the calendar tells.
    role = AccessRole.WRITER if entry.get("canEdit") is True else AccessRole.READER
    return AccountCalendar(
        id=calendar_id,
        name=clean(entry.get("name"), NAME_LIMIT) or None,
        owned=owned,
        access_role=AccessRole.OWNER if owned else role,
    )


def _owner(entry: Mapping[str, Any]) -> str | None:
    return address(mapping(entry.get("owner")).get("address"))


def is_under(base_url: str, link: str) -> bool:
    """Return whether a link may be sent the token: on the same server, below the same path."""
    try:
        base, target = urlsplit(base_url), urlsplit(link)
        same_server = (base.scheme, base.hostname, _port(base.port, base.scheme)) == (
            target.scheme,
            target.hostname,
            _port(target.port, target.scheme),
        )
    except ValueError:
        return False
    if not same_server or "@" in target.netloc or not link.isascii() or not link.isprintable():
        return False
    return target.path.startswith(base.path.rstrip("/") + "/") and not _climbs(target.path)


def _port(port: int | None, scheme: str) -> int | None:
    return port or {"https": 443, "http": 80}.get(scheme)


def _climbs(path: str) -> bool:
    """Return whether a path could leave its prefix.

    Dot segments and backslashes do, also if they are escaped once or twice.
    """
    decoded = unquote(unquote(path)).replace("\\", "/")
    return any(segment in (".", "..") for segment in decoded.split("/")) or "\\" in unquote(unquote(path))
