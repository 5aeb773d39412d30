"""Whose copy of a meeting leads, and which copies agree with it. Pure.

Anybody can send an invitation with any UID, so the same UID on two calendars does not make two copies one meeting. They are
one while they agree on room and start with the copy that leads. What a copy says about itself ("I am the organiser's", "I was
changed last") is its sender's word and counts for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from meetbot.domain.addresses import parse_address
from meetbot.domain.event import Event, EventStatus


class Place(NamedTuple):
    """Where and when a bot is to join.

    The end is not part of it: a longer copy is the same meeting.
    """

    room: tuple[str, ...]
    start: datetime


def room_of(platform: str, meeting_id: str | None, url: str) -> tuple[str, ...]:
    """Return what all links to one room share: the platform's id, or the link if it has none."""
    return (platform, meeting_id) if meeting_id else (url,)


def place_of(event: Event) -> Place | None:
    """Return where and when a copy wants the bot; None if it wants none."""
    if event.link is None or event.start is None or event.end is None or event.status is EventStatus.CANCELLED:
        return None
    return Place(room_of(event.link.platform, event.link.meeting_id, event.link.url), event.start)


@dataclass(frozen=True, slots=True)
class Copy:
    """A calendar user's copy that claims a meeting, since when, and the organiser that it names.

    ``is_organizer``: it stands on the calendar of the organiser that it names.
    """

    calendar_user_id: str
    event_id: str
    claimed_at: datetime
    place: Place
    organizer: str | None = None
    is_organizer: bool = False


@dataclass(frozen=True, slots=True)
class Lead:
    """What is remembered of a meeting: who led so far, and where and when its live bot joins."""

    calendar_user_id: str | None = None
    place: Place | None = None


NOBODY_LED = Lead()


def leader_of(copies: Sequence[Copy], lead: Lead = NOBODY_LED) -> Copy | None:
    """Return the copy that leads, or None if there is none.

    It is the one that led so far, as it is now. If that is gone, or says otherwise while others agree with the bot, the
    oldest that agrees leads: who first shares a meeting and then changes the own copy leaves alone. If none agrees, the one
    that led so far leads on, else the oldest. Whoever leads hands over to the organiser's own copy, but only if the leading
    copy names that organiser itself, as must all that agree with the bot if the organiser's does not.
    """
    if not copies:
        return None
    by_age = sorted(copies, key=lambda copy: (copy.claimed_at, copy.calendar_user_id))
    present = next((copy for copy in by_age if copy.calendar_user_id == lead.calendar_user_id), None)
    if present is None or present.place != lead.place:
        present = next((copy for copy in by_age if copy.place == lead.place), present or by_age[0])
    organizers = next((copy for copy in by_age if is_organizers_own(copy, present)), present)
    if organizers.place == lead.place:
        return organizers
    staying = (copy for copy in by_age if copy.place == lead.place and not is_organizers_own(organizers, copy))
    return next(staying, organizers)


def is_organizers_own(copy: Copy, leader: Copy) -> bool:
    """Return whether the copy stands on the calendar of the organiser whom the leader names."""
    if not copy.is_organizer or leader.is_organizer or copy.organizer is None or leader.organizer is None:
        return False
    return parse_address(copy.organizer)[0] == parse_address(leader.organizer)[0]
