"""A calendar user's plan and claims, as they follow from the stored events.

Pure: knows no clock, network or database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from meetbot.domain.plan import Candidate, PlanEntry, Target, choose_candidates
from meetbot.domain.stored_event import StoredEvent
from meetbot.rules import Outcome


@dataclass(frozen=True, slots=True)
class ClaimChanges:
    """The plan, the claims to write for it and the meetings no longer claimed.

    The claims are event ids by meeting key.
    """

    plan: tuple[PlanEntry, ...]
    written: Mapping[str, str]
    withdrawn: tuple[str, ...]


def claim_changes(
    stored: Sequence[StoredEvent], *, now: datetime, horizon: timedelta, access_given_up: bool = False
) -> ClaimChanges:
    """Return the plan that the events come to, and how the stored claims differ from it.

    A claim on a recorded meeting that is over stays: it tells whose recording that was.
    """
    claimed = {event.meeting_key: event for event in stored if event.claimed_digest is not None}
    wanted = {} if access_given_up else _wanted(stored, claimed, now, horizon)
    plan = tuple(_plan_entry(candidate, claimed.get(key)) for key, candidate in wanted.items())
    return ClaimChanges(
        plan=plan,
        written={
            entry.meeting_key: wanted[entry.meeting_key].event_id
            for entry in plan
            if not _is_claimed(claimed.get(entry.meeting_key), entry, wanted[entry.meeting_key].event_id)
        },
        withdrawn=tuple(key for key, event in claimed.items() if key not in wanted and not _was_recorded(event, now)),
    )


def _wanted(
    stored: Sequence[StoredEvent], claimed: Mapping[str, StoredEvent], now: datetime, horizon: timedelta
) -> dict[str, Candidate]:
    candidates = candidates_of(stored, ends_after=now, starts_by=now + horizon)
    return choose_candidates(candidates, now=now, horizon=horizon, claimed=claimed)


def candidates_of(stored: Sequence[StoredEvent], *, ends_after: datetime, starts_by: datetime) -> list[Candidate]:
    """Return the stored events of that time that are to be recorded, as planning takes them."""
    record = Outcome.RECORD.value
    return [
        Candidate(
            event_id=event.id,
            meeting_key=event.meeting_key,
            target=Target(event.start_at, event.end_at, event.meeting_url),
            updated=event.provider_updated,
            is_organizer=event.is_organizer,
        )
        for event in stored
        if event.outcome == record
        and not event.deleted
        and event.start_at is not None
        and event.end_at is not None
        and event.end_at > ends_after
        and event.start_at <= starts_by
        and event.meeting_url is not None
    ]


def _plan_entry(candidate: Candidate, claim: StoredEvent | None) -> PlanEntry:
    digest = candidate.target.digest
    return PlanEntry(
        meeting_key=candidate.meeting_key,
        join_at=candidate.target.join_at,
        end_at=candidate.target.end_at,
        target_digest=digest,
        acknowledged=claim is not None and claim.acknowledged_digest == digest,
    )


def _is_claimed(claim: StoredEvent | None, entry: PlanEntry, event_id: str) -> bool:
    return claim is not None and (claim.claimed_digest, claim.claimed_event_id) == (entry.target_digest, event_id)


def _was_recorded(event: StoredEvent, now: datetime) -> bool:
    return event.outcome == Outcome.RECORD and not event.deleted and event.has_ended(now)
