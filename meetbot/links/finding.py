"""Finds the one meeting link of an event that a guest bot can open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from meetbot.events import MeetingLink, Provider
from meetbot.links.candidates import candidates
from meetbot.links.fields import Field, Form, fields
from meetbot.links.gateways import Lost, follow
from meetbot.links.markup import as_text, looks_like_html
from meetbot.links.matching import Room, match
from meetbot.links.passcodes import stated_passcode
from meetbot.links.text import repaired, unescaped, worth_reading

# Per event; far beyond what any invitation holds.
_MAX_CANDIDATES = 800
_MAX_ROOMS = 200


def find_meeting_link(provider: Provider, raw: Mapping[str, Any]) -> MeetingLink | None:
    """The link to join, or None where the event holds none.

    `raw` is an event resource as Google Calendar v3 or Microsoft Graph v1.0 sends it; nothing about its types is taken
    for granted. The first joinable link in the order of `fields` names the meeting; a later one to the same meeting
    replaces it where it carries more of what a guest needs. Never raises, and takes bounded time.
    """
    best: Room | None = None
    link: MeetingLink | None = None
    mentions: list[str] = []
    for room, field, text in islice(_rooms(provider, raw), _MAX_ROOMS):
        if best is None or _is_fuller(room, best):
            best, link = room, _link(room, field, link)
        if best.is_full:
            break
        if best.may_be_stated and room.key == best.key and text not in mentions[-1:]:
            mentions.append(text)
    return _with_stated_passcode(link, mentions) if link and mentions and not link.passcode else link


def _rooms(provider: Provider, raw: Mapping[str, Any]) -> Iterator[tuple[Room, Field, str]]:
    """The rooms that an event names, each with the field and the readable text in which it stands."""
    places = (
        (field, text, readings)
        for field in fields(provider, raw)
        for text in _readable(field)
        for readings in _candidates(field, text)
    )
    for field, text, readings in islice(places, _MAX_CANDIDATES):
        room = next(filter(None, map(_room, readings)), None)
        if room:
            yield room, field, text


def _readable(field: Field) -> Iterator[str]:
    """The field's text made readable; nothing where no link can be in it."""
    text = repaired(worth_reading(field.text))
    if field.form is not Form.ADDRESS and (field.form is Form.HTML or looks_like_html(text)):
        text = as_text(text)
    if text:
        yield unescaped(text)


def _candidates(field: Field, text: str) -> Iterator[tuple[str, ...]]:
    if field.form is Form.ADDRESS:
        yield (text.strip(),)
        text = unescaped(as_text(text)) if looks_like_html(text) else text
    yield from candidates(text)


def _room(address: str) -> Room | None:
    target = follow(address)
    return None if isinstance(target, Lost) else match(target)


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


def _with_stated_passcode(link: MeetingLink, mentions: list[str]) -> MeetingLink:
    """The link with the passcode that the first of the texts naming its meeting puts in words."""
    stated = (stated_passcode(text, link.meeting_id or "") for text in mentions)
    return replace(link, passcode=next(filter(None, stated), None))
