"""The queries sent to the Google Calendar API, and which calendars are a user's own. Pure.

Source: developers.google.com/workspace/calendar/api/v3/reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from meetbot.providers.base import MAX_CALENDARS, PRIMARY, CalendarRef
from meetbot.providers.storable_text import ID_LIMIT, exact, same_address
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
_CALENDAR_LIST_FIELDS = "nextPageToken,items(id,primary,accessRole,dataOwner,hidden,deleted)"

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
    """Return the query for a page of the calendars that the user may edit and share."""
    query = [
        ("minAccessRole", "owner"),
        ("maxResults", str(CALENDAR_LIST_PAGE_SIZE)),
        ("fields", _CALENDAR_LIST_FIELDS),
    ]
    if page_token is not None:
        query.append(("pageToken", page_token))
    return query


def own_calendars(entries: Iterable[Mapping[str, Any]]) -> list[CalendarRef]:
    """Return the account's calendar and those it made itself, the same ones at every sync.

    At most `MAX_CALENDARS`. Left out are calendars that another person shares, even with the role ``owner`` (an
    assistant has it on a manager's calendar), rooms, holidays and birthdays, and hidden ones. ``selected`` is only a
    tick in the margin of Google's web page and changes nothing.
    """
    listed = list(entries)
    account = next((entry.get("id") for entry in listed if entry.get("primary") is True), None)
    ids = {
        calendar_id
        for entry in listed
        if (calendar_id := exact(entry.get("id"), ID_LIMIT)) and _is_made_by(account, calendar_id, entry)
    }
    secondary = [CalendarRef(calendar_id, calendar_id) for calendar_id in sorted(ids)]
    return [CalendarRef(PRIMARY, PRIMARY), *secondary[: MAX_CALENDARS - 1]]


def _is_made_by(account: object, calendar_id: str, entry: Mapping[str, Any]) -> bool:
    if entry.get("primary") is True or entry.get("accessRole") != "owner":
        return False
    if entry.get("hidden") is True or entry.get("deleted") is True:
        return False
    if "@" in calendar_id and not calendar_id.endswith(_OWN_CALENDARS_DOMAIN):
        return False  # another person's account, a room, holidays
    data_owner = entry.get("dataOwner")
    if isinstance(data_owner, str) and isinstance(account, str):
        return same_address(data_owner, account)
    return True
