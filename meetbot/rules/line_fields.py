"""Fields of a JSON line: the names they go by, and reading each by its type or saying where it is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final, TypeVar

_WordT = TypeVar("_WordT", bound=StrEnum)

EVENT_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "provider": (),
    "calendar_id": (),
    "provider_event_id": ("id",),
    "ical_uid": (),
    "original_start": ("original_start_time",),
    "title": ("summary", "subject"),
    "start": ("start_time", "starts_at", "start_at"),
    "end": ("end_time", "ends_at", "end_at"),
    "all_day": ("is_all_day",),
    "status": (),
    "cancelled": ("canceled", "is_cancelled", "is_canceled"),
    "deleted": ("is_deleted",),
    "organizer": ("organiser", "organizer_email"),
    "attendees": ("participants", "invitees", "guests"),
    "is_organizer": (),
    "own_response": ("response", "response_status", "owner_response", "self_response"),
    "recurring": ("is_recurring",),
    "series_id": ("recurring_event_id", "series_master_id"),
    "type": (),
    "visibility": ("sensitivity",),
    "meeting_url": ("meeting_link", "join_url", "hangout_link", "conference_url"),
    "meeting_platform": (),
    "meeting_id": (),
    "is_meeting": (),
    "event_type": (),
    "is_draft": (),
    "attendees_complete": (),
    "attendees_omitted": (),
    "hide_attendees": (),
    "guests_can_see_other_guests": (),
    "override": (),
}
"""The names of our API's event resource, and what else people and providers call the same thing. A field that went by
unnoticed, an answer or an all-day mark above all, would be a recording that nobody wants."""

PERSON_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "email": ("address", "email_address", "mail"),
    "name": ("display_name",),
    "response": ("response_status", "status", "partstat", "rsvp"),
    "resource": ("is_resource", "is_room"),
    "type": ("cutype",),
    "organizer": ("is_organizer",),
    "self": ("is_self",),
}


class BadLine(ValueError):
    """The line cannot be decided on. ``path`` says where, the message why; neither repeats what the line holds."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path


def by_our_names(document: Mapping[str, Any], names: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """The fields that are there, each under our name. Case, ``_`` and ``-`` do not matter: ``allDay`` is ``all_day``.
    Where one is there twice, the name further to the left counts."""
    squeezed: dict[str, Any] = {}
    for name, value in document.items():
        if value is not None and (squeeze(name) not in squeezed or name in names):
            squeezed[squeeze(name)] = value
    fields: dict[str, Any] = {}
    for ours, others in names.items():
        found = next((name for name in map(squeeze, (ours, *others)) if name in squeezed), None)
        if found is not None:
            fields[ours] = squeezed[found]
    return fields


def every_value(document: Mapping[str, Any], names: Mapping[str, tuple[str, ...]], ours: str) -> list[Any]:
    """All that is said of one field, under whichever of its names; our own first."""
    squeezed = [squeeze(name) for name in (ours, *names[ours])]
    said = [(squeezed.index(squeeze(name)), value) for name, value in document.items() if squeeze(name) in squeezed]
    return [value for _, value in sorted(said, key=lambda pair: pair[0]) if value is not None]


def squeeze(word: object) -> str:
    return word.replace("_", "").replace("-", "").strip().lower() if isinstance(word, str) else ""


def an_object(value: object, path: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadLine(path, "expected an object")
    return value


def text_in(document: Mapping[str, Any], name: str, path: str) -> str:
    """ "" where it is not there."""
    value = document.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadLine(f"{path}.{name}".lstrip("."), "expected a text")
    return value


def texts_in(document: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = document.get(name)
    if values is None:
        return ()
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise BadLine(name, "expected a list of texts")
    return tuple(values)


def truth_in(document: Mapping[str, Any], name: str, path: str, *, default: bool) -> bool:
    value = document.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise BadLine(f"{path}.{name}", "expected true or false")
    return value


def any_true(values: Iterable[object], path: str) -> bool:
    """Whether one of several that say the same thing says so."""
    said = list(values)
    if not all(isinstance(value, bool) for value in said):
        raise BadLine(path, "expected true or false")
    return True in said


def word_in(
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
