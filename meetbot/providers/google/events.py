"""Google Calendar's event JSON, turned into `Event`.

Pure. Takes values of any type and raises nothing.

Source: developers.google.com/workspace/calendar/api/v3/reference/events.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from meetbot.domain.event import LONGEST_TITLE, Attendee, Event, EventStatus, Provider, Response, Visibility
from meetbot.domain.own_response import CalendarOwner, own_response
from meetbot.providers.base import RawEvent
from meetbot.providers.event_fields import entries_of, mapping, read_attendees, response, storable_link, word
from meetbot.providers.ical_uid import normalise_ical_uid
from meetbot.providers.storable_text import ID_LIMIT, NAME_LIMIT, clean, exact, listed_address
from meetbot.providers.times import parse_day, parse_instant

_NO_MEETING_TYPES = ("focusTime", "outOfOffice", "workingLocation", "birthday")
_STATUSES = {status.value: status for status in EventStatus}
_VISIBILITIES = {visibility.value: visibility for visibility in Visibility}
_RESPONSES = {
    "accepted": Response.ACCEPTED,
    "tentative": Response.TENTATIVE,
    "declined": Response.DECLINED,
    "needsaction": Response.NEEDS_ACTION,
}


def normalise_google(
    calendar_id: str, raw: RawEvent, *, owner_email: str, owner_aliases: Collection[str] = ()
) -> Event | None:
    """Return the event, or None for the master of a series and for what has no usable id.

    A deleted event comes as little more than its id; it becomes a cancelled event without start or title.
    An all-day event starts and ends at midnight UTC of its dates.
    """
    event_id = exact(raw.get("id"), ID_LIMIT)
    if event_id is None or raw.get("recurrence"):
        return None
    start = _moment(raw.get("start"))
    in_series = isinstance(raw.get("recurringEventId"), str)
    owner = CalendarOwner.of(owner_email, calendar_id, owner_aliases)
    organizer = _organizer(raw.get("organizer"), owner)
    is_organizer = organizer is not None and organizer.is_self
    attendees, all_listed = read_attendees(raw.get("attendees"), lambda entry: _attendee(entry, owner))
    return Event(
        provider=Provider.GOOGLE,
        calendar_id=calendar_id,
        provider_event_id=event_id,
        ical_uid=normalise_ical_uid(raw.get("iCalUID")),
        original_start=(_moment(raw.get("originalStartTime")) or start) if in_series else None,
        title=clean(raw.get("summary"), LONGEST_TITLE),
        start=start,
        end=_moment(raw.get("end")),
        all_day=isinstance(mapping(raw.get("start")).get("date"), str),
        status=word(_STATUSES, raw.get("status"), EventStatus.CONFIRMED),
        organizer=organizer,
        attendees=attendees,
        is_organizer=is_organizer,
        owner_response=_owner_response(raw, attendees, is_organizer),
        recurring=in_series,
        visibility=word(_VISIBILITIES, raw.get("visibility"), Visibility.DEFAULT),
        link=storable_link(Provider.GOOGLE, raw),
        is_meeting=raw.get("eventType") not in _NO_MEETING_TYPES,
        attendees_complete=all_listed and not _hides_guests(raw, is_organizer),
        updated=parse_instant(raw.get("updated")),
    )


def _moment(value: object) -> datetime | None:
    time = mapping(value)
    if isinstance(time.get("date"), str):
        return parse_day(time["date"])
    return parse_instant(time.get("dateTime"), time.get("timeZone"))


def _attendee(entry: Mapping[str, Any], owner: CalendarOwner) -> Attendee:
    email = listed_address(entry.get("email"))
    return Attendee(
        email,
        clean(entry.get("displayName"), NAME_LIMIT) or None,
        response(_RESPONSES, entry.get("responseStatus")),
        entry.get("resource") is True,
        entry.get("organizer") is True,
        owner.is_listed_as(email, marked=entry.get("self") is True),
    )


def _organizer(value: object, owner: CalendarOwner) -> Attendee | None:
    entry = mapping(value)
    email = listed_address(entry.get("email"))
    name = clean(entry.get("displayName"), NAME_LIMIT) or None
    is_self = owner.organizes_as(email, marked=entry.get("self") is True)
    if email is None and name is None and not is_self:
        return None
    return Attendee(email, name, Response.ACCEPTED, organizer=True, is_self=is_self)


def _owner_response(raw: RawEvent, attendees: tuple[Attendee, ...], is_organizer: bool) -> Response | None:
    """Return the calendar owner's own response.

    An organiser who is not listed as an attendee counts as accepted.

    None for an owner who is neither: they were invited as members of a group.
    """
    said = own_response(attendees, has_calendar_declined=lambda: _has_calendar_declined(raw))
    return Response.ACCEPTED if said is None and is_organizer else said


def _has_calendar_declined(raw: RawEvent) -> bool:
    return any(
        entry.get("self") is True and response(_RESPONSES, entry.get("responseStatus")) is Response.DECLINED
        for entry in entries_of(raw.get("attendees"))
    )


def _hides_guests(raw: RawEvent, is_organizer: bool) -> bool:
    if raw.get("attendeesOmitted") is True:
        return True
    return raw.get("guestsCanSeeOtherGuests") is False and not is_organizer
