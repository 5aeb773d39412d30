"""Reading the people of an event resource, their responses, and which of them is the owner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from meetbot.domain.event import Attendee, Response
from meetbot.domain.own_response import CalendarOwner, own_response
from meetbot.domain.written_address import bare_address
from meetbot.rules.json_fields import BadLine, Fields

_MAX_ATTENDEES: Final = 5_000
_PERSON_FIELDS: Final = ("email", "name", "response", "resource", "organizer", "self")

_RESPONSES: Final = {
    "": Response.NEEDS_ACTION,
    "accepted": Response.ACCEPTED,
    "tentative": Response.TENTATIVE,
    "declined": Response.DECLINED,
    "needsaction": Response.NEEDS_ACTION,
    # Microsoft's words: a response may have been copied as Microsoft says it.
    "organizer": Response.ACCEPTED,
    "tentativelyaccepted": Response.TENTATIVE,
    "notresponded": Response.NEEDS_ACTION,
    "none": Response.NEEDS_ACTION,
}
"""By the word in lower case without ``_`` and ``-``, so that ``needs_action``, ``needsAction`` and ``NEEDS-ACTION`` are one."""


class EventPeople(NamedTuple):
    """The people of an event, as `Event` holds them."""

    attendees: tuple[Attendee, ...]
    organizer: Attendee | None
    is_organizer: bool
    owner_response: Response | None


def read_people(event: Fields, owner: CalendarOwner) -> EventPeople:
    """Return the people of an event resource. Raises `BadLine`."""
    listed = _attendees(event)
    attendees = tuple(
        _with_owner_marked(person, owner.is_listed_as(person.email, marked=person.is_self)) for person in listed
    )
    organizer = _organizer(event, listed, owner)
    organizes = organizer is not None and organizer.is_self
    return EventPeople(
        attendees=attendees,
        organizer=organizer,
        is_organizer=event.truth("is_organizer", default=organizes),
        owner_response=_owner_response(_response(event), organizer, attendees, listed),
    )


def _attendees(event: Fields) -> list[Attendee]:
    value = event.get("attendees")
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > _MAX_ATTENDEES:
        raise BadLine("event.attendees", f"expected a list of at most {_MAX_ATTENDEES} attendees")
    return [_person(item, f"event.attendees.{index}") for index, item in enumerate(value)]


def _person(value: object, place: str) -> Attendee:
    """A person, who may be written as an address alone."""
    if isinstance(value, str):
        return Attendee(email=bare_address(value))
    person = Fields.of(value, place)
    person.refuse_unknown(_PERSON_FIELDS)
    return Attendee(
        email=bare_address(person.text("email")) or None,
        name=person.text("name") or None,
        response=_response(person) or Response.NEEDS_ACTION,
        resource=person.truth("resource"),
        organizer=person.truth("organizer"),
        is_self=person.truth("self"),
    )


def _response(fields: Fields) -> Response | None:
    if fields.get("response") is None:
        return None
    word = fields.text("response").strip().lower().replace("_", "").replace("-", "")
    if word not in _RESPONSES:
        raise BadLine(fields.path("response"), f"expected one of {', '.join(Response)}")
    return _RESPONSES[word]


def _organizer(event: Fields, listed: Sequence[Attendee], owner: CalendarOwner) -> Attendee | None:
    """The organiser's field or, without one, the attendee who is marked as the organiser."""
    if event.get("organizer"):
        organizer = _person(event.get("organizer"), "event.organizer")
    else:
        marked = [person for person in listed if person.organizer]
        if not marked:
            return None
        organizer = marked[0]
    return _with_owner_marked(organizer, owner.organizes_as(organizer.email, marked=organizer.is_self))


def _with_owner_marked(person: Attendee, is_owner: bool) -> Attendee:
    return person if person.is_self is is_owner else replace(person, is_self=is_owner)


def _owner_response(
    said: Response | None, organizer: Attendee | None, attendees: Sequence[Attendee], listed: Sequence[Attendee]
) -> Response | None:
    """The owner's response: in the list, as the organiser, or beside both (``said``).

    Declined in any of them is declined.

    ``listed`` are the attendees as the line marks them: ``self`` may be the calendar there, and not its owner.
    """
    own = own_response(attendees, has_calendar_declined=lambda: _has_calendar_declined(listed))
    as_organizer = organizer.response if organizer is not None and organizer.is_self else None
    return Response.DECLINED if Response.DECLINED in (said, as_organizer) else own or said


def _has_calendar_declined(listed: Sequence[Attendee]) -> bool:
    return any(person.is_self and person.response is Response.DECLINED for person in listed)
