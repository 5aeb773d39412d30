"""Reading and writing calendar events in bulk.

The number of statements is constant, however many events there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlmodel import Session, col, select

from meetbot.domain.decision import ReasonCode
from meetbot.domain.event_history import EventSource
from meetbot.domain.stored_event import StoredEvent
from meetbot.storage.event_history import keeping_history
from meetbot.storage.tables import CalendarEvent

MAX_EVENTS_PER_USER = 20_000


# "offset 0" keeps the claim's lookup to one probe of its primary key for each event. Merged into a plain join, a planner
# without statistics compares every event with every claim.
_STORED = text(
    """
    select e.id, e.calendar_id, e.provider_event_id, e.fingerprint, e.deleted, e.start_at, e.end_at, e.outcome,
           e.shared_key, e.meeting_key, e.meeting_url, e.provider_updated, e.is_organizer,
           c.event_id, c.target_digest, c.acknowledged_digest, c.unsettled_at is not null and c.event_id = e.id, e.reason
      from calendar_event e
      left join lateral (
           select event_id, target_digest, acknowledged_digest, unsettled_at from bot_claim
            where tenant_id = e.tenant_id and meeting_key = e.meeting_key and calendar_user_id = e.calendar_user_id
           offset 0) c on true
     where e.tenant_id = :tenant_id and e.calendar_user_id = :calendar_user_id
       and (e.end_at is null or e.end_at > :since)
     limit :limit
    """
)


def stored_events(session: Session, tenant_id: str, calendar_user_id: str, *, since: datetime) -> list[StoredEvent]:
    """Return the user's events that end after ``since`` or have no usable end.

    Tombstones are included.

    At most `MAX_EVENTS_PER_USER`.
    """
    rows = session.execute(
        _STORED,
        {
            "tenant_id": tenant_id,
            "calendar_user_id": calendar_user_id,
            "since": since,
            "limit": MAX_EVENTS_PER_USER,
        },
    )
    return [StoredEvent._make(row) for row in rows.all()]


_WRITTEN = tuple(
    column.name
    for column in CalendarEvent.__table__.columns  # type: ignore[attr-defined]
    if column.name not in {"created_at", "updated_at", "change_xid"}
)
_KEPT_WHEN_CANCELLED = frozenset(
    # A cancelled event often comes back as a bare skeleton; what it was stays readable beside "deleted".
    {
        "title", "start_at", "end_at", "all_day", "organizer", "attendees", "attendees_complete", "is_organizer",
        "is_meeting", "owner_response", "recurring", "visibility", "ical_uid", "original_start", "shared_key",
        "meeting_key", "series_key", "facts", "meeting_url", "meeting_platform", "meeting_id", "meeting_url_source",
    }
)  # fmt: skip


_DECIDED = frozenset({"outcome", "reason", "rule", "rule_set_version", "rule_layer", "facts", "decided_at", "override"})


_IS_SKELETON = "excluded.deleted and excluded.start_at is null"
# What happens to a meeting that is over is no news about it: why it was (not) recorded stays to be read.
_WAS_OVER = (
    "old.end_at <= excluded.decided_at and not old.deleted "
    "and coalesce(excluded.end_at, old.end_at) <= excluded.decided_at"
)


def _assignment(column: str) -> str:
    keeping = []
    if column in _DECIDED:
        keeping.append(_WAS_OVER)
    if column in _KEPT_WHEN_CANCELLED:
        keeping.append(_IS_SKELETON)
    kept = " or ".join(f"({condition})" for condition in keeping)
    if not kept:
        return f"{column} = excluded.{column}"
    return f"{column} = case when {kept} then old.{column} else excluded.{column} end"


_WRITE = keeping_history(
    f"""
    insert into calendar_event as old ({", ".join(_WRITTEN)})
    select {", ".join(_WRITTEN)} from jsonb_populate_recordset(null::calendar_event, cast(:records as jsonb))
    on conflict (tenant_id, id) do update set
        {", ".join(_assignment(column) for column in _WRITTEN if column not in ("tenant_id", "id"))},
        updated_at = now(), change_xid = (pg_current_xact_id()::text)::bigint
    """,  # noqa: S608 - column names of our own table
    EventSource.CALENDAR,
)


def write_events(session: Session, records: Sequence[Mapping[str, Any]]) -> None:
    """Insert or overwrite events, in one statement.

    A cancelled event without content leaves the stored content as it was, and a meeting that is over keeps its decision.
    """
    if records:
        session.execute(_WRITE, _in_bulk(records))


def _in_bulk(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the parameters of a statement that writes decisions, all made at one instant."""
    return {"records": orjson.dumps(records).decode("utf-8"), "at": records[0]["decided_at"]}


