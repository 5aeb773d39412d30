"""The people of an event that comes as JSON: who they are, what they answered, and which of them is the owner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from meetbot.domain.event import Attendee, Response
from meetbot.domain.own_response import CalendarOwner, own_answer
from meetbot.rules.line_fields import (
    EVENT_FIELDS,
    PERSON_FIELDS,
    BadLine,
    an_object,
    by_our_names,
    every_value,
    squeeze,
    text_in,
    truth_in,
)

_MAX_ATTENDEES: Final = 5_000

_ANSWERS: Final = {
    "accepted": Response.ACCEPTED,
    "organizer": Response.ACCEPTED,
    "tentative": Response.TENTATIVE,
    "tentativelyaccepted": Response.TENTATIVE,
    "declined": Response.DECLINED,
}
"""Everything else (``needsAction``, ``notResponded``, ``none``, words yet to come) is no answer."""

_RESOURCE_TYPES: Final = frozenset(("resource", "room"))


class LinePeople(NamedTuple):
    """``complete``: whether the attendees are all there are."""

    attendees: tuple[Attendee, ...]
    organizer: Attendee | None
    is_organizer: bool
    owner_response: Response | None
    complete: bool


def read_people(event: Mapping[str, Any], fields: Mapping[str, Any], owner: CalendarOwner) -> LinePeople:
    """``fields`` are the event's, under our names."""
    listed = _attendees(fields.get("attendees"))
    attendees = tuple(
        _with_owner_marked(person, owner.is_listed_as(person.email, marked=person.is_self)) for person in listed
    )
    organizer = _organizer(fields, listed, owner)
    organizes = organizer is not None and organizer.is_self
    is_organizer = truth_in(fields, "is_organizer", "event", default=organizes)
    said = _answer(every_value(event, EVENT_FIELDS, "own_response"), "event.own_response")
    return LinePeople(
        attendees=attendees,
        organizer=organizer,
        is_organizer=is_organizer,
        owner_response=_owner_response(said, organizer, attendees, listed),
        complete=_is_complete(fields, is_organizer=is_organizer),
    )


def _attendees(value: object) -> list[Attendee]:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > _MAX_ATTENDEES:
        raise BadLine("event.attendees", f"expected a list of at most {_MAX_ATTENDEES} attendees")
    return [_person(item, f"event.attendees.{index}") for index, item in enumerate(value)]


def _person(value: object, path: str) -> Attendee:
    if isinstance(value, str):
        return Attendee(email=_bare_address(value))
    written = an_object(value, path)
    person = by_our_names(written, PERSON_FIELDS)
    if isinstance(person.get("email"), Mapping):
        # Microsoft: {"emailAddress": {"address", "name"}}
        person = {**person, "email": None, **by_our_names(person["email"], PERSON_FIELDS)}
    return Attendee(
        email=_bare_address(text_in(person, "email", path)) or None,
        name=text_in(person, "name", path) or None,
        response=_answer(every_value(written, PERSON_FIELDS, "response"), f"{path}.response") or Response.NEEDS_ACTION,
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


def _answer(said: Sequence[object], path: str) -> Response | None:
    """What counts of all that is said of one person's answer: declined once is declined, else the first."""
    answers = [_ANSWERS.get(squeeze(word), Response.NEEDS_ACTION) for word in _words(said, path)]
    return Response.DECLINED if Response.DECLINED in answers else next(iter(answers), None)


def _words(said: Sequence[object], path: str) -> Iterator[str]:
    for value in said:
        # Microsoft: {"response", "time"}
        word = value.get("response") if isinstance(value, Mapping) else value
        if isinstance(word, str):
            yield word
        elif word is not None:
            raise BadLine(path, "expected a text")


def _organizer(fields: Mapping[str, Any], listed: Sequence[Attendee], owner: CalendarOwner) -> Attendee | None:
    """The organiser's field or, without one, the attendee who is marked as the organiser."""
    if fields.get("organizer"):
        organizer = _person(fields["organizer"], "event.organizer")
    else:
        marked = [person for person in listed if person.organizer]
        if not marked:
            return None
        organizer = marked[0]
    return _with_owner_marked(organizer, owner.organizes_as(organizer.email, marked=organizer.is_self))


def _with_owner_marked(person: Attendee, is_owner: bool) -> Attendee:
    return person if person.is_self is is_owner else replace(person, is_self=is_owner)


def _has_calendar_declined(listed: Sequence[Attendee]) -> bool:
    return any(person.is_self and person.response is Response.DECLINED for person in listed)


def _owner_response(
    said: Response | None, organizer: Attendee | None, attendees: Sequence[Attendee], listed: Sequence[Attendee]
) -> Response | None:
    """The owner's answer: in the list, beside it, or as the organiser. Having declined in any is having declined.
    ``listed`` are the attendees as the calendar marked them."""
    own = own_answer(attendees, has_calendar_declined=lambda: _has_calendar_declined(listed))
    organizes = organizer is not None and organizer.is_self
    as_organizer = organizer.response if organizer is not None and organizes else None
    return Response.DECLINED if Response.DECLINED in (said, as_organizer) else own or said


def _is_complete(fields: Mapping[str, Any], *, is_organizer: bool) -> bool:
    """Whether the list holds everybody. Microsoft hides the others from guests only, and so do Google's guests' rights."""
    hidden = not is_organizer and (
        truth_in(fields, "hide_attendees", "event", default=False)
        or not truth_in(fields, "guests_can_see_other_guests", "event", default=True)
    )
    omitted = truth_in(fields, "attendees_omitted", "event", default=False)
    return truth_in(fields, "attendees_complete", "event", default=not (hidden or omitted))
