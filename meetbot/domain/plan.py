"""From decided events to the plan, and from the plan to what must be done: pure, and the same on every replay."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from meetbot.domain.identity import whole_seconds
from meetbot.domain.ids import derived_id

MOST_PLANNED = 5000
"""Meetings of one calendar that are planned at a time. Anybody can send thousands of invitations; a plan is one message."""


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """A meeting that a calendar user wants recorded. ``acknowledged`` once the meeting's bot has taken the claim in."""

    meeting_key: str
    join_at: datetime
    end_at: datetime
    target_digest: str
    acknowledged: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """Where and when a bot is to be. Two targets with one digest need no call to the backend to get from one to the other."""

    join_at: datetime
    end_at: datetime
    meeting_url: str

    @property
    def digest(self) -> str:
        return _digest(whole_seconds(self.join_at), whole_seconds(self.end_at), self.meeting_url)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An event that is to be recorded, as far as planning must know it."""

    event_id: str
    meeting_key: str
    target: Target
    updated: datetime | None
    is_organizer: bool = False


def choose_candidates(
    candidates: Iterable[Candidate],
    *,
    now: datetime,
    horizon: timedelta,
    claimed: Collection[str] = (),
    most: int = MOST_PLANNED,
) -> dict[str, Candidate]:
    """One candidate per meeting of those that have not ended and start within the horizon, in the order of the keys.

    The same meeting may stand on two calendars of one user; the copies are ranked like those of different people. Of more
    meetings than ``most``, those ``claimed`` already stay, and the nearest others are chosen: nobody's bot is called back for
    somebody else's invitation. The turn of the rest comes as these end.
    """
    chosen: dict[str, Candidate] = {}
    for candidate in candidates:
        if candidate.target.end_at <= now or candidate.target.join_at > now + horizon:
            continue
        rival = chosen.get(candidate.meeting_key)
        if rival is None or _rank(candidate) > _rank(rival):
            chosen[candidate.meeting_key] = candidate
    if len(chosen) > most:
        ranked = sorted(chosen, key=lambda key: (key not in claimed, chosen[key].target.join_at, key))
        chosen = {key: chosen[key] for key in ranked[:most]}
    return dict(sorted(chosen.items()))


def leading_copy(copies: Iterable[Candidate]) -> Candidate:
    """Two copies disagree: the organiser's wins, else the one its provider touched last. Raises ValueError on none."""
    return max(copies, key=_rank)


def _rank(candidate: Candidate) -> tuple[bool, float, str]:
    updated = candidate.updated.timestamp() if candidate.updated is not None else float("-inf")
    return candidate.is_organizer, updated, candidate.event_id


def plan_digest(plan: Iterable[PlanEntry]) -> str:
    return _digest(*(f"{entry.meeting_key} {entry.target_digest} {int(entry.acknowledged)}" for entry in plan))


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What brings the known meetings to the plan. All in the order of the meeting keys."""

    start: tuple[PlanEntry, ...] = ()
    reschedule: tuple[PlanEntry, ...] = ()
    release: tuple[PlanEntry, ...] = ()
    forget: tuple[PlanEntry, ...] = ()


def reconcile(known: Mapping[str, PlanEntry], plan: Mapping[str, PlanEntry], *, now: datetime) -> Reconciliation:
    """Compare what was arranged with what is wanted.

    A meeting that is over merely leaves the plan: its bot is not called back from a meeting that runs long. An entry that the
    bot's workflow has not acknowledged is claimed again: whatever step was lost, the next sync mends it.
    """
    start, reschedule = [], []
    for key in sorted(plan):
        wanted, arranged = plan[key], known.get(key)
        if arranged is None or (not wanted.acknowledged and arranged.target_digest == wanted.target_digest):
            start.append(wanted)
        elif arranged.target_digest != wanted.target_digest:
            reschedule.append(wanted)
    gone = [known[key] for key in sorted(known) if key not in plan]
    return Reconciliation(
        start=tuple(start),
        reschedule=tuple(reschedule),
        release=tuple(entry for entry in gone if entry.end_at > now),
        forget=tuple(entry for entry in gone if entry.end_at <= now),
    )


def first_part(todo: Reconciliation, known: Mapping[str, PlanEntry], *, most: int) -> tuple[Reconciliation, bool]:
    """The ``most`` meetings that are nearest, and whether any of the others has not been arranged at all.

    Claims that are only made again come last: what answers to them is slow, and they must not keep a new meeting waiting.
    """
    changes = (*todo.start, *todo.reschedule, *todo.release)
    repeated = {entry.meeting_key for entry in todo.start if entry.meeting_key in known}
    ordered = sorted(changes, key=lambda entry: (entry.meeting_key in repeated, entry.join_at, entry.meeting_key))
    chosen = {entry.meeting_key for entry in ordered[:most]}
    return (
        Reconciliation(
            start=tuple(entry for entry in todo.start if entry.meeting_key in chosen),
            reschedule=tuple(entry for entry in todo.reschedule if entry.meeting_key in chosen),
            release=tuple(entry for entry in todo.release if entry.meeting_key in chosen),
            forget=todo.forget,
        ),
        any(entry.meeting_key not in repeated for entry in ordered[most:]),
    )


def arranged(entry: PlanEntry) -> PlanEntry:
    """The entry as the workflow remembers it: whether it was acknowledged is always read afresh."""
    return replace(entry, acknowledged=False)


def sync_phase(calendar_user_id: str, interval: timedelta) -> timedelta:
    """This user's place within the interval, so that a hundred thousand users never poll on the same second."""
    digest = hashlib.blake2b(calendar_user_id.encode(), digest_size=8).digest()
    return interval * (int.from_bytes(digest, "big") / 2**64)


def next_slot(now: datetime, interval: timedelta, phase: timedelta) -> datetime:
    """The next instant that is a whole number of intervals after the phase: start to start, however long a sync takes."""
    epoch = datetime.fromtimestamp(0, tz=now.tzinfo) + phase
    return epoch + interval * ((now - epoch) // interval + 1)


def _digest(*parts: str) -> str:
    return derived_id("d", *parts)
