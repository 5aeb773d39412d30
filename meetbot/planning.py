"""From decided events to the plan, and from the plan to what must be done: pure, and the same on every replay."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from meetbot.ids import derived_id
from meetbot.orchestration import PlanEntry

MOST_PLANNED = 5000
"""Meetings of one calendar that are planned at a time. Anybody can send thousands of invitations; a plan is one message."""

# Google gives "this and following" a new UID: the old one with the split's date put before the at sign.
_GOOGLE_SPLIT_SUFFIX = re.compile(r"_R\d{8}(T\d{6})?(?=@)")


def meeting_key(
    tenant_id: str,
    ical_uid: str | None,
    original_start: datetime | None,
    *,
    calendar_user_id: str,
    calendar_id: str,
    provider_event_id: str,
) -> str:
    """What every copy of one meeting shares inside a tenant, whoever's calendar it stands in.

    A UID is unique per series (RFC 5545 3.8.4.7), so the occurrence's original start completes it (RECURRENCE-ID). A meeting
    that is not part of a series has none in its key: moving it keeps the key. Without a UID the event stands alone.
    """
    if ical_uid is None:
        return derived_id("mtg", "event", tenant_id, calendar_user_id, calendar_id, provider_event_id)
    occurrence = "" if original_start is None else _instant(original_start)
    return derived_id("mtg", "uid", tenant_id, ical_uid, occurrence)


def series_key(tenant_id: str, ical_uid: str | None, *, fallback: str) -> str:
    """What all occurrences of a series share, also over a "this and following" edit on Google."""
    if ical_uid is None:
        return derived_id("ser", "event", tenant_id, fallback)
    return derived_id("ser", "uid", tenant_id, _GOOGLE_SPLIT_SUFFIX.sub("", ical_uid))


@dataclass(frozen=True, slots=True)
class Target:
    """Where and when a bot is to be. Two targets with one digest need no call to the backend to get from one to the other."""

    join_at: datetime
    end_at: datetime
    meeting_url: str

    @property
    def digest(self) -> str:
        return _digest(_instant(self.join_at), _instant(self.end_at), self.meeting_url)


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


def _instant(value: datetime) -> str:
    return str(int(value.timestamp()))


def _digest(*parts: str) -> str:
    return derived_id("d", *parts)
