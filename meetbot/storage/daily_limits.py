"""What the limit of bots a day changes in stored decisions, and when it was last told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

from meetbot.domain.event_history import EventSource
from meetbot.storage.event_history import keeping_history

# Rule, facts and versions stay as they were decided: once the limit lets the event go, they hold again.
_DECIDE = keeping_history(
    """
    update calendar_event
       set outcome = :outcome, reason = :reason, decided_at = :now, updated_at = now(),
           change_xid = (pg_current_xact_id()::text)::bigint
     where tenant_id = :tenant_id and id = any(:ids) and not deleted
    """,
    EventSource.LIMIT,
    # An event may be decided and then left out in the same instant.
    step=2,
)


def skip_beyond_limit(session: Session, tenant_id: str, event_ids: Sequence[str], *, now: datetime) -> None:
    """Decide that these events are not recorded, because the day's bots are used up."""
    _decide(session, tenant_id, event_ids, ("skip", "daily_limit"), now)


def allow_within_limit(session: Session, tenant_id: str, event_ids: Sequence[str], *, now: datetime) -> None:
    """Decide as the rules said before the limit was reached."""
    _decide(session, tenant_id, event_ids, ("record", "rule_matched"), now)


def _decide(
    session: Session, tenant_id: str, event_ids: Sequence[str], decision: tuple[str, str], now: datetime
) -> None:
    if event_ids:
        outcome, reason = decision
        values = {"tenant_id": tenant_id, "ids": sorted(event_ids), "outcome": outcome, "reason": reason, "now": now}
        session.execute(_DECIDE, values | {"at": now})


@dataclass(frozen=True, slots=True)
class LimitNotice:
    """What a notice of the limit names."""

    customer_user_id: str
    sequence: int


_TELL = text(
    """
    update calendar_user set limit_told_at = :now, sequence = sequence + 1
     where tenant_id = :tenant_id and id = :id
       and (limit_told_at is null or date_trunc('day', limit_told_at) < date_trunc('day', cast(:now as timestamptz)))
    returning customer_user_id, sequence
    """
)


def begin_notice(session: Session, tenant_id: str, calendar_user_id: str, *, now: datetime) -> LimitNotice | None:
    """Return what the notice of today names; None if today's was given already. Days are of UTC."""
    row = session.execute(_TELL, {"tenant_id": tenant_id, "id": calendar_user_id, "now": now}).one_or_none()
    return LimitNotice(row.customer_user_id, row.sequence) if row is not None else None
