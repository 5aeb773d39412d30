"""Deleting what belongs to a calendar user, or to a tenant."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

from meetbot.domain.bot_state import LIVE_STATES

_NOBODY_ELSES_LINK = """
       bot.tenant_id = :tenant_id and bot.meeting_url <> ''
       and not exists (select 1 from calendar_event other
                        where other.tenant_id = bot.tenant_id and other.meeting_key = bot.meeting_key
                          and other.calendar_user_id <> :id)
"""
# Asked for with an answer that was lost: the bot is found and recalled only by asking for the same link again.
_IS_UNANSWERED = """
       exists (select 1 from dispatch
                where dispatch.tenant_id = bot.tenant_id and dispatch.bot_id = bot.id
                  and dispatch.state = 'intended' and dispatch.backend_bot_id is null)
"""
# The bots stay in the tenant's records; a link that nobody else's calendar holds goes. That of a past meeting may stand in no
# calendar any more: then nothing tells whose it was, and it goes too.
_BLANK_BOT_LINKS = f"update bot set meeting_url = '', room = null where {_NOBODY_ELSES_LINK} and not {_IS_UNANSWERED}"  # noqa: S608 - our own text
_UNANSWERED_BOTS = f"select count(*) from bot where {_NOBODY_ELSES_LINK} and {_IS_UNANSWERED}"  # noqa: S608 - our own text
# Ids hold 128 random bits: no text names this one by chance. What is pending about bots the tenant still gets.
_DELIVERIES = """
    delete from webhook_delivery
     where tenant_id = :tenant_id and strpos(data::text, :id) > 0
       and (state <> 'pending' or event_type like 'calendar\\_%')
"""
# A withdrawn bot is told of without its claimants, so that only the bot's own id leads to what was told of it; the backend's
# reports are passed on as they came, with the external id.
_DELIVERY_LINKS = """
    update webhook_delivery delivery
       set data = delivery.data
                  || case when jsonb_exists(delivery.data, 'meeting_url') then '{"meeting_url": ""}' else '{}' end::jsonb
                  || case when jsonb_exists(delivery.data, 'meetingUrl') then '{"meetingUrl": ""}' else '{}' end::jsonb
      from bot
     where delivery.tenant_id = :tenant_id and bot.tenant_id = delivery.tenant_id and bot.meeting_url = ''
       and bot.id in (delivery.data->>'id', split_part(delivery.data->>'externalId', '.', 1))
       and (delivery.data->>'meeting_url' <> '' or delivery.data->>'meetingUrl' <> '')
"""
# Those of deliveries that are gone; an endpoint's answer may repeat what it was sent, so those of others lose that.
_WEBHOOK_ATTEMPTS = """
    delete from webhook_attempt attempt
     where attempt.tenant_id = :tenant_id
       and not exists (select 1 from webhook_delivery delivery
                        where delivery.tenant_id = attempt.tenant_id and delivery.id = attempt.delivery_id)
"""
_WEBHOOK_ANSWERS = """
    update webhook_attempt attempt set answer = null
      from webhook_delivery delivery
     where attempt.tenant_id = :tenant_id and attempt.answer is not null
       and delivery.tenant_id = attempt.tenant_id and delivery.id = attempt.delivery_id
       and (strpos(delivery.data::text, :id) > 0
            or exists (select 1 from bot
                        where bot.tenant_id = delivery.tenant_id and bot.meeting_url = ''
                          and bot.id in (delivery.data->>'id', split_part(delivery.data->>'externalId', '.', 1))))
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
    "account_calendar": _OF_USER.format(table="account_calendar", column="calendar_user_id"),
    "calendar_event": _OF_USER.format(table="calendar_event", column="calendar_user_id"),
    "event_history": _OF_USER.format(table="event_history", column="calendar_user_id"),
    "push_channel": _OF_USER.format(table="push_channel", column="calendar_user_id"),
    "recording_override": _OF_USER.format(table="recording_override", column="calendar_user_id"),
    "sync_run": _OF_USER.format(table="sync_run", column="calendar_user_id"),
    "rule_set": _OF_USER.format(table="rule_set", column="owner"),
    "connect_attempt": _ATTEMPTS,
    "webhook_delivery": _DELIVERIES,
    "webhook_delivery.meeting_url": _DELIVERY_LINKS,
    "webhook_attempt": _WEBHOOK_ATTEMPTS,
    "webhook_attempt.answer": _WEBHOOK_ANSWERS,
    "calendar_user": _OF_USER.format(table="calendar_user", column="id"),
}

