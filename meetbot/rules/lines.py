"""Events as JSON in the shape of our API's event resource, read leniently: they come from shells, fixtures and logs.

Answers may be in Google's or Microsoft's words. What is left out is taken for the ordinary: a confirmed, timed, single
event with its whole attendee list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, TypeVar

from meetbot.events import Attendee, Event, EventStatus, MeetingLink, Platform, Provider, Response, Visibility
from meetbot.links import find_meeting_link
from meetbot.rules.addresses import parse_address
from meetbot.rules.facts import AttributeValue, DecisionContext, Override

_MAX_ATTENDEES: Final = 5_000
_WordT = TypeVar("_WordT", bound=StrEnum)

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


class BadLine(ValueError):
    """The line cannot be decided on. ``path`` says where, the message why; neither repeats what the line holds."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path


def read_line(line: object) -> tuple[Event, DecisionContext]:
    """From ``{"event", "owner_email", "internal_domains", "now", "attributes"?, "override"?}``. Raises `BadLine`."""
    document = _object(line, "")
    owner_email = _text(document, "owner_email", required=True)
    context = DecisionContext(
        owner_email=owner_email,
        internal_domains=_texts(document, "internal_domains"),
        attributes=_attributes(document.get("attributes")),
        now=_instant(document.get("now"), "now"),
        override=_override(document.get("override")),
    )
    return read_event(_object(document.get("event"), "event"), owner_email), context


