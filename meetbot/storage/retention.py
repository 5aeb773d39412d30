"""Delete for good what a tenant no longer wants kept, and record each night's run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import orjson
from sqlalchemy import text
from sqlmodel import Session, col, select

from meetbot.storage.database import Database
from meetbot.storage.tables import RetentionRun, Tenant

_BATCH = 1000
_MAX_BATCHES = 200
_RUNS_KEPT = timedelta(days=400)
_STALE_AFTER = timedelta(hours=1)
RUNS_KEPT_DAYS = 7
"""How long syncs and requests are kept, whatever the tenant's settings."""

# Each statement deletes one batch of one tenant's rows that are older than the given instant.
_EVENTS = """
    delete from calendar_event where tenant_id = :tenant_id and id in (
           select id from calendar_event where tenant_id = :tenant_id
              and coalesce(end_at, updated_at) < :before and updated_at < :before limit :batch)
"""
_EVENT_HISTORY = """
    delete from event_history where ctid = any(array(
           select h.ctid from event_history h where h.tenant_id = :tenant_id and h.at < :before
              and not exists (select 1 from calendar_event e where e.tenant_id = h.tenant_id and e.id = h.event_id)
            limit :batch)) and tenant_id = :tenant_id
"""
_BOTS = """
    delete from bot where tenant_id = :tenant_id and id in (
           select id from bot where tenant_id = :tenant_id and end_at < :before and updated_at < :before
              and state in ('completed','failed','cancelled','missed') limit :batch)
"""
_TRANSITIONS = """
    delete from bot_transition where ctid = any(array(
           select t.ctid from bot_transition t where t.tenant_id = :tenant_id and t.at < :before
              and not exists (select 1 from bot b where b.tenant_id = t.tenant_id and b.id = t.bot_id)
            limit :batch)) and tenant_id = :tenant_id
"""
_DISPATCHES = """
    delete from dispatch where tenant_id = :tenant_id and external_id in (
           select d.external_id from dispatch d
            where d.tenant_id = :tenant_id and d.requested_at < :before
              and not exists (select 1 from bot b where b.tenant_id = d.tenant_id and b.id = d.bot_id) limit :batch)
"""
_CLAIMS = """
    delete from bot_claim where ctid = any(array(
           select c.ctid from bot_claim c where c.tenant_id = :tenant_id and c.created_at < :before
              and not exists (select 1 from bot b where b.tenant_id = c.tenant_id and b.meeting_key = c.meeting_key)
              and not exists (select 1 from calendar_event e where e.tenant_id = c.tenant_id and e.id = c.event_id)
            limit :batch)) and tenant_id = :tenant_id
"""
_MEETINGS = """
    delete from meeting where tenant_id = :tenant_id and meeting_key in (
           select m.meeting_key from meeting m where m.tenant_id = :tenant_id and m.created_at < :before
              and not exists (select 1 from bot b where b.tenant_id = m.tenant_id and b.meeting_key = m.meeting_key)
              and not exists (
                  select 1 from dispatch d where d.tenant_id = m.tenant_id and d.meeting_key = m.meeting_key)
              and not exists (
                  select 1 from bot_claim c where c.tenant_id = m.tenant_id and c.meeting_key = m.meeting_key)
              and not exists (
                  select 1 from calendar_event e where e.tenant_id = m.tenant_id and e.meeting_key = m.meeting_key)
            limit :batch)
"""
_DELIVERIES = """
    delete from webhook_delivery where tenant_id = :tenant_id and id in (
           select id from webhook_delivery
            where tenant_id = :tenant_id and state <> 'pending' and created_at < :before limit :batch)
"""
_WEBHOOK_ATTEMPTS = """
    delete from webhook_attempt where ctid = any(array(
           select a.ctid from webhook_attempt a where a.tenant_id = :tenant_id and a.at < :before
              and not exists (
                  select 1 from webhook_delivery d where d.tenant_id = a.tenant_id and d.id = a.delivery_id)
            limit :batch)) and tenant_id = :tenant_id
"""
_SYNC_RUNS = """
    delete from sync_run where ctid = any(array(
           select ctid from sync_run where tenant_id = :tenant_id and last_at < :before limit :batch))
       and tenant_id = :tenant_id
"""
_API_REQUESTS = """
    delete from api_request where ctid = any(array(
           select ctid from api_request where tenant_id = :tenant_id and at < :before limit :batch))
       and tenant_id = :tenant_id
"""
_USES = """
    delete from secret_use where ctid = any(array(
           select ctid from secret_use where tenant_id = :tenant_id and last_at < :before limit :batch))
       and tenant_id = :tenant_id
"""
# The chain goes on from the last entry that is deleted: its hash becomes the anchor, in the same statement's transaction.
_ANCHOR = text(
    """
    with chain as (select anchor_sequence from audit_chain where tenant_id = :tenant_id for update),
         oldest as (
           select entry.sequence, entry.hash, bool_and(entry.at < :before) over (order by entry.sequence) as is_past
             from audit_entry entry, chain
            where entry.tenant_id = :tenant_id and entry.sequence > chain.anchor_sequence
            order by entry.sequence limit :batch),
         last as (select sequence, hash from oldest where is_past order by sequence desc limit 1)
    update audit_chain set anchor_sequence = last.sequence, anchor_hash = last.hash, anchored_at = :now
      from last where audit_chain.tenant_id = :tenant_id
    returning audit_chain.anchor_sequence
    """
)
_DELETE_ANCHORED = text("delete from audit_entry where tenant_id = :tenant_id and sequence <= :sequence")


