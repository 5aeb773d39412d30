"""The history of events: what changed, written by the very statement that changes it.

A statement that changes events is wrapped by `keeping_history`: the database compares the row before with the row after and
adds one row of history for each event of which something notable changed. That costs no further statement, and an event that
is new adds none: the event itself says when it was first seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import TextClause, text
from sqlmodel import Session

from meetbot.domain.event_history import EventChange, EventSource
from meetbot.storage.tables import CalendarEvent

# What a change of each kind changes; only the columns that are named in `_SHOWN` are kept, no title, address or link.
_KINDS = {
    EventChange.MOVED: ("start_at", "end_at"),
    EventChange.RELINKED: ("meeting_url", "meeting_platform", "meeting_id"),
    EventChange.RETITLED: ("title",),
    EventChange.ATTENDEES: ("attendees", "organizer"),
    EventChange.ANSWERED: ("owner_response",),
    EventChange.REGROUPED: ("meeting_key",),
    EventChange.DECIDED: ("outcome", "reason", "rule", "rule_layer"),
}
_SHOWN = {
    "start": "start_at",
    "end": "end_at",
    "platform": "meeting_platform",
    "people": "jsonb_array_length({row}.attendees)",
    "response": "owner_response",
    "meeting_key": "meeting_key",
    "outcome": "outcome",
    "reason": "reason",
    "rule": "rule",
    "rule_layer": "rule_layer",
    "rule_set_version": "rule_set_version",
}


def _row(alias: str, columns: tuple[str, ...]) -> str:
    return f"row({', '.join(f'{alias}.{column}' for column in columns)})"


def _shown(alias: str) -> str:
    values = (
        f"'{name}', {value.format(row=alias) if '{row}' in value else f'{alias}.{value}'}"
        for name, value in _SHOWN.items()
    )
    return f"jsonb_build_object({', '.join(values)})"


_WHICH = ", ".join(
    [
        "case when prior.deleted and not present.deleted then 'came_back' end",
        *(
            f"case when {_row('prior', columns)} is distinct from {_row('present', columns)} then '{kind}' end"
            for kind, columns in _KINDS.items()
        ),
        "case when present.deleted and not prior.deleted then 'left_calendar' end",
    ]
)
# Of both rows only what differs is kept.
_DIFFERENT = "(select jsonb_object_agg(key, value) from jsonb_each({one}) where value is distinct from {other} -> key)"


def keeping_history(change: str, source: EventSource, *, step: int = 1) -> TextClause:
    """Return the statement with the history of what it changes.

    It takes the instant ``at`` besides. ``change`` is an insert or update of calendar events without ``returning``.
    ``step`` orders the changes of one instant.
    """
    return text(
        f"""
        with changed as (
            {change}
            returning with (old as prior, new as present)
                   present.tenant_id, present.id, present.calendar_user_id,
                   prior.id is not null as was_there,
                   array_remove(array[{_WHICH}], null) as kinds,
                   {_shown("prior")} as shown_before, {_shown("present")} as shown_after)
        insert into event_history (tenant_id, event_id, at, step, calendar_user_id, source, changes, before, after)
        select tenant_id, id, cast(:at as timestamptz), {step}, calendar_user_id, '{source}', kinds,
               coalesce({_DIFFERENT.format(one="shown_before", other="shown_after")}, '{{}}'),
               coalesce({_DIFFERENT.format(one="shown_after", other="shown_before")}, '{{}}')
          from changed
         where was_there and kinds <> '{{}}'
        on conflict do nothing
        """  # noqa: S608 - nothing but our own text
    )


_OVERRIDDEN = text(
    """
    insert into event_history (tenant_id, event_id, at, step, calendar_user_id, source, changes, before, after)
    values (:tenant_id, :event_id, :at, 0, :calendar_user_id, 'person', array[:change], '{}',
            jsonb_strip_nulls(jsonb_build_object('override', cast(:recording as text), 'scope', cast(:scope as text),
                                                 'by', cast(:by as text))))
    on conflict do nothing
    """
)


@dataclass(frozen=True, slots=True)
class OverrideChange:
    """What a person did about an override; ``recording`` is None if it was taken back."""

    scope: str
    recording: str | None
    by: str
    at: datetime


def note_override(session: Session, event: CalendarEvent, change: OverrideChange) -> None:
    """Add to the event's history that its override, or its series', was set or taken back."""
    kind = EventChange.OVERRIDE_CLEARED if change.recording is None else EventChange.OVERRIDE_SET
    values = {
        "tenant_id": event.tenant_id,
        "event_id": event.id,
        "calendar_user_id": event.calendar_user_id,
        "at": change.at,
        "change": kind.value,
        "recording": change.recording,
        "scope": change.scope,
        "by": change.by,
    }
    session.execute(_OVERRIDDEN, values)


@dataclass(frozen=True, slots=True)
class EventEntry:
    """One entry of an event's history.

    ``before`` and ``after`` hold what differs, ``key`` tells entries of one instant and step apart.
    """

    event_id: str
    at: datetime
    step: int
    key: str
    source: str
    changes: list[str]
    before: dict[str, Any]
    after: dict[str, Any]


# A bot is linked to the events whose meeting it is made for: which those were, the history of their keys tells. One that was
# handed over is linked to those of the meeting that took it on, since then.
_HISTORY = text(
    """
    with mine as (
           select event_id, at, step, '' as key, source, changes, before, after from event_history
            where tenant_id = :tenant_id and event_id = :event_id),
         keys as (
           select :meeting_key as meeting_key
            union select before ->> 'meeting_key' from mine where before -> 'meeting_key' is not null),
         entries as (
           select * from mine
            union all
           select :event_id, cast(:created_at as timestamptz), -1, '', 'calendar', array['first_seen'], '{}'::jsonb, '{}'::jsonb
            union all
           select :event_id, linked.at, 3, bot.id, 'bot', array['bot_linked'], '{}'::jsonb,
                  jsonb_build_object('bot_id', bot.id, 'meeting_key', bot.meeting_key)
             from bot join keys using (meeting_key)
            cross join lateral (
                  select coalesce(max(moved.at), bot.created_at) as at from bot_transition moved
                   where moved.tenant_id = bot.tenant_id and moved.bot_id = bot.id
                     and moved.change = 'handed_over') linked
            where bot.tenant_id = :tenant_id and linked.at >= :created_at)
    select * from entries
     where (cast(:at as timestamptz) is null or (at, step, key) > (:at, :step, :key))
       and (cast(:change as text) is null or :change = any(changes))
     order by at, step, key limit :limit
    """
)

Place = tuple[datetime, int, str]
"""The place of an entry in a history: (at, step, key)."""


def history_of(
    session: Session, event: CalendarEvent, *, change: str | None, after: Place | None, limit: int
) -> list[EventEntry]:
    """Return a page of the event's history, the oldest first."""
    at, step, key = after if after is not None else (None, 0, "")
    values = {
        "tenant_id": event.tenant_id,
        "event_id": event.id,
        "meeting_key": event.meeting_key,
        "created_at": event.created_at,
        "change": change,
        "at": at,
        "step": step,
        "key": key,
        "limit": limit,
    }
    return [EventEntry(*row) for row in session.execute(_HISTORY, values)]


