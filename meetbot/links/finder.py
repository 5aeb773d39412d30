"""Finds the one meeting link of an event that a guest bot can open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from meetbot.domain.event import MeetingLink, Provider
from meetbot.links.candidates import Version, candidates
from meetbot.links.fields import Field, Form, fields
from meetbot.links.html import as_text, looks_like_html
from meetbot.links.lookup import Lookup
from meetbot.links.matching import Room
from meetbot.links.passcodes import stated_passcode
from meetbot.links.statements import states_one
from meetbot.links.text import WHOLE, repaired, unescaped, worth_reading
from meetbot.links.url_spans import is_of_another_kind

# Per event; far beyond what any invitation holds.
_MAX_CHARACTERS = 100_000
_MAX_CANDIDATES = 700
_MAX_VERSIONS = 700
_MAX_ROOMS = 200


def find_meeting_link(provider: Provider, raw: Mapping[str, Any]) -> MeetingLink | None:
    """The link to join, or None where the event holds none.

    `raw` is an event resource as Google Calendar v3 or Microsoft Graph v1.0 sends it; nothing about its types is taken
    for granted. The first joinable link in the order of `fields` names the meeting; a later one to the same meeting
    replaces it where it carries more of what a guest needs. Never raises, and takes bounded time.
    """
    if not isinstance(raw, Mapping):
        return None
    best: Room | None = None
    link: MeetingLink | None = None
    mentions: list[str] = []
    meetings: set[tuple[str, ...]] = set()
    lookup = Lookup()
    for room, field, text in islice(_rooms(provider, raw, lookup), _MAX_ROOMS):
        meetings.add(room.key)
        if best is None or _is_fuller(room, best):
            best, link = room, _link(room, field, link)
        if best.is_full:
            break
        if best.may_be_stated and room.key == best.key and text not in mentions[-1:]:
            mentions.append(text)
    if best and link and best.may_be_stated and not link.passcode:
        texts = [*mentions, *_statements(provider, raw, lookup)]
        is_only = len(meetings) == 1 and not best.is_full
        return replace(link, passcode=_stated_passcode(link, texts, is_only)) if lookup.is_complete else link
    return link


def _rooms(provider: Provider, raw: Mapping[str, Any], lookup: Lookup) -> Iterator[tuple[Room, Field, str]]:
    """The rooms that an event names, each with the field and the readable text in which it stands."""
    budget = iter(range(_MAX_VERSIONS))
    places = (
        (field, text, versions)
        for field, text in _readable(fields(provider, raw), lookup)
        for versions in _candidates(field, text, lookup)
    )
    for field, text, versions in islice(places, _MAX_CANDIDATES):
        room = _whole_room((version for version, _ in zip(versions, budget, strict=False)), lookup)
        if room:
            yield room, field, text


def _whole_room(versions: Iterator[Version], lookup: Lookup) -> Room | None:
    """The room that an address names, with those of the following lines that complete it."""
    best: Room | None = None
    for version in versions:
        room = _room_of(version, lookup)
        if room and (best is None or _completes(room, best, version.is_cut)):
            best = room
    return best


def _room_of(version: Version, lookup: Lookup) -> Room | None:
    return next((room for reading in version.readings if (room := lookup.address(reading).room)), None)


def _completes(longer: Room, room: Room, is_cut: bool) -> bool:
    """Whether more of the text makes more of a link. A link that is complete is not made longer by what comes next."""
    if longer.whole != room.whole:
        return longer.whole > room.whole
    if is_cut:
        return True
    return longer.parameters > room.parameters and room.passcode in (None, longer.passcode)


def _readable(places: Iterator[Field], lookup: Lookup) -> Iterator[tuple[Field, str]]:
    """The parts of the fields' text in which a link can be, made readable."""
    left = _MAX_CHARACTERS
    for field in places:
        for part in worth_reading(field.text, lookup):
            if len(part) <= left:
                left -= len(part)
                yield field, _plain(field, part, lookup)


def _plain(field: Field, text: str, lookup: Lookup) -> str:
    text = repaired(text)
    if field.form is not Form.ADDRESS and (field.form is Form.HTML or looks_like_html(text)):
        text = as_text(text, lookup)
    return unescaped(text)


def _candidates(field: Field, text: str, lookup: Lookup) -> Iterator[Iterator[Version]]:
    if field.form is Form.ADDRESS:
        if is_of_another_kind(text):
            return
        yield iter([Version((text.strip(),))])
        text = unescaped(as_text(text, lookup)) if looks_like_html(text) else text
    yield from candidates(text)


def _is_fuller(room: Room, best: Room) -> bool:
    return room.key == best.key and _fullness(room) > _fullness(best)


def _fullness(room: Room) -> tuple[bool, int]:
    return room.passcode is not None, room.parameters


def _link(room: Room, field: Field, shorter: MeetingLink | None) -> MeetingLink:
    """The room as a link. A passcode stated beside a link counts where no link to the meeting carries one."""
    stated = field.passcode if field.passcode != room.meeting_id else None
    return MeetingLink(
        platform=room.platform,
        url=room.url,
        meeting_id=room.meeting_id,
        passcode=room.passcode or stated or (shorter.passcode if shorter else None),
        source=field.source,
    )


def _statements(provider: Provider, raw: Mapping[str, Any], lookup: Lookup) -> Iterator[str]:
    """The fields that put a passcode in words: one may state the id of a meeting whose link stands in another."""
    left = _MAX_CHARACTERS
    for field in fields(provider, raw):
        if field.form is not Form.ADDRESS and len(field.text) <= min(left, WHOLE) and states_one(field.text):
            left -= len(field.text)
            yield _plain(field, field.text, lookup)


def _stated_passcode(link: MeetingLink, texts: list[str], is_only: bool) -> str | None:
    """The passcode that the first of the texts puts in words for the link's meeting, be it the only one or not."""
    stated = (stated_passcode(text, link.meeting_id or "", is_only) for text in dict.fromkeys(texts))
    return next(filter(None, stated), None)
