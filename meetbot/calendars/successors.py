"""Which new occurrence takes the place of which old one if a whole series is moved. Pure.

Moving a series gives every occurrence a new original start, and so a new identity: the provider reports the old ones as gone
and new ones in their place. The new one nearest in time, within half a day, counts as the old one's successor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from meetbot.calendars.event_decisions import NormalisedEvent
from meetbot.domain.identity import Identity
from meetbot.domain.stored_event import StoredEvent
from meetbot.rules.policy import Policy

_FARTHEST = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Successors:
    """The successors' keys by the predecessors'.

    Overrides are stored by shared key, suppressions by meeting key.
    """

    shared_keys: Mapping[str, str] = field(default_factory=dict)
    meeting_keys: Mapping[str, str] = field(default_factory=dict)


NO_SUCCESSORS = Successors()


def find_successors(
    vanished: Iterable[StoredEvent], series_keys: Mapping[str, str], appeared: Sequence[NormalisedEvent]
) -> Successors:
    """Return the successors of the ``vanished`` among the occurrences that ``appeared``.

    ``series_keys`` holds the vanished events' series by event id.
    """
    by_series: dict[str, list[tuple[datetime, NormalisedEvent]]] = {}
    for read in appeared:
        if read.event.start is not None:
            by_series.setdefault(read.identity.series_key, []).append((read.event.start, read))
    nearest: dict[str, tuple[timedelta, str, StoredEvent, Identity]] = {}
    for old in vanished:
        for start, read in by_series.get(series_keys.get(old.id, ""), ()):
            new = read.identity
            if old.start_at is None or new.shared_key == old.shared_key or abs(start - old.start_at) > _FARTHEST:
                continue
            found = (abs(start - old.start_at), new.event_id, old, new)
            nearest[old.shared_key] = min(found, nearest.get(old.shared_key, found), key=lambda pair: pair[:2])
    pairs = [nearest[key][2:] for key in sorted(nearest)]
    return Successors(
        shared_keys={old.shared_key: new.shared_key for old, new in pairs},
        meeting_keys={old.meeting_key: new.meeting_key for old, new in pairs},
    )


def with_overrides_carried_over(policy: Policy, successors: Successors) -> Policy:
    """Return the policy in which each successor has its predecessor's override.

    A successor that has an override of its own keeps that.
    """
    carried: dict[str, str] = {}
    for predecessor, successor in successors.shared_keys.items():
        recording = policy.occurrence_overrides.get(predecessor)
        if recording is not None:
            carried.setdefault(successor, recording)
    if carried.keys() <= policy.occurrence_overrides.keys():
        return policy
    return replace(policy, occurrence_overrides={**carried, **policy.occurrence_overrides})


def with_split_copies(
    successors: Successors, stored: Sequence[StoredEvent], read: Sequence[NormalisedEvent]
) -> Successors:
    """Return the successors with the copies that leave a shared meeting.

    A bot that a person cancelled stays cancelled for all who shared the meeting then.
    """
    shared = {event.id for event in stored if event.meeting_key == event.shared_key}
    left = {
        one.identity.shared_key: one.identity.meeting_key
        for one in read
        if one.identity.event_id in shared and one.identity.meeting_key != one.identity.shared_key
    }
    return replace(successors, meeting_keys={**left, **successors.meeting_keys}) if left else successors
