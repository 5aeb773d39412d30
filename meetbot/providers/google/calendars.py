"""The queries sent to the Google Calendar API, and what its list of calendars says. Pure.

Source: developers.google.com/workspace/calendar/api/v3/reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from meetbot.domain.account_calendar import AccessRole, AccountCalendar
from meetbot.providers.base import PRIMARY
from meetbot.providers.listed_calendars import ListedCalendar
from meetbot.providers.storable_text import ID_LIMIT, NAME_LIMIT, clean, exact, same_address
from meetbot.providers.times import to_wire

PAGE_SIZE = 2500
CALENDAR_LIST_PAGE_SIZE = 250

EVENT_FIELDS = (
    "id,status,iCalUID,recurringEventId,originalStartTime,recurrence,summary,description,location,start,end,"
    "organizer(email,displayName,self),"
    "attendees(email,displayName,self,responseStatus,resource,organizer),attendeesOmitted,guestsCanSeeOtherGuests,"
    "visibility,eventType,hangoutLink,"
    "conferenceData(conferenceId,conferenceSolution(key,name),"
    "entryPoints(entryPointType,uri,label,accessCode,meetingCode,passcode,password,pin)),"
    "updated"
)
_LIST_FIELDS = f"accessRole,nextPageToken,items({EVENT_FIELDS})"
_CALENDAR_LIST_FIELDS = "nextPageToken,items(id,primary,summary,summaryOverride,accessRole,dataOwner,hidden,deleted)"
_ROLES = {
    "owner": AccessRole.OWNER,
    "writer": AccessRole.WRITER,
    "writerWithoutPrivateAccess": AccessRole.WRITER,
    "reader": AccessRole.READER,
}

# Focus time and absences are listed, so that they can be skipped with a reason. Birthdays and working locations fill
# every day and can never be meetings. An event's type never changes, so leaving a type out makes no event look deleted.
_LISTED_TYPES = ("default", "fromGmail", "focusTime", "outOfOffice")

_OWN_CALENDARS_DOMAIN = "@group.calendar.google.com"


def event_list_query(
    window_start: datetime, window_end: datetime, page_token: str | None, page_size: int
) -> list[tuple[str, str]]:
    """Return the query for all occurrences, deleted ones included, that overlap the window."""
    query = [
        ("singleEvents", "true"),
        ("showDeleted", "true"),
        ("timeMin", to_wire(window_start)),
        ("timeMax", to_wire(window_end, up=True)),
        ("maxResults", str(page_size)),
        *(("eventTypes", event_type) for event_type in _LISTED_TYPES),
        ("fields", _LIST_FIELDS),
    ]
    if page_token is not None:
        query.append(("pageToken", page_token))
    return query


def calendar_list_query(page_token: str | None) -> list[tuple[str, str]]:
    """Return the query for a page of the account's calendars, hidden ones included."""
    query = [
        ("showHidden", "true"),
        ("maxResults", str(CALENDAR_LIST_PAGE_SIZE)),
        ("fields", _CALENDAR_LIST_FIELDS),
    ]
    if page_token is not None:
        query.append(("pageToken", page_token))
    return query


def listed_calendars(entries: Iterable[Mapping[str, Any]]) -> list[ListedCalendar]:
    """Return the calendars of Google's list, without what it says to be deleted.

    ``selected`` is only a tick in the margin of Google's web page and changes nothing.
    """
    listed = [entry for entry in entries if entry.get("deleted") is not True]
    account = next((entry.get("id") for entry in listed if entry.get("primary") is True), None)
    found = {}
    for entry in listed:
        calendar_id = PRIMARY if entry.get("primary") is True else exact(entry.get("id"), ID_LIMIT)
        if calendar_id:
            found[calendar_id] = ListedCalendar(_calendar(account, calendar_id, entry), calendar_id)
    return list(found.values())


def _calendar(account: object, calendar_id: str, entry: Mapping[str, Any]) -> AccountCalendar:
    name = clean(entry.get("summaryOverride"), NAME_LIMIT) or clean(entry.get("summary"), NAME_LIMIT)
    # A role that is not known here shows no details until it has shown some.
    role = _ROLES.get(str(entry.get("accessRole")), AccessRole.FREE_BUSY_READER)
    is_primary = calendar_id == PRIMARY
    return AccountCalendar(
        id=calendar_id,
        name=name or None,
        owned=is_primary or _is_made_by(account, calendar_id, entry),
        access_role=AccessRole.OWNER if is_primary else role,
        hidden=entry.get("hidden") is True and not is_primary,
    )


def _is_made_by(account: object, calendar_id: str, entry: Mapping[str, Any]) -> bool:
    if entry.get("accessRole") != "owner":
        return False
    if "@" in calendar_id and not calendar_id.endswith(_OWN_CALENDARS_DOMAIN):
        return False  # another person's account, a room, holidays
    data_owner = entry.get("dataOwner")
    if isinstance(data_owner, str) and isinstance(account, str):
        return same_address(data_owner, account)
    return True
