"""Events as JSON in the shape of our API's event resource, read leniently: they come from shells, fixtures and logs.

Names, answers and times may be in Google's or Microsoft's words. What is left out is taken for the ordinary: a
confirmed, timed, single event with its whole attendee list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from tzlocal.windows_tz import win_tz

from meetbot.events import Attendee, Event, EventStatus, MeetingLink, Platform, Provider, Response, Visibility
from meetbot.links import find_meeting_link
from meetbot.rules.facts import AttributeValue, DecisionContext, Override
from meetbot.rules.line_fields import (
    EVENT_FIELDS,
    PERSON_FIELDS,
    BadLine,
    an_object,
    by_our_names,
    squeeze,
    text_in,
    texts_in,
    truth_in,
    word_in,
)
from meetbot.rules.own_answer import CalendarOwner, own_answer
from meetbot.rules.zones import zone_named

_MAX_ATTENDEES: Final = 5_000

_ANSWERS: Final = {
    "accepted": Response.ACCEPTED,
    "organizer": Response.ACCEPTED,
    "tentative": Response.TENTATIVE,
    "tentativelyaccepted": Response.TENTATIVE,
    "declined": Response.DECLINED,
}
"""Everything else (``needsAction``, ``notResponded``, ``none``, words yet to come) is no answer."""

_VISIBILITIES: Final = {"normal": "default", "personal": "private"}
_STATUSES: Final = {"canceled": "cancelled"}
_RESOURCE_TYPES: Final = frozenset(("resource", "room"))
_DATE: Final = re.compile(r"\s*\d{4}-?\d{2}-?\d{2}\s*", re.ASCII)
_EXPECTED_TIME: Final = "expected an RFC 3339 time such as 2026-03-02T09:00:00Z"
_WEB: Final = re.compile(r"https?://[^\s/]", re.IGNORECASE)


def read_line(line: object) -> tuple[Event, DecisionContext]:
    """From ``{"event", "owner_email", "internal_domains", "now", "attributes"?, "override"?}``. Raises `BadLine`."""
    document = an_object(line, "")
    owner_email = text_in(document, "owner_email", "")
    if not owner_email.strip():
        raise BadLine("owner_email", "expected a text")
    fields = by_our_names(an_object(document.get("event"), "event"), EVENT_FIELDS)
    context = DecisionContext(
        owner_email=owner_email,
        internal_domains=texts_in(document, "internal_domains"),
        attributes=_attributes(document.get("attributes")),
        now=_instant(document.get("now"), "now"),
        override=_override(document.get("override"), "override") or _override(fields.get("override"), "event.override"),
    )
    return _event(fields, owner_email), context


def _event(fields: Mapping[str, Any], owner_email: str) -> Event:
    calendar_id = text_in(fields, "calendar_id", "event") or "primary"
    owner = CalendarOwner.of(owner_email, calendar_id)
    listed = _attendees(fields.get("attendees"))
    attendees = tuple(
        _with_owner_marked(person, owner.is_listed_as(person.email, marked=person.is_self)) for person in listed
    )
    organizer = _organizer(fields, owner)
    start, end, original_start = fields.get("start"), fields.get("end"), fields.get("original_start")
    # A date has no time of day, whatever the mark beside it says.
    all_day = truth_in(fields, "all_day", "event", default=False) or _is_date(start)
    in_series = bool(text_in(fields, "series_id", "event"))
    return Event(
        provider=word_in(fields, "provider", Provider, Provider.GOOGLE),
        calendar_id=calendar_id,
        provider_event_id=text_in(fields, "provider_event_id", "event"),
        ical_uid=text_in(fields, "ical_uid", "event") or None,
        original_start=_instant_or_none(original_start, "event.original_start", all_day=all_day)
        if original_start
        else None,
        title=text_in(fields, "title", "event"),
        start=_instant_or_none(start, "event.start", all_day=all_day),
        end=_instant_or_none(end, "event.end", all_day=all_day),
        all_day=all_day,
        status=_status(fields),
        organizer=organizer,
        attendees=attendees,
        is_organizer=truth_in(fields, "is_organizer", "event", default=organizer is not None and organizer.is_self),
        owner_response=_owner_response(fields, attendees, listed),
        recurring=truth_in(fields, "recurring", "event", default=in_series),
        visibility=word_in(fields, "visibility", Visibility, Visibility.DEFAULT, _VISIBILITIES),
        link=_link(fields),
        is_meeting=truth_in(fields, "is_meeting", "event", default=True),
        attendees_complete=truth_in(fields, "attendees_complete", "event", default=True),
    )


# --- people -----------------------------------------------------------------------------------------------------------


def _attendees(value: object) -> list[Attendee]:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > _MAX_ATTENDEES:
        raise BadLine("event.attendees", f"expected a list of at most {_MAX_ATTENDEES} attendees")
    return [_person(item, f"event.attendees.{index}") for index, item in enumerate(value)]


def _person(value: object, path: str) -> Attendee:
    if isinstance(value, str):
        return Attendee(email=_bare_address(value))
    person = by_our_names(an_object(value, path), PERSON_FIELDS)
    if isinstance(person.get("email"), Mapping):
        # Microsoft: {"emailAddress": {"address", "name"}}
        person = {**person, "email": None, **by_our_names(person["email"], PERSON_FIELDS)}
    return Attendee(
        email=_bare_address(text_in(person, "email", path)) or None,
        name=text_in(person, "name", path) or None,
        response=_answer(person, "response", path) or Response.NEEDS_ACTION,
        resource=truth_in(person, "resource", path, default=squeeze(person.get("type")) in _RESOURCE_TYPES),
        organizer=truth_in(person, "organizer", path, default=False),
        is_self=truth_in(person, "self", path, default=False),
    )


def _bare_address(text: str) -> str:
    """``mailto:ana@acme.com`` and ``Ana <ana@acme.com>`` are the address in them."""
    bare = text.strip()
    if bare.endswith(">"):
        bare = bare[:-1].rpartition("<")[2].strip()
    return bare[7:] if bare[:7].lower() == "mailto:" else bare


def _answer(fields: Mapping[str, Any], name: str, path: str) -> Response | None:
    value = fields.get(name)
    if isinstance(value, Mapping):
        # Microsoft: {"response", "time"}
        value = value.get("response")
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadLine(f"{path}.{name}", "expected a text")
    return _ANSWERS.get(squeeze(value), Response.NEEDS_ACTION)


def _organizer(fields: Mapping[str, Any], owner: CalendarOwner) -> Attendee | None:
    if not fields.get("organizer"):
        return None
    organizer = _person(fields["organizer"], "event.organizer")
    return _with_owner_marked(organizer, owner.organizes_as(organizer.email, marked=organizer.is_self))


def _with_owner_marked(person: Attendee, is_owner: bool) -> Attendee:
    return person if person.is_self is is_owner else replace(person, is_self=is_owner)


def _has_calendar_declined(listed: Sequence[Attendee]) -> bool:
    return any(person.is_self and person.response is Response.DECLINED for person in listed)


def _owner_response(
    fields: Mapping[str, Any], attendees: Sequence[Attendee], listed: Sequence[Attendee]
) -> Response | None:
    """The owner's answer: in the list, or beside it. Having declined in either is having declined. ``listed`` are the
    attendees as the calendar marked them."""
    said = _answer(fields, "own_response", "event")
    own = own_answer(attendees, has_calendar_declined=lambda: _has_calendar_declined(listed))
    return Response.DECLINED if said is Response.DECLINED else own or said


# --- the rest of the event --------------------------------------------------------------------------------------------


def _link(fields: Mapping[str, Any]) -> MeetingLink | None:
    url = text_in(fields, "meeting_url", "event").strip()
    named = word_in(fields, "meeting_platform", Platform, Platform.NONE)
    if not url:
        return None
    # The line says that there is a link; where it does not say to which platform, the address often does.
    found = find_meeting_link(Provider.GOOGLE, {"location": url}) if named is Platform.NONE else None
    if found is None and not _WEB.match(url):
        return None
    platform = found.platform if found else named
    return MeetingLink(platform, url, text_in(fields, "meeting_id", "event") or None, None, "meeting_url")


def _status(fields: Mapping[str, Any]) -> EventStatus:
    if any(truth_in(fields, name, "event", default=False) for name in ("deleted", "cancelled")):
        return EventStatus.CANCELLED
    return word_in(fields, "status", EventStatus, EventStatus.CONFIRMED, _STATUSES)


def _override(value: object, path: str) -> Override | None:
    """``"record"``, or an override resource ``{"recording": "record", …}``."""
    recording = value.get("recording") if isinstance(value, Mapping) else value
    if recording is None:
        return None
    if not isinstance(recording, str) or recording not in tuple(Override):
        raise BadLine(path, 'expected "record", "skip" or null')
    return Override(recording)


def _attributes(value: object) -> dict[str, AttributeValue]:
    attributes = an_object({} if value is None else value, "attributes")
    for name, attribute in attributes.items():
        if isinstance(attribute, list):
            usable = all(isinstance(item, str) for item in attribute)
        else:
            usable = attribute is None or isinstance(attribute, str | int | float | bool)
        if not usable:
            raise BadLine(f"attributes.{name}", "expected a text, a number, a truth value or a list of texts")
    return dict(attributes)


# --- times ------------------------------------------------------------------------------------------------------------


def _instant_or_none(value: object, path: str, *, all_day: bool) -> datetime | None:
    """A text, or the providers' ``{"dateTime", "timeZone"}`` and ``{"date"}``. What is written of an all-day event is its
    date, in whatever zone: it becomes the same date in UTC."""
    zone: tzinfo = UTC
    if isinstance(value, Mapping):
        zone = _zone(value.get("timeZone") or value.get("time_zone"), path)
        value = _moment(value) or value.get("date")
    if value is None:
        return None
    return _written(value, path).replace(tzinfo=UTC) if all_day else _instant(value, path, zone)


def _moment(value: Mapping[str, Any]) -> object:
    return value.get("dateTime") or value.get("date_time")


def _zone(name: object, path: str) -> tzinfo:
    """By its IANA or Windows name; UTC where there is none."""
    if name is None:
        return UTC
    zone = zone_named(win_tz.get(name, name)) if isinstance(name, str) else None
    if zone is None:
        raise BadLine(f"{path}.timeZone", "expected a time zone such as Europe/Berlin")
    return zone


def _instant(value: object, path: str, zone: tzinfo = UTC) -> datetime:
    """RFC 3339. A date is its midnight, and a time without an offset is meant, in the zone."""
    written = _written(value, path)
    try:
        return (written.replace(tzinfo=zone) if written.tzinfo is None else written).astimezone(UTC)
    except OverflowError:
        raise BadLine(path, _EXPECTED_TIME) from None


def _written(value: object, path: str) -> datetime:
    """The time as it stands there, with its offset if it has one."""
    if not isinstance(value, str):
        raise BadLine(path, _EXPECTED_TIME)
    try:
        return datetime.fromisoformat(value.strip().upper())
    except ValueError:
        raise BadLine(path, _EXPECTED_TIME) from None


def _is_date(value: object) -> bool:
    if isinstance(value, Mapping):
        value = None if _moment(value) else value.get("date")
    return isinstance(value, str) and _DATE.fullmatch(value) is not None
