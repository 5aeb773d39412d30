"""Which new occurrence takes the place of which old one if a whole series is moved. Pure.

Moving a series gives every occurrence a new original start, and so a new identity: the provider reports the old ones as gone
and new ones in their place. The new one nearest in time, within half a day, counts as the old one's successor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from meetbot.calendars.event_decisions import NormalisedEvent
from meetbot.domain.stored_event import StoredEvent
from meetbot.rules.policy import Policy

_FARTHEST = timedelta(hours=12)

Successors = Mapping[str, str]
"""The successor's meeting key by the predecessor's, in the order of the predecessors' keys."""


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
    nearest: dict[str, tuple[timedelta, str, str]] = {}
    for old in vanished:
        for start, read in by_series.get(series_keys.get(old.id, ""), ()):
            new = read.identity
            if old.start_at is None or new.meeting_key == old.meeting_key or abs(start - old.start_at) > _FARTHEST:
                continue
            found = (abs(start - old.start_at), new.event_id, new.meeting_key)
            nearest[old.meeting_key] = min(found, nearest.get(old.meeting_key, found))
    return {key: nearest[key][2] for key in sorted(nearest)}


def with_overrides_carried_over(policy: Policy, successors: Successors) -> Policy:
    """Return the policy in which each successor has its predecessor's override.

    A successor that has an override of its own keeps that.
    """
    carried: dict[str, str] = {}
    for predecessor, successor in successors.items():
        recording = policy.occurrence_overrides.get(predecessor)
        if recording is not None:
            carried.setdefault(successor, recording)
    if carried.keys() <= policy.occurrence_overrides.keys():
        return policy
    return replace(policy, occurrence_overrides={**carried, **policy.occurrence_overrides})
