"""Which meeting a copy is of: the one that its shared key names, or one of its own. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from meetbot.calendars.event_decisions import NormalisedEvent
from meetbot.domain.identity import key_of_its_own
from meetbot.domain.leadership import NOBODY_LED, Copy, Lead, Place, is_organizers_own, leader_of, place_of


@dataclass(frozen=True, slots=True)
class Claimants:
    """The copies that claim the meeting of a shared key, and who led it so far."""

    copies: Sequence[Copy] = ()
    lead: Lead = NOBODY_LED


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is stored of the meetings that the read copies may be of.

    ``claimants`` are by shared key. ``sent`` are the meeting keys whose own bot is on its way or in the call. ``gone`` are
    events of this calendar user that have left the calendar.
    """

    calendar_user_id: str
    claimants: Mapping[str, Claimants] = field(default_factory=dict)
    sent: Collection[str] = frozenset()
    gone: Collection[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Settlement:
    """The read copies with their meetings, and the others' leading copies that some contradict."""

    read: Sequence[NormalisedEvent]
    contradicted: Sequence[Copy]


def may_claim(read: NormalisedEvent, now: datetime) -> bool:
    """Return whether the copy is of a meeting that is still to be held, and names its place."""
    return place_of(read.event) is not None and read.event.end is not None and read.event.end > now


def settle(read: Sequence[NormalisedEvent], surroundings: Surroundings, *, now: datetime) -> Settlement:
    """Give each copy its meeting key. Copies that agree with the leading one share its meeting.

    The ``contradicted`` are ordered by the start of the copy that disagrees, the nearest first.
    """
    present = _places_read(read, surroundings.gone)
    settled: dict[str, NormalisedEvent] = {}
    contradicted: dict[str, Copy] = {}
    firsts: dict[str, Copy] = {}
    for one in sorted(read, key=_order):
        key, place = one.identity.shared_key, place_of(one.event)
        if place is None or not may_claim(one, now):
            continue
        claimants = surroundings.claimants.get(key, Claimants())
        copies = [copy for copy in map(present.now, claimants.copies) if copy is not None]
        leader = leader_of(copies, claimants.lead) or firsts.get(key)
        own = _as_copy(one, place, now)
        if leader is None:
            firsts[key] = own
        elif _disagrees(own, leader):
            if leader.calendar_user_id != surroundings.calendar_user_id:
                contradicted.setdefault(leader.event_id, leader)
            settled[own.event_id] = _with_key(one, key_of_its_own(one.identity))
        elif one.identity.meeting_key not in surroundings.sent:
            settled[own.event_id] = _with_key(one, key)
    return Settlement([settled.get(one.identity.event_id, one) for one in read], tuple(contradicted.values()))


def _disagrees(own: Copy, leader: Copy) -> bool:
    if own.event_id == leader.event_id or own.place == leader.place:
        return False
    return not is_organizers_own(own, leader)


def _order(read: NormalisedEvent) -> tuple[bool, float, str]:
    """Order copies of the shared meeting before those that left it, then the nearest first."""
    start = read.event.start.timestamp() if read.event.start is not None else float("inf")
    return read.identity.meeting_key != read.identity.shared_key, start, read.identity.event_id


def _as_copy(read: NormalisedEvent, place: Place, now: datetime) -> Copy:
    organizer = read.event.organizer
    return Copy(
        calendar_user_id=read.identity.calendar_user_id,
        event_id=read.identity.event_id,
        claimed_at=now,
        place=place,
        organizer=organizer.email if organizer is not None else None,
        is_organizer=read.event.is_organizer,
    )


def _with_key(read: NormalisedEvent, meeting_key: str) -> NormalisedEvent:
    return replace(read, identity=replace(read.identity, meeting_key=meeting_key))


@dataclass(frozen=True, slots=True)
class _PlacesRead:
    """What the calendar being read says by now about copies that are stored otherwise."""

    events: Mapping[str, NormalisedEvent]
    gone: Collection[str]

    def now(self, stored: Copy) -> Copy | None:
        """Return a claimant's copy as it is now, or None if it is no claimant's any more."""
        if stored.event_id in self.gone:
            return None
        read = self.events.get(stored.event_id)
        if read is None:
            return stored
        place = place_of(read.event)
        return replace(stored, place=place) if place is not None else None


def _places_read(read: Iterable[NormalisedEvent], gone: Collection[str]) -> _PlacesRead:
    return _PlacesRead({one.identity.event_id: one for one in read}, frozenset(gone))