# The same three columns tell entries apart as in the history of one event; newest first, as people look for what happened.
_OF_USER = text(
    """
    select event_id, at, step, event_id as key, source, changes, before, after from event_history
     where tenant_id = :tenant_id and calendar_user_id = :calendar_user_id
       and (cast(:change as text) is null or :change = any(changes))
       and (cast(:since as timestamptz) is null or at >= :since)
       and (cast(:until as timestamptz) is null or at < :until)
       and (cast(:at as timestamptz) is null or (at, step, event_id) < (:at, :step, :key))
     order by at desc, step desc, event_id desc limit :limit
    """
)


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """Which entries of a calendar user's events to list: all that is given must hold."""

    change: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def history_of_user(
    session: Session, tenant_id: str, calendar_user_id: str, wanted: HistoryFilter, *, before: Place | None, limit: int
) -> list[EventEntry]:
    """Return a page of what changed of a calendar user's events, the newest first."""
    at, step, key = before if before is not None else (None, 0, "")
    values = {
        "tenant_id": tenant_id,
        "calendar_user_id": calendar_user_id,
        "change": wanted.change,
        "since": wanted.since,
        "until": wanted.until,
        "at": at,
        "step": step,
        "key": key,
        "limit": limit,
    }
    return [EventEntry(*row) for row in session.execute(_OF_USER, values)]
