"""The rooms that a Graph event names among its places. Pure.

Source: learn.microsoft.com/graph/api/resources/location.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from meetbot.providers.base import RawEvent
from meetbot.providers.event_fields import entries_of, mapping
from meetbot.providers.storable_text import address

_MOST_PLACES: Final = 100


def room_addresses(raw: RawEvent) -> frozenset[str]:
    """Return the addresses, in lower case, of the rooms where an event takes place.

    A room that somebody typed among the people is no attendee of the type ``resource``; the place says what it is.
    """
    places = (mapping(raw.get("location")), *islice(entries_of(raw.get("locations")), _MOST_PLACES))
    return frozenset(found for place in places for found in _addresses(place))


def _addresses(place: Mapping[str, Any]) -> Iterator[str]:
    named = [place.get("locationEmailAddress")]
    # Anybody can type a person's address as the place; only the directory knows that it is a room.
    if place.get("locationType") == "conferenceRoom" or place.get("uniqueIdType") == "directory":
        named += [place.get("locationUri"), place.get("uniqueId")]
    for value in named:
        written = address(value)
        if written is not None and "@" in written:
            yield written.lower()