_REDECIDE = keeping_history(
    """
    update calendar_event e
       set outcome = n.outcome, reason = n.reason, rule = n.rule, rule_set_version = n.rule_set_version,
           rule_layer = n.rule_layer, facts = n.facts, decided_at = n.decided_at, override = n.override,
           updated_at = now(), change_xid = (pg_current_xact_id()::text)::bigint
      from jsonb_populate_recordset(null::calendar_event, cast(:records as jsonb)) n
     where e.tenant_id = n.tenant_id and e.id = n.id
    """,
    EventSource.RULES,
)


def write_decisions(session: Session, records: Sequence[Mapping[str, Any]]) -> None:
    """Replace the decisions of stored events, in one statement."""
    if records:
        session.execute(_REDECIDE, _in_bulk(records))


_TOMBSTONE = """
    update calendar_event
       set deleted = true, status = 'cancelled', fingerprint = '',
           outcome = case when end_at <= :now then outcome else 'skip' end,
           reason = case when end_at <= :now then reason else :reason end,
           rule = case when end_at <= :now then rule end,
           rule_set_version = case when end_at <= :now then rule_set_version end,
           rule_layer = case when end_at <= :now then rule_layer end,
           decided_at = case when end_at <= :now then decided_at else :now end,
           updated_at = now(), change_xid = (pg_current_xact_id()::text)::bigint
     where tenant_id = :tenant_id and id = any(:ids) and not deleted
"""
_TOMBSTONES = {
    ReasonCode.CANCELLED: keeping_history(_TOMBSTONE, EventSource.CALENDAR),
    ReasonCode.ACCESS_REVOKED: keeping_history(_TOMBSTONE, EventSource.ACCESS),
}


def tombstone_events(
    session: Session,
    tenant_id: str,
    event_ids: Iterable[str],
    *,
    now: datetime,
    reason: ReasonCode = ReasonCode.CANCELLED,
) -> None:
    """Turn events that have left the calendar into tombstones, in one statement.

    ``reason`` is why those that are not over are no longer recorded.
    """
    ids = sorted(event_ids)
    if ids:
        values = {"tenant_id": tenant_id, "ids": ids, "now": now, "at": now, "reason": reason.value}
        session.execute(_TOMBSTONES[reason], values)


_SKIP_WITHOUT_ACCESS = keeping_history(
    """
    update calendar_event
       set outcome = 'skip', reason = 'access_revoked', rule = null, rule_set_version = null, rule_layer = null,
           decided_at = :now, updated_at = :now,
           change_xid = (pg_current_xact_id()::text)::bigint
     where tenant_id = :tenant_id and id = any(:ids) and not deleted and outcome = 'record'
    """,
    EventSource.ACCESS,
)


def skip_without_access(session: Session, tenant_id: str, event_ids: Iterable[str], *, now: datetime) -> None:
    """Decide that these events are not recorded after all, because access was lost."""
    ids = sorted(event_ids)
    if ids:
        session.execute(_SKIP_WITHOUT_ACCESS, {"tenant_id": tenant_id, "ids": ids, "now": now, "at": now})


def series_keys(session: Session, tenant_id: str, event_ids: Iterable[str]) -> dict[str, str]:
    """Return the series keys of these events, by event id."""
    rows = session.exec(
        select(CalendarEvent.id, CalendarEvent.series_key)
        .where(CalendarEvent.tenant_id == tenant_id)
        .where(col(CalendarEvent.id).in_(sorted(event_ids)))
    )
    return dict(rows.all())


def rows_of(session: Session, tenant_id: str, event_ids: Iterable[str]) -> list[CalendarEvent]:
    """Return these stored events."""
    wanted = select(CalendarEvent).where(CalendarEvent.tenant_id == tenant_id)
    return list(session.exec(wanted.where(col(CalendarEvent.id).in_(sorted(event_ids)))))


def rows_ahead(session: Session, tenant_id: str, calendar_user_id: str, *, now: datetime) -> list[CalendarEvent]:
    """Return the stored events whose decision still matters: not deleted and not over."""
    return list(
        session.exec(
            select(CalendarEvent)
            .where(CalendarEvent.tenant_id == tenant_id, CalendarEvent.calendar_user_id == calendar_user_id)
            .where(CalendarEvent.deleted == False, CalendarEvent.end_at > now)  # type: ignore[operator]  # noqa: E712
            .limit(MAX_EVENTS_PER_USER)
        )
    )