def read_event(document: Mapping[str, Any], owner_email: str) -> Event:
    """Raises `BadLine` with the place under ``event``."""
    attendees = tuple(_attendees(document.get("attendees")))
    organizer = _person(document.get("organizer"), "event.organizer") if document.get("organizer") else None
    owner = parse_address(owner_email)[0]
    original_start = document.get("original_start")
    return Event(
        provider=_word(document, "provider", Provider, Provider.GOOGLE),
        calendar_id=_text(document, "calendar_id") or "primary",
        provider_event_id=_text(document, "provider_event_id") or _text(document, "id"),
        ical_uid=_text(document, "ical_uid") or None,
        original_start=_instant(original_start, "event.original_start") if original_start else None,
        title=_text(document, "title"),
        start=_instant_or_none(document.get("start"), "event.start"),
        end=_instant_or_none(document.get("end"), "event.end"),
        all_day=_truth(document, "all_day", default=_is_date(document.get("start"))),
        status=_status(document),
        organizer=organizer,
        attendees=attendees,
        is_organizer=_truth(document, "is_organizer", default=_is_owner(organizer, owner)),
        owner_response=_owner_response(attendees, owner),
        recurring=_truth(document, "recurring", default=False),
        visibility=_word(document, "visibility", Visibility, Visibility.DEFAULT, _VISIBILITIES),
        link=_link(document),
        is_meeting=_truth(document, "is_meeting", default=True),
        attendees_complete=_truth(document, "attendees_complete", default=True),
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
    person = _object(value, path)
    answer = person.get("response", person.get("responseStatus"))
    return Attendee(
        email=_bare_address(_text(person, "email", path=path)) or None,
        name=_text(person, "name", path=path) or None,
        response=_ANSWERS.get(_squeezed(answer), Response.NEEDS_ACTION),
        resource=_truth(person, "resource", default=person.get("type") == "resource", path=path),
        organizer=_truth(person, "organizer", default=False, path=path),
        is_self=_truth(person, "self", default=False, path=path),
    )


def _bare_address(text: str) -> str:
    stripped = text.strip()
    return stripped[7:] if stripped[:7].lower() == "mailto:" else stripped


def _squeezed(word: object) -> str:
    return word.replace("_", "").replace("-", "").strip().lower() if isinstance(word, str) else ""


def _is_owner(person: Attendee | None, owner: str) -> bool:
    return person is not None and (person.is_self or parse_address(person.email or "")[0] == owner)


def _owner_response(attendees: Sequence[Attendee], owner: str) -> Response | None:
    """The owner's answer. Where they are listed twice, having declined once is having declined."""
    answers = [person.response for person in attendees if _is_owner(person, owner)]
    if Response.DECLINED in answers:
        return Response.DECLINED
    return answers[0] if answers else None


# --- the rest of the event --------------------------------------------------------------------------------------------


def _link(document: Mapping[str, Any]) -> MeetingLink | None:
    url = _text(document, "meeting_url").strip()
    named = _word(document, "meeting_platform", Platform, Platform.NONE)
    if not url:
        return None
    # The line says that there is a link; where it does not say to which platform, the address often does.
    found = find_meeting_link(Provider.GOOGLE, {"location": url}) if named is Platform.NONE else None
    platform = found.platform if found else named
    return MeetingLink(platform, url, _text(document, "meeting_id") or None, None, "meeting_url")


def _status(document: Mapping[str, Any]) -> EventStatus:
    if _truth(document, "deleted", default=False):
        return EventStatus.CANCELLED
    return _word(document, "status", EventStatus, EventStatus.CONFIRMED, _STATUSES)


def _override(value: object) -> Override | None:
    """``"record"``, or an override resource ``{"recording": "record", …}``."""
    recording = value.get("recording") if isinstance(value, Mapping) else value
    if recording is None:
        return None
    if not isinstance(recording, str) or recording not in tuple(Override):
        raise BadLine("override", 'expected "record", "skip" or null')
    return Override(recording)


def _attributes(value: object) -> dict[str, AttributeValue]:
    attributes = _object({} if value is None else value, "attributes")
    for name, attribute in attributes.items():
        if isinstance(attribute, list):
            usable = all(isinstance(item, str) for item in attribute)
        else:
            usable = attribute is None or isinstance(attribute, str | int | float | bool)
        if not usable:
            raise BadLine(f"attributes.{name}", "expected a text, a number, a truth value or a list of texts")
    return dict(attributes)


# --- times ------------------------------------------------------------------------------------------------------------


def _instant_or_none(value: object, path: str) -> datetime | None:
    if isinstance(value, Mapping):
        value = value.get("dateTime") or value.get("date_time") or value.get("date")
    return None if value is None else _instant(value, path)


def _instant(value: object, path: str) -> datetime:
    """RFC 3339. A date is its midnight, and a time without an offset is meant, in UTC."""
    if not isinstance(value, str):
        raise BadLine(path, "expected an RFC 3339 time such as 2026-03-02T09:00:00Z")
    try:
        instant = datetime.fromisoformat(value.strip())
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadLine(path, "expected an RFC 3339 time such as 2026-03-02T09:00:00Z") from None


def _is_date(value: object) -> bool:
    if isinstance(value, Mapping):
        return "date" in value and "dateTime" not in value
    return isinstance(value, str) and len(value.strip()) == len("2026-03-02")


# --- JSON -------------------------------------------------------------------------------------------------------------


def _object(value: object, path: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadLine(path, "expected an object")
    return value


def _text(document: Mapping[str, Any], name: str, *, required: bool = False, path: str = "") -> str:
    value = document.get(name)
    if value is None and not required:
        return ""
    if not isinstance(value, str) or (required and not value.strip()):
        raise BadLine(f"{path}.{name}".lstrip("."), "expected a text")
    return value


def _texts(document: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = document.get(name)
    if values is None:
        return ()
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise BadLine(name, "expected a list of texts")
    return tuple(values)


def _truth(document: Mapping[str, Any], name: str, *, default: bool, path: str = "event") -> bool:
    value = document.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise BadLine(f"{path}.{name}", "expected true or false")
    return value


def _word(
    document: Mapping[str, Any],
    name: str,
    words: type[_WordT],
    default: _WordT,
    synonyms: Mapping[str, str] | None = None,
) -> _WordT:
    value = document.get(name)
    if value is None:
        return default
    word = value.strip().lower() if isinstance(value, str) else ""
    word = (synonyms or {}).get(word, word)
    if word not in tuple(words):
        raise BadLine(f"event.{name}", f"expected one of {', '.join(words)}")
    return words(word)
