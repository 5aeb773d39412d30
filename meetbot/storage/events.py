"""Reading and writing calendar events in bulk: a constant number of statements, however many events there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Row, text
from sqlmodel import Session, select

from meetbot.domain.event import Attendee, Event, EventStatus, MeetingLink, Platform, Provider, Response, Visibility
from meetbot.domain.identity import Identity
from meetbot.rules import Decision
from meetbot.storage.tables import CalendarEvent

MAX_EVENTS_PER_USER = 20_000


class StoredEvent(NamedTuple):
    """What syncing must know of an event that is stored already; the claim's columns are None where there is none.

    A tuple because each sync makes one of every stored event: a dataclass takes several times as long.
    """

    id: str
    calendar_id: str
    provider_event_id: str
    fingerprint: bytes
    deleted: bool
    start_at: datetime | None
    end_at: datetime | None
    outcome: str
    meeting_key: str
    meeting_url: str | None
    provider_updated: datetime | None
    is_organizer: bool
    claimed_event_id: str | None
    claimed_digest: str | None
    acknowledged_digest: str | None


# "offset 0" keeps the claim's lookup to one probe of its primary key for each event. Merged into a plain join, a planner
# without statistics compares every event with every claim.
_STORED = text(
    """
    select e.id, e.calendar_id, e.provider_event_id, e.fingerprint, e.deleted, e.start_at, e.end_at, e.outcome,
           e.meeting_key, e.meeting_url, e.provider_updated, e.is_organizer,
           c.event_id, c.target_digest, c.acknowledged_digest
      from calendar_event e
      left join lateral (
           select event_id, target_digest, acknowledged_digest from bot_claim
            where tenant_id = e.tenant_id and meeting_key = e.meeting_key and calendar_user_id = e.calendar_user_id
           offset 0) c on true
     where e.tenant_id = :tenant_id and e.calendar_user_id = :calendar_user_id
       and (e.end_at is null or e.end_at > :since)
     limit :limit
    """
)


def stored_events(session: Session, tenant_id: str, calendar_user_id: str, *, since: datetime) -> list[StoredEvent]:
    """All stored events of the calendar user that end after `since` or have no usable end; tombstones included."""
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


def event_record(
    event: Event, identity: Identity, *, fingerprint: bytes, decision: Decision, override: str | None, now: datetime
) -> dict[str, Any]:
    """The row of an event, as the JSON object that `write_events` takes."""
    link = event.link
    return {
        "tenant_id": identity.tenant_id,
        "id": identity.event_id,
        "calendar_user_id": identity.calendar_user_id,
        "calendar_id": event.calendar_id,
        "provider_event_id": event.provider_event_id,
        "ical_uid": event.ical_uid,
        "original_start": event.original_start,
        "meeting_key": identity.meeting_key,
        "series_key": identity.series_key,
        "title": event.title,
        "start_at": event.start,
        "end_at": event.end,
        "all_day": event.all_day,
        "status": event.status,
        "organizer": _person(event.organizer) if event.organizer else None,
        "attendees": [_person(attendee) for attendee in event.attendees],
        "attendees_complete": event.attendees_complete,
        "is_organizer": event.is_organizer,
        "is_meeting": event.is_meeting,
        "owner_response": event.owner_response,
        "recurring": event.recurring,
        "visibility": event.visibility,
        "meeting_url": link.url if link else None,
        "meeting_platform": link.platform if link else Platform.NONE,
        "meeting_id": link.meeting_id if link else None,
        "passcode": link.passcode if link else None,
        "meeting_url_source": link.source if link else None,
        "provider_updated": event.updated,
        "fingerprint": "\\x" + fingerprint.hex(),
        "deleted": event.status is EventStatus.CANCELLED,
        **decision_columns(decision, override=override, now=now),
    }


def decision_columns(decision: Decision, *, override: str | None, now: datetime) -> dict[str, Any]:
    return {
        "outcome": decision.outcome,
        "reason": decision.reason,
        "rule": decision.rule,
        "rule_set_version": decision.rule_set_version,
        "rule_layer": decision.layer,
        "facts": dict(decision.facts),
        "decided_at": now,
        "override": override,
    }


_WRITTEN = tuple(
    column.name
    for column in CalendarEvent.__table__.columns  # type: ignore[attr-defined]
    if column.name not in {"created_at", "updated_at", "change_xid"}
)
_KEPT_WHEN_CANCELLED = frozenset(
    # A cancelled event often comes back as a bare skeleton; what it was stays readable beside "deleted".
    {
        "title", "start_at", "end_at", "all_day", "organizer", "attendees", "attendees_complete", "is_organizer",
        "is_meeting", "owner_response", "recurring", "visibility", "ical_uid", "original_start", "meeting_key",
        "series_key", "facts", "meeting_url", "meeting_platform", "meeting_id", "passcode", "meeting_url_source",
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


_WRITE = text(
    f"""
    insert into calendar_event as old ({", ".join(_WRITTEN)})
    select {", ".join(_WRITTEN)} from jsonb_populate_recordset(null::calendar_event, cast(:records as jsonb))
    on conflict (tenant_id, id) do update set
        {", ".join(_assignment(column) for column in _WRITTEN if column not in ("tenant_id", "id"))},
        updated_at = now(), change_xid = (pg_current_xact_id()::text)::bigint
    """  # noqa: S608 - column names of our own table
)


def write_events(session: Session, records: Sequence[Mapping[str, Any]]) -> None:
    """Insert or overwrite events, in one statement."""
    if records:
        session.execute(_WRITE, {"records": orjson.dumps(records).decode("utf-8")})


_REDECIDE = text(
    """
    update calendar_event e
       set outcome = n.outcome, reason = n.reason, rule = n.rule, rule_set_version = n.rule_set_version,
           rule_layer = n.rule_layer, facts = n.facts, decided_at = n.decided_at, override = n.override,
           updated_at = now(), change_xid = (pg_current_xact_id()::text)::bigint
      from jsonb_populate_recordset(null::calendar_event, cast(:records as jsonb)) n
     where e.tenant_id = n.tenant_id and e.id = n.id
    """
)


def write_decisions(session: Session, records: Sequence[Mapping[str, Any]]) -> None:
    """Replace the decisions of stored events, in one statement."""
    if records:
        session.execute(_REDECIDE, {"records": orjson.dumps(records).decode("utf-8")})


_BURY = text(
    """
    update calendar_event
       set deleted = true, status = 'cancelled', fingerprint = '',
           outcome = case when end_at <= :now then outcome else 'skip' end,
           reason = case when end_at <= :now then reason else 'cancelled' end,
           rule = case when end_at <= :now then rule end,
           rule_set_version = case when end_at <= :now then rule_set_version end,
           rule_layer = case when end_at <= :now then rule_layer end,
           decided_at = case when end_at <= :now then decided_at else :now end,
           updated_at = now(), change_xid = (pg_current_xact_id()::text)::bigint
     where tenant_id = :tenant_id and id = any(:ids) and not deleted
    """
)


def bury_events(session: Session, tenant_id: str, event_ids: Iterable[str], *, now: datetime) -> None:
    """Turn events that have left the calendar into tombstones, in one statement."""
    ids = sorted(event_ids)
    if ids:
        session.execute(_BURY, {"tenant_id": tenant_id, "ids": ids, "now": now})


def undecided_rows(session: Session, tenant_id: str, calendar_user_id: str, *, now: datetime) -> list[CalendarEvent]:
    """The stored events whose decision still matters: not deleted and not over."""
    return list(
        session.exec(
            select(CalendarEvent)
            .where(CalendarEvent.tenant_id == tenant_id, CalendarEvent.calendar_user_id == calendar_user_id)
            .where(CalendarEvent.deleted == False, CalendarEvent.end_at > now)  # type: ignore[operator]  # noqa: E712
            .limit(MAX_EVENTS_PER_USER)
        )
    )


def event_from_row(row: CalendarEvent | Row[Any], provider: Provider) -> Event:
    """The domain's view of a stored event."""
    link = None
    if row.meeting_url is not None:
        link = MeetingLink(
            platform=Platform(row.meeting_platform),
            url=row.meeting_url,
            meeting_id=row.meeting_id,
            passcode=row.passcode,
            source=row.meeting_url_source or "",
        )
    return Event(
        provider=provider,
        calendar_id=row.calendar_id,
        provider_event_id=row.provider_event_id,
        ical_uid=row.ical_uid,
        original_start=row.original_start,
        title=row.title,
        start=row.start_at,
        end=row.end_at,
        all_day=row.all_day,
        status=EventStatus(row.status),
        organizer=_attendee(row.organizer) if row.organizer else None,
        attendees=tuple(_attendee(person) for person in row.attendees),
        is_organizer=row.is_organizer,
        owner_response=Response(row.owner_response) if row.owner_response else None,
        recurring=row.recurring,
        visibility=Visibility(row.visibility),
        link=link,
        is_meeting=row.is_meeting,
        attendees_complete=row.attendees_complete,
        updated=row.provider_updated,
    )


def _person(attendee: Attendee) -> dict[str, Any]:
    return {
        "email": attendee.email,
        "name": attendee.name,
        "response": attendee.response,
        "resource": attendee.resource,
        "organizer": attendee.organizer,
        "self": attendee.is_self,
    }


def _attendee(person: Mapping[str, Any]) -> Attendee:
    return Attendee(
        email=person.get("email"),
        name=person.get("name"),
        response=Response(person.get("response") or Response.NEEDS_ACTION),
        resource=bool(person.get("resource")),
        organizer=bool(person.get("organizer")),
        is_self=bool(person.get("self")),
    )
