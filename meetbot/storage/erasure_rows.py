"""Deleting what belongs to a calendar user, or to a tenant, and the ledger that says so."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

from meetbot.domain.erasure import ErasedKind

# The bots stay in the tenant's records; a link that nobody else's calendar holds goes.
_BLANK_BOT_LINKS = """
    update bot set meeting_url = ''
     where tenant_id = :tenant_id and meeting_url <> ''
       and meeting_key in (select meeting_key from calendar_event
                            where tenant_id = :tenant_id and calendar_user_id = :id)
       and not exists (select 1 from calendar_event other
                        where other.tenant_id = bot.tenant_id and other.meeting_key = bot.meeting_key
                          and other.calendar_user_id <> :id)
"""
# Ids hold 128 random bits: no text names this one by chance. What is pending about bots the tenant still gets.
_DELIVERIES = """
    delete from webhook_delivery
     where tenant_id = :tenant_id and strpos(data::text, :id) > 0
       and (state <> 'pending' or event_type like 'calendar\\_%')
"""
# Among them, what is told of a bot without its link no longer holds the link either.
_DELIVERY_LINKS = """
    update webhook_delivery delivery set data = jsonb_set(delivery.data, '{meeting_url}', '""')
      from bot
     where delivery.tenant_id = :tenant_id and strpos(delivery.data::text, :id) > 0
       and bot.tenant_id = delivery.tenant_id and bot.id = delivery.data->>'id' and bot.meeting_url = ''
       and jsonb_exists(delivery.data, 'meeting_url')
"""
_ATTEMPTS = """
    delete from connect_attempt attempt
     using calendar_user u
     where u.tenant_id = :tenant_id and u.id = :id and attempt.tenant_id = u.tenant_id
       and (attempt.reconnect_calendar_user_id = u.id
            or (attempt.customer_user_id = u.customer_user_id and attempt.provider = u.provider))
"""
_OF_USER = "delete from {table} where tenant_id = :tenant_id and {column} = :id"
_USER_STATEMENTS: Mapping[str, str] = {
    "bot.meeting_url": _BLANK_BOT_LINKS,
    "bot_claim": _OF_USER.format(table="bot_claim", column="calendar_user_id"),
    "calendar_event": _OF_USER.format(table="calendar_event", column="calendar_user_id"),
    "recording_override": _OF_USER.format(table="recording_override", column="calendar_user_id"),
    "rule_set": _OF_USER.format(table="rule_set", column="owner"),
    "connect_attempt": _ATTEMPTS,
    "webhook_delivery": _DELIVERIES,
    "webhook_delivery.meeting_url": _DELIVERY_LINKS,
    "calendar_user": _OF_USER.format(table="calendar_user", column="id"),
}

_TENANT_TABLES = (
    "pending_revocation", "erasure", "bot_claim", "calendar_event", "recording_override", "rule_set", "connect_attempt",
    "webhook_delivery", "webhook_endpoint", "dispatch", "bot", "meeting", "backend_report", "idempotency_record",
    "rate_bucket", "api_key", "calendar_user",
)  # fmt: skip
"""All tables of a tenant but the ledger; a test compares them with the schema."""

_RECORD = text(
    """
    insert into erasure_ledger (tenant_id, subject_id, kind, erased_at)
    values (:tenant_id, :subject_id, :kind, :now)
    on conflict (tenant_id, subject_id) do nothing
    """
)


def delete_calendar_user(session: Session, tenant_id: str, calendar_user_id: str) -> dict[str, int]:
    """Delete all rows of a calendar user; return how many there were, by table."""
    bounds = {"tenant_id": tenant_id, "id": calendar_user_id}
    return {name: _count(session, statement, bounds) for name, statement in _USER_STATEMENTS.items()}


def delete_tenant(session: Session, tenant_id: str) -> dict[str, int]:
    """Delete all rows of a tenant but the ledger's; return how many there were, by table."""
    bounds = {"tenant_id": tenant_id}
    counts = {
        table: _count(session, f"delete from {table} where tenant_id = :tenant_id", bounds)  # noqa: S608 - our names
        for table in _TENANT_TABLES
    }
    return counts | {"tenant": _count(session, "delete from tenant where id = :tenant_id", bounds)}


def record_erased(session: Session, tenant_id: str, subject_id: str, kind: ErasedKind, *, now: datetime) -> None:
    """Write into the ledger that a calendar user or tenant was erased."""
    session.execute(_RECORD, {"tenant_id": tenant_id, "subject_id": subject_id, "kind": str(kind), "now": now})


def _count(session: Session, statement: str, bounds: Mapping[str, str]) -> int:
    return int(session.execute(text(statement), bounds).rowcount)  # type: ignore[attr-defined]
