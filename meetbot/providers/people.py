"""Parts of reading people and words that both providers' events need. Pure; takes anything, raises nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from meetbot.events import Attendee

MAX_ATTENDEES = 1000

NOTHING: Mapping[str, Any] = {}

T = TypeVar("T")


def mapping(value: object) -> Mapping[str, Any]:
    """The object, or an empty one in place of null and anything else."""
    return value if isinstance(value, dict) else NOTHING


def word(table: Mapping[str, T], value: object, otherwise: T) -> T:
    """What a provider's word stands for; ``otherwise`` for null, unknown words and wrong types."""
    return table.get(value, otherwise) if isinstance(value, str) else otherwise


def read_attendees(entries: object, read: Callable[[Mapping[str, Any]], Attendee]) -> tuple[tuple[Attendee, ...], bool]:
    """The attendees, and whether that is all of the list: a long one is cut at `MAX_ATTENDEES`."""
    if not isinstance(entries, list):
        return (), True
    kept = entries[:MAX_ATTENDEES]
    return tuple(read(entry) for entry in kept if isinstance(entry, dict)), len(kept) == len(entries)


def first_self(attendees: Iterable[Attendee]) -> Attendee | None:
    return next((attendee for attendee in attendees if attendee.is_self), None)
