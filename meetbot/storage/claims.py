"""A calendar user's claims: which meetings it wants recorded, written with the events they follow from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlmodel import Session

from meetbot.domain.plan import Candidate, PlanEntry, Target
from meetbot.storage.events import StoredEvent

_UPSERT = text(
    """
    insert into bot_claim as old (tenant_id, meeting_key, calendar_user_id, event_id, target_digest)
    select tenant_id, meeting_key, calendar_user_id, event_id, target_digest
      from jsonb_populate_recordset(null::bot_claim, cast(:records as jsonb))
    on conflict (tenant_id, meeting_key, calendar_user_id) do update
       set event_id = excluded.event_id, target_digest = excluded.target_digest
    """
)

_WITHDRAW = text(
    """
    delete from bot_claim
     where tenant_id = :tenant_id and calendar_user_id = :calendar_user_id and meeting_key = any(:withdrawn)
    """
)

_WITHDRAW_ALL = text("delete from bot_claim where tenant_id = :tenant_id and calendar_user_id = :calendar_user_id")

_CLAIM_AGAIN = text(
    "update bot_claim set acknowledged_digest = null where tenant_id = :tenant_id and acknowledged_digest is not null"
)


def candidates_of(stored: Sequence[StoredEvent], *, ends_after: datetime, starts_by: datetime) -> list[Candidate]:
    """The stored events of that time that are to be recorded, as planning takes them."""
    return [
        Candidate(
            event_id=event.id,
            meeting_key=event.meeting_key,
            target=Target(event.start_at, event.end_at, event.meeting_url),
            updated=event.provider_updated,
            is_organizer=event.is_organizer,
        )
        for event in stored
        if event.outcome == "record"
        and not event.deleted
        and event.start_at is not None
        and event.end_at is not None
        and event.end_at > ends_after
        and event.start_at <= starts_by
        and event.meeting_url is not None
    ]


def replace_claims(
    session: Session,
    tenant_id: str,
    calendar_user_id: str,
    stored: Sequence[StoredEvent],
    wanted: Mapping[str, Candidate],
    *,
    now: datetime,
) -> tuple[PlanEntry, ...]:
    """Make the stored claims those of `wanted`, writing only where they differ, and return them as the plan.

    A claim of a meeting that is over stays: it tells whose recording that was.
    """
    held = {event.meeting_key: event for event in stored if event.claimed_digest is not None}
    plan = tuple(_plan_entry(candidate, held.get(key)) for key, candidate in wanted.items())
    changed = [
        _record(tenant_id, calendar_user_id, entry, wanted[entry.meeting_key].event_id)
        for entry in plan
        if not _is_held(held.get(entry.meeting_key), entry, wanted[entry.meeting_key].event_id)
    ]
    if changed:
        session.execute(_UPSERT, {"records": orjson.dumps(changed).decode()})
    withdrawn = [key for key, event in held.items() if key not in wanted and not _is_over(event, now)]
    if withdrawn:
        session.execute(
            _WITHDRAW, {"tenant_id": tenant_id, "calendar_user_id": calendar_user_id, "withdrawn": withdrawn}
        )
    return plan


def withdraw_all(session: Session, tenant_id: str, calendar_user_id: str) -> None:
    session.execute(_WITHDRAW_ALL, {"tenant_id": tenant_id, "calendar_user_id": calendar_user_id})


def claim_again(session: Session, tenant_id: str) -> None:
    """Have every claim of the tenant taken in anew, as after a change that moves all dispatches."""
    session.execute(_CLAIM_AGAIN, {"tenant_id": tenant_id})


def _is_over(event: StoredEvent, now: datetime) -> bool:
    return event.outcome == "record" and not event.deleted and event.end_at is not None and event.end_at <= now


def _is_held(held: StoredEvent | None, entry: PlanEntry, event_id: str) -> bool:
    return held is not None and (held.claimed_digest, held.claimed_event_id) == (entry.target_digest, event_id)


def _record(tenant_id: str, calendar_user_id: str, entry: PlanEntry, event_id: str) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "meeting_key": entry.meeting_key,
        "calendar_user_id": calendar_user_id,
        "event_id": event_id,
        "target_digest": entry.target_digest,
    }


def _plan_entry(candidate: Candidate, held: StoredEvent | None) -> PlanEntry:
    digest = candidate.target.digest
    return PlanEntry(
        meeting_key=candidate.meeting_key,
        join_at=candidate.target.join_at,
        end_at=candidate.target.end_at,
        target_digest=digest,
        acknowledged=held is not None and held.acknowledged_digest == digest,
    )