@dataclass(frozen=True, slots=True)
class _Kind:
    """``days`` names the tenant's setting, or says for how long everybody's are kept."""

    name: str
    statement: str
    days: str | int


_KINDS = (
    _Kind("events", _EVENTS, "event_days"),
    _Kind("event_history", _EVENT_HISTORY, "event_days"),
    _Kind("bots", _BOTS, "bot_days"),
    _Kind("bot_transitions", _TRANSITIONS, "bot_days"),
    _Kind("dispatches", _DISPATCHES, "bot_days"),
    _Kind("claims", _CLAIMS, "bot_days"),
    _Kind("meetings", _MEETINGS, "bot_days"),
    _Kind("deliveries", _DELIVERIES, "delivery_days"),
    _Kind("webhook_attempts", _WEBHOOK_ATTEMPTS, "delivery_days"),
    _Kind("sync_runs", _SYNC_RUNS, RUNS_KEPT_DAYS),
    _Kind("api_requests", _API_REQUESTS, RUNS_KEPT_DAYS),
    _Kind("secret_uses", _USES, "audit_days"),
)


def delete_old(database: Database, tenant: Tenant, *, now: datetime) -> dict[str, int]:
    """Delete what is past the tenant's days in short transactions; return how many, by kind."""
    deleted = {}
    for kind in _KINDS:
        days = kind.days if isinstance(kind.days, int) else getattr(tenant, kind.days)
        before = now - timedelta(days=days)
        deleted[kind.name] = _delete(database, tenant.id, kind.statement, before)
    deleted["audit_entries"] = _delete_audit(database, tenant.id, now - timedelta(days=tenant.audit_days), now)
    return deleted


def _delete(database: Database, tenant_id: str, statement: str, before: datetime) -> int:
    deleted = 0
    for _ in range(_MAX_BATCHES):
        with database.transaction(tenant_id) as session:
            values = {"tenant_id": tenant_id, "before": before, "batch": _BATCH}
            batch = session.execute(text(statement), values).rowcount  # type: ignore[attr-defined]
        deleted += batch
        if batch < _BATCH:
            break
    return deleted


def _delete_audit(database: Database, tenant_id: str, before: datetime, now: datetime) -> int:
    deleted = 0
    for _ in range(_MAX_BATCHES):
        with database.transaction(tenant_id) as session:
            values = {"tenant_id": tenant_id, "before": before, "batch": _BATCH, "now": now}
            anchor = session.execute(_ANCHOR, values).scalar_one_or_none()
            if anchor is None:
                break
            gone = session.execute(_DELETE_ANCHORED, {"tenant_id": tenant_id, "sequence": anchor})
            deleted += gone.rowcount  # type: ignore[attr-defined]
    return deleted


_BEGIN = text(
    """
    insert into retention_run as run (tenant_id, day, started_at) values (:tenant_id, :day, :now)
    on conflict (tenant_id, day) do update set started_at = excluded.started_at
       where run.finished_at is null and run.started_at < :stale
    returning day
    """
)
_FINISH = text(
    """
    update retention_run set finished_at = :now, deleted = cast(:deleted as jsonb)
     where tenant_id = :tenant_id and day = :day
    """
)
_FORGET = text("delete from retention_run where tenant_id = :tenant_id and day < :before")


def begin_run(session: Session, tenant_id: str, *, now: datetime) -> bool:
    """Return whether this night's run is ours: nobody did it, or who began it has died."""
    values = {"tenant_id": tenant_id, "day": now.date(), "now": now, "stale": now - _STALE_AFTER}
    return session.execute(_BEGIN, values).first() is not None


def finish_run(session: Session, tenant_id: str, *, day: date, now: datetime, deleted: Mapping[str, int]) -> None:
    """Store what the run deleted, and forget runs of more than a year ago."""
    text_ = orjson.dumps(dict(deleted)).decode("utf-8")
    session.execute(_FINISH, {"tenant_id": tenant_id, "day": day, "now": now, "deleted": text_})
    session.execute(_FORGET, {"tenant_id": tenant_id, "before": day - _RUNS_KEPT})


def list_runs(session: Session, tenant_id: str, *, before: date | None, limit: int) -> list[RetentionRun]:
    """Return a page of the tenant's runs, the newest first."""
    statement = select(RetentionRun).where(RetentionRun.tenant_id == tenant_id)
    if before is not None:
        statement = statement.where(RetentionRun.day < before)
    return list(session.exec(statement.order_by(col(RetentionRun.day).desc()).limit(limit)))