_TENANT_TABLES = (
    "pending_revocation", "erasure", "bot_claim", "calendar_event", "event_history", "recording_override", "rule_set",
    "connect_attempt", "webhook_attempt", "webhook_delivery", "webhook_endpoint", "launch_hold", "dispatch",
    "bot_transition", "bot", "meeting", "backend_report",
    "idempotency_record", "rate_bucket", "retention_run", "secret_use", "audit_entry", "audit_chain", "api_request", "api_key",
    "push_channel", "sync_run", "calendar_user", "oauth_app", "waiting_user", "admin_consent", "directory_approval",
    "console_session", "account_calendar",
)  # fmt: skip
"""All tables of a tenant but the ledger; a test compares them with the schema."""

# Audit entries are final for everybody but the erasure of the tenant that it names.
_NAME_ERASED = text("select set_config('app.erasing_tenant', :tenant_id, true)")
_CLOSE_KEYS = "update api_key set revoked_at = :now where tenant_id = :tenant_id and revoked_at is null"
# With the links of days by which new attempts begin.
_CLOSE_CONSENTS = tuple(
    f"delete from {table} where tenant_id = :tenant_id"  # noqa: S608 - our names
    for table in ("connect_attempt", "waiting_user", "admin_consent")
)
_UNFINISHED = text(
    """
    select (select count(*) from erasure where tenant_id = :tenant_id and state = 'running')
           + (select count(*) from pending_revocation where tenant_id = :tenant_id and starts_with(erasure_id, 'rvk_')),
           (select count(*) from bot where tenant_id = :tenant_id and state = any(:live))
    """
)


def delete_calendar_user(session: Session, tenant_id: str, calendar_user_id: str) -> dict[str, int]:
    """Delete all rows of a calendar user; return how many there were, by table."""
    bounds = {"tenant_id": tenant_id, "id": calendar_user_id}
    return {name: _count(session, statement, bounds) for name, statement in _USER_STATEMENTS.items()}


def blank_links(session: Session, tenant_id: str, calendar_user_id: str) -> tuple[dict[str, int], int]:
    """Blank the links that are needed no more since `delete_calendar_user`.

    Return how many there were, by table, and how many bots still need theirs to be recalled.
    """
    bounds = {"tenant_id": tenant_id, "id": calendar_user_id}
    names = ("bot.meeting_url", "webhook_delivery.meeting_url", "webhook_attempt.answer")
    counts = {name: _count(session, _USER_STATEMENTS[name], bounds) for name in names}
    return counts, int(session.execute(text(_UNANSWERED_BOTS), bounds).scalar_one())


def delete_tenant(session: Session, tenant_id: str) -> dict[str, int]:
    """Delete all rows of a tenant but the ledger's; return how many there were, by table."""
    bounds = {"tenant_id": tenant_id}
    session.execute(_NAME_ERASED, bounds)
    counts = {
        table: _count(session, f"delete from {table} where tenant_id = :tenant_id", bounds)  # noqa: S608 - our names
        for table in _TENANT_TABLES
    }
    return counts | {"tenant": _count(session, "delete from tenant where id = :tenant_id", bounds)}


def close_tenant(session: Session, tenant_id: str, *, now: datetime) -> None:
    """End the tenant's API keys and void its open consents, so that nothing new begins."""
    session.execute(text(_CLOSE_KEYS), {"tenant_id": tenant_id, "now": now})
    for statement in _CLOSE_CONSENTS:
        session.execute(text(statement), {"tenant_id": tenant_id})


def count_unfinished(session: Session, tenant_id: str) -> tuple[int, int]:
    """Return how many of the tenant's erasures run, and how many of its bots live."""
    erasures, live_bots = session.execute(_UNFINISHED, {"tenant_id": tenant_id, "live": list(LIVE_STATES)}).one()
    return int(erasures), int(live_bots)


def _count(session: Session, statement: str, bounds: Mapping[str, str]) -> int:
    return int(session.execute(text(statement), bounds).rowcount)  # type: ignore[attr-defined]
