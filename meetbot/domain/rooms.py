"""Which meetings share a room at the same time, and with it one bot. Pure.

A room is a platform and its meeting id. Meetings that overlap in one room have one bot between them, whatever their UIDs; back
to back they have two.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from meetbot.domain.bot_state import BotState
from meetbot.domain.ids import derived_id

SHARED = "shared"
"""The outcome of a bot that was not sent, because another meeting's bot is in the room for its meeting too."""

OCCUPYING_STATES = (
    BotState.DISPATCHING,
    BotState.DISPATCHED,
    BotState.JOINING,
    BotState.IN_CALL,
    BotState.RECORDING,
)
"""A bot is in its room, or may be, or is on its way. One that is finalizing has left the call."""


class Schedule(NamedTuple):
    """From when until when a meeting is planned."""

    start: datetime
    end: datetime

    def overlaps(self, other: Schedule) -> bool:
        """Return whether both last at the same time; meetings that only touch do not."""
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True)
class Occupant:
    """A bot in a room, with the schedules of all meetings that it is there for."""

    bot_id: str
    schedules: Sequence[Schedule]


def room_id(tenant_id: str, platform: str, meeting_id: str | None) -> str | None:
    """Return what all links to one room share, whatever passcode they carry.

    None if the platform's id is not known: such a link shares its room with none.
    """
    return derived_id("room", tenant_id, platform, meeting_id) if meeting_id else None


def occupant_for(schedule: Schedule, occupants: Iterable[Occupant]) -> Occupant | None:
    """Return the bot that a meeting shares, or None if it needs one of its own.

    Of several, it is the one that has the longest to stay.
    """
    overlapping = [one for one in occupants if any(schedule.overlaps(other) for other in one.schedules)]
    return max(overlapping, key=lambda one: (max(stay.end for stay in one.schedules), one.bot_id), default=None)
