"""Microsoft Graph's event JSON, turned into `Event`.

Pure. Takes values of any type and raises nothing.

Source: learn.microsoft.com/graph/api/resources/event.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from meetbot.domain.event import LONGEST_TITLE, Attendee, Event, EventStatus, Provider, Response, Visibility
from meetbot.domain.own_response import CalendarOwner, own_response
from meetbot.providers.base import RawEvent
from meetbot.providers.event_fields import mapping, read_attendees, response, storable_link, word
from meetbot.providers.ical_uid import normalise_ical_uid
from meetbot.providers.microsoft.original_start import is_in_series, original_start
from meetbot.providers.microsoft.rooms import room_addresses
from meetbot.providers.storable_text import ID_LIMIT, NAME_LIMIT, clean, exact, listed_address, same_address
from meetbot.providers.times import parse_day, parse_instant

_VISIBILITIES = {
    "normal": Visibility.DEFAULT,
    "personal": Visibility.PRIVATE,
    "private": Visibility.PRIVATE,
    "confidential": Visibility.CONFIDENTIAL,
}
_RESPONSES = {
    "organizer": Response.ACCEPTED,
    "accepted": Response.ACCEPTED,
    "tentativelyaccepted": Response.TENTATIVE,
    "declined": Response.DECLINED,
    "none": Response.NEEDS_ACTION,
    "notresponded": Response.NEEDS_ACTION,
}


def normalise_microsoft(
    calendar_id: str, raw: RawEvent, *, owner_email: str, owner_aliases: Collection[str] = ()
) -> Event | None:
    """Return the event, or None for the master of a series and for what has no usable id.

    A cancelled meeting stays on an attendee's calendar with ``isCancelled``. The "Canceled:" in its subject is ignored:
    Outlook translates it. An all-day event starts and ends at midnight UTC of its dates.
    """
    event_id = exact(raw.get("id"), ID_LIMIT)
    if event_id is None or raw.get("type") == "seriesMaster":
        return None
    all_day = raw.get("isAllDay") is True
    start = _moment(raw.get("start"), all_day=all_day)
    originally = original_start(raw, start)
    owner = CalendarOwner.of(owner_email, calendar_id, owner_aliases)
    organizer = _organizer(raw, owner)
    is_organizer = organizer is not None and organizer.is_self
    rooms = room_addresses(raw)
    attendees, all_listed = read_attendees(
        raw.get("attendees"), lambda entry: _attendee(entry, organizer, owner, rooms)
    )
    return Event(
        provider=Provider.MICROSOFT,
        calendar_id=calendar_id,
        provider_event_id=event_id,
        ical_uid=normalise_ical_uid(raw.get("iCalUId")),
        original_start=originally,
        title=clean(raw.get("subject"), LONGEST_TITLE),
        start=start,
        end=_moment(raw.get("end"), all_day=all_day),
        all_day=all_day,
        status=EventStatus.CANCELLED if _is_cancelled(raw) else EventStatus.CONFIRMED,
        organizer=organizer,
        attendees=attendees,
        is_organizer=is_organizer,
        owner_response=_owner_response(raw, attendees, is_organizer),
        recurring=originally is not None or is_in_series(raw),
        visibility=word(_VISIBILITIES, raw.get("sensitivity"), Visibility.DEFAULT),
        link=storable_link(Provider.MICROSOFT, raw),
        is_meeting=raw.get("isDraft") is not True,
        attendees_complete=all_listed and (is_organizer or raw.get("hideAttendees") is not True),
        updated=parse_instant(raw.get("lastModifiedDateTime")),
    )


def _moment(value: object, *, all_day: bool) -> datetime | None:
    time = mapping(value)
    if all_day and isinstance(time.get("dateTime"), str):
        # Graph writes midnight of the date, in whatever zone stands beside it; only the date is meant.
        return parse_day(time["dateTime"][: len("2026-01-01")])
    return parse_instant(time.get("dateTime"), time.get("timeZone"))


def _is_cancelled(raw: RawEvent) -> bool:
    return raw.get("isCancelled") is True or "@removed" in raw


def _attendee(
    entry: Mapping[str, Any], organizer: Attendee | None, owner: CalendarOwner, rooms: frozenset[str]
) -> Attendee:
    person = mapping(entry.get("emailAddress"))
    email = listed_address(person.get("address"), colleagues=owner.domain)
    organizes = organizer is not None and same_address(email, organizer.email)
    # The calendar's owner may organise under another address of the same mailbox.
    is_self = owner.is_listed_as(email, marked=organizes and organizer is not None and organizer.is_self)
    return Attendee(
        email,
        clean(person.get("name"), NAME_LIMIT) or None,
        response(_RESPONSES, mapping(entry.get("status")).get("response")),
        entry.get("type") == "resource" or (not is_self and email is not None and email.lower() in rooms),
        organizes,
        is_self,
    )


def _organizer(raw: RawEvent, owner: CalendarOwner) -> Attendee | None:
    person = mapping(mapping(raw.get("organizer")).get("emailAddress"))
    email = listed_address(person.get("address"), colleagues=owner.domain)
    name = clean(person.get("name"), NAME_LIMIT) or None
    is_self = owner.organizes_as(email, marked=raw.get("isOrganizer") is True)
    if email is None and name is None and not is_self:
        return None
    return Attendee(email, name, Response.ACCEPTED, organizer=True, is_self=is_self)


def _owner_response(raw: RawEvent, attendees: tuple[Attendee, ...], is_organizer: bool) -> Response | None:
    """Return the calendar owner's own response.

    It is declined if ``responseStatus`` or the list of attendees says so.

    Otherwise an organiser counts as accepted (appointments of one's own carry ``none``), and ``responseStatus`` goes
    before the list, which often lags behind it in an attendee's copy.
    """
    status = mapping(raw.get("responseStatus")).get("response")
    said = response(_RESPONSES, status) if isinstance(status, str) else None
    listed = own_response(attendees, has_calendar_declined=lambda: False)
    if Response.DECLINED in (said, listed):
        return Response.DECLINED
    if is_organizer:
        return Response.ACCEPTED
    return listed if said in (None, Response.NEEDS_ACTION) and listed is not None else said
