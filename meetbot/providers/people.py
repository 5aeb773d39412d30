"""Parts of reading people and words that both providers' events need. Pure; takes anything, raises nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from meetbot.domain.event import Attendee, Response
from meetbot.domain.own_response import weightiest

MAX_ATTENDEES = 1000

NOTHING: Mapping[str, Any] = {}

T = TypeVar("T")


def mapping(value: object) -> Mapping[str, Any]:
    """The object, or an empty one in place of null and anything else."""
    return value if isinstance(value, dict) else NOTHING


def word(table: Mapping[str, T], value: object, otherwise: T) -> T:
    """What a provider's word stands for; ``otherwise`` for null, unknown words and wrong types."""
    return table.get(value, otherwise) if isinstance(value, str) else otherwise


def answer(table: Mapping[str, Response], value: object) -> Response:
    """What a provider's word for an answer stands for, however it is capitalised; an unknown one is no answer."""
    return table.get(value.lower(), Response.NEEDS_ACTION) if isinstance(value, str) else Response.NEEDS_ACTION


def entries_of(value: object) -> list[Mapping[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def read_attendees(value: object, read: Callable[[Mapping[str, Any]], Attendee]) -> tuple[tuple[Attendee, ...], bool]:
    """The attendees, and whether that is all of the list: a long one is cut at `MAX_ATTENDEES`, though never before the
    owner's weightiest answer, which may stand anywhere in it."""
    entries = entries_of(value)
    kept = [read(entry) for entry in entries[:MAX_ATTENDEES]]
    cut_off = [attendee for attendee in map(read, entries[MAX_ATTENDEES:]) if attendee.is_self]
    said = weightiest([attendee.response for attendee in cut_off])
    kept += [attendee for attendee in cut_off if attendee.response is said][:1]
    return tuple(kept), len(entries) <= MAX_ATTENDEES
