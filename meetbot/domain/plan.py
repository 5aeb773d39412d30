"""From decided events to the plan, and from the plan to what is to be done.

Pure, and the same on every replay.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from meetbot.domain.identity import whole_seconds
from meetbot.domain.ids import derived_id

MOST_PLANNED = 5000
"""Meetings of one calendar in a plan. Anyone can send thousands of invitations, and a plan is one Temporal message."""


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """A meeting that a calendar user wants recorded.

    ``acknowledged`` is set once the meeting's bot has accepted the claim.
    """

    meeting_key: str
    join_at: datetime
    end_at: datetime
    target_digest: str
    acknowledged: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """The link and the times at which a bot is to be in a meeting.

    Two targets have different digests if the backend must be told of the change from one to the other.
    """

    join_at: datetime
    end_at: datetime
    meeting_url: str

    @property
    def digest(self) -> str:
        """Return the digest that stands for the target in messages and claims."""
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
    """Return one candidate per meeting within the horizon, ordered by meeting key.

    Meetings that have ended are left out.

    The same meeting may stand on two calendars of one user; the copies are ranked like those of different people. Of more
    meetings than ``most``, those ``claimed`` already stay, and the nearest others are added: a flood of invitations recalls
    no bot. The remaining meetings are planned when planned ones end.
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
    """Return the copy that counts if copies of one meeting differ.

    It is the organiser's, else the one changed last.

    Raises ValueError if there is none.
    """
    return max(copies, key=_rank)


def _rank(candidate: Candidate) -> tuple[bool, float, str]:
    updated = candidate.updated.timestamp() if candidate.updated is not None else float("-inf")
    return candidate.is_organizer, updated, candidate.event_id


def plan_digest(plan: Iterable[PlanEntry]) -> str:
    """Return a digest that differs if a meeting, its target or its acknowledgement does."""
    return _digest(*(f"{entry.meeting_key} {entry.target_digest} {int(entry.acknowledged)}" for entry in plan))


@dataclass(frozen=True, slots=True)
class PlanDifference:
    """The steps that bring a workflow's meetings in line with its plan, by meeting key."""

    start: tuple[PlanEntry, ...] = ()
    reschedule: tuple[PlanEntry, ...] = ()
    release: tuple[PlanEntry, ...] = ()
    forget: tuple[PlanEntry, ...] = ()


def compare_with_plan(
    known: Mapping[str, PlanEntry], plan: Mapping[str, PlanEntry], *, now: datetime
) -> PlanDifference:
    """Compare the meetings whose bots were signalled or started (``known``) with the plan.

    A meeting that is over merely leaves the plan: its bot is not recalled from a meeting that runs long. An entry that the
    bot's workflow has not acknowledged is claimed again, so that the next sync mends any step that was lost.
    """
    start, reschedule = [], []
    for key in sorted(plan):
        wanted, current = plan[key], known.get(key)
        if current is None or (not wanted.acknowledged and current.target_digest == wanted.target_digest):
            start.append(wanted)
        elif current.target_digest != wanted.target_digest:
            reschedule.append(wanted)
    gone = [known[key] for key in sorted(known) if key not in plan]
    return PlanDifference(
        start=tuple(start),
        reschedule=tuple(reschedule),
        release=tuple(entry for entry in gone if entry.end_at > now),
        forget=tuple(entry for entry in gone if entry.end_at <= now),
    )


def first_batch(todo: PlanDifference, known: Mapping[str, PlanEntry], *, most: int) -> tuple[PlanDifference, bool]:
    """Return the work on the ``most`` nearest meetings, and whether any change remains.

    Claims that are only made again come last: bots that have not acknowledged them are slow, and must not keep a new meeting
    waiting.
    """
    changes = (*todo.start, *todo.reschedule, *todo.release)
    repeated = {entry.meeting_key for entry in todo.start if entry.meeting_key in known}
    ordered = sorted(changes, key=lambda entry: (entry.meeting_key in repeated, entry.join_at, entry.meeting_key))
    chosen = {entry.meeting_key for entry in ordered[:most]}
    return (
        PlanDifference(
            start=tuple(entry for entry in todo.start if entry.meeting_key in chosen),
            reschedule=tuple(entry for entry in todo.reschedule if entry.meeting_key in chosen),
            release=tuple(entry for entry in todo.release if entry.meeting_key in chosen),
            forget=todo.forget,
        ),
        any(entry.meeting_key not in repeated for entry in ordered[most:]),
    )


def as_known(entry: PlanEntry) -> PlanEntry:
    """Return the entry as the workflow remembers it, without its acknowledgement.

    Whether it was acknowledged is always read afresh.
    """
    return replace(entry, acknowledged=False)


def _digest(*parts: str) -> str:
    return derived_id("d", *parts)
