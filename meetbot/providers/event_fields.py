"""Parts of an event that both providers share: words, people and the meeting link.

Pure. Takes values of any type and raises nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from meetbot.domain.event import Attendee, MeetingLink, Provider, Response
from meetbot.domain.own_response import weightiest
from meetbot.links import find_meeting_link
from meetbot.providers.base import RawEvent
from meetbot.providers.storable_text import exact

MAX_ATTENDEES = 1000
_LONGEST_URL = 8192

_EMPTY: Mapping[str, Any] = {}

T = TypeVar("T")


def mapping(value: object) -> Mapping[str, Any]:
    """Return the JSON object, or an empty one in place of null and anything else."""
    return value if isinstance(value, dict) else _EMPTY


def entries_of(value: object) -> list[Mapping[str, Any]]:
    """Return the JSON objects of a list, without its other entries; nothing for what is no list."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def word(table: Mapping[str, T], value: object, otherwise: T) -> T:
    """Return what a provider's word stands for, or `otherwise` if it is unknown or no text."""
    return table.get(value, otherwise) if isinstance(value, str) else otherwise


def response(table: Mapping[str, Response], value: object) -> Response:
    """Return the response that a provider's word stands for, in any letter case.

    An unknown word counts as no response. The table's words are in lower case.
    """
    return table.get(value.lower(), Response.NEEDS_ACTION) if isinstance(value, str) else Response.NEEDS_ACTION


def read_attendees(value: object, read: Callable[[Mapping[str, Any]], Attendee]) -> tuple[tuple[Attendee, ...], bool]:
    """Return the attendees, at most `MAX_ATTENDEES` and one, and whether that is all of them.

    Of a longer list the beginning is kept, and with it the entry of the calendar's owner that counts, wherever it
    stands: a response that was cut off would be lost. `read` makes an attendee of one entry.
    """
    entries = entries_of(value)
    kept = [read(entry) for entry in entries[:MAX_ATTENDEES]]
    own_entries = [attendee for attendee in map(read, entries[MAX_ATTENDEES:]) if attendee.is_self]
    own = weightiest([attendee.response for attendee in own_entries])
    kept += [attendee for attendee in own_entries if attendee.response is own][:1]
    return tuple(kept), len(entries) <= MAX_ATTENDEES


def storable_link(provider: Provider, raw: RawEvent) -> MeetingLink | None:
    """Return an event's meeting link, or None if it has none that can be stored unchanged."""
    link = find_meeting_link(provider, raw)
    if link is None or exact(link.url, _LONGEST_URL) is None:
        return None
    optional = (link.meeting_id, link.passcode)
    if any(text is not None and text != "" and exact(text, _LONGEST_URL) is None for text in optional):
        return None
    return link
