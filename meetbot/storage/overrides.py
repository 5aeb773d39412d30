"""Overrides: what people decided by hand about single occurrences and whole series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, text
from sqlmodel import Session, col, select

from meetbot.domain.override_scope import OverrideScope
from meetbot.storage.event_history import OverrideChange, note_override
from meetbot.storage.tables import CalendarEvent, RecordingOverride


@dataclass(frozen=True, slots=True)
class OverridesByKey:
    """A calendar user's overrides by shared key and by series key."""

    occurrences: Mapping[str, RecordingOverride]
    series: Mapping[str, RecordingOverride]

    def of(self, event: CalendarEvent) -> RecordingOverride | None:
        """Return the override that holds for the event: an occurrence's beats its series'."""
        return self.occurrences.get(event.shared_key) or self.series.get(event.series_key)


def overrides_of(
    session: Session, tenant_id: str, calendar_user_id: str, events: list[CalendarEvent]
) -> OverridesByKey:
    """Return the overrides that concern these events, in one statement."""
    keys = {event.shared_key for event in events} | {event.series_key for event in events}
    rows = session.exec(
        select(RecordingOverride).where(
            RecordingOverride.tenant_id == tenant_id,
            RecordingOverride.calendar_user_id == calendar_user_id,
            col(RecordingOverride.key).in_(sorted(keys)),
        )
    ).all()
    return OverridesByKey(
        occurrences={row.key: row for row in rows if row.scope == OverrideScope.OCCURRENCE},
        series={row.key: row for row in rows if row.scope == OverrideScope.SERIES},
    )


def overrides_of_users(
    session: Session, tenant_id: str, events: Sequence[CalendarEvent]
) -> Mapping[str, OverridesByKey]:
    """Return by calendar user the overrides that concern these events, in one statement."""
    keys = {event.shared_key for event in events} | {event.series_key for event in events}
    users = {event.calendar_user_id for event in events}
    rows = session.exec(
        select(RecordingOverride).where(
            RecordingOverride.tenant_id == tenant_id,
            col(RecordingOverride.calendar_user_id).in_(sorted(users)),
            col(RecordingOverride.key).in_(sorted(keys)),
        )
    ).all()
    return {
        user: OverridesByKey(
            occurrences=_by_key(rows, user, OverrideScope.OCCURRENCE), series=_by_key(rows, user, OverrideScope.SERIES)
        )
        for user in users
    }


def _by_key(rows: Sequence[RecordingOverride], user: str, scope: OverrideScope) -> dict[str, RecordingOverride]:
    return {row.key: row for row in rows if row.calendar_user_id == user and row.scope == scope}


_SET = text(
    """
    insert into recording_override (tenant_id, calendar_user_id, scope, key, recording, set_by, set_at)
    values (:tenant_id, :calendar_user_id, :scope, :key, :recording, :set_by, :now)
    on conflict (tenant_id, calendar_user_id, scope, key) do update
       set recording = excluded.recording, set_by = excluded.set_by, set_at = excluded.set_at
    """
)


def set_override(
    session: Session, event: CalendarEvent, *, scope: str, recording: str, set_by: str, now: datetime
) -> None:
    """Store a person's override for the occurrence or series, in place of an earlier one."""
    session.execute(
        _SET,
        {
            "tenant_id": event.tenant_id,
            "calendar_user_id": event.calendar_user_id,
            "scope": scope,
            "key": _key(event, scope),
            "recording": recording,
            "set_by": set_by,
            "now": now,
        },
    )
    note_override(session, event, OverrideChange(scope, recording, by=set_by, at=now))


def remove_override(session: Session, event: CalendarEvent, *, scope: str, removed_by: str, now: datetime) -> bool:
    """Delete the override of the event's occurrence or series. False if there was none."""
    removed = session.execute(
        delete(RecordingOverride)
        .where(
            col(RecordingOverride.tenant_id) == event.tenant_id,
            col(RecordingOverride.calendar_user_id) == event.calendar_user_id,
            col(RecordingOverride.scope) == scope,
            col(RecordingOverride.key) == _key(event, scope),
        )
        .returning(col(RecordingOverride.key))
    )
    if not removed.all():
        return False
    note_override(session, event, OverrideChange(scope, None, by=removed_by, at=now))
    return True


def _key(event: CalendarEvent, scope: str) -> str:
    return event.shared_key if scope == OverrideScope.OCCURRENCE else event.series_key


# The claims were accepted before; un-acknowledging them makes the next plan wake the bot's workflow again.
_CLAIM_AGAIN = """
    update bot_claim c set acknowledged_digest = null
      from released r where c.tenant_id = :tenant_id and c.meeting_key = r.meeting_key
"""
_RELEASE_OCCURRENCE = text(
    f"""
    with released as (
        update meeting set suppressed_at = null, suppressed_by = null
         where tenant_id = :tenant_id and meeting_key = :meeting_key and suppressed_at is not null
        returning meeting_key)
    {_CLAIM_AGAIN}
    """  # noqa: S608 - nothing but our own text
)
_RELEASE_SERIES = text(
    f"""
    with released as (
        update meeting m set suppressed_at = null, suppressed_by = null
         where m.tenant_id = :tenant_id and m.suppressed_at is not null and m.meeting_key in (
               select e.meeting_key from calendar_event e
                where e.tenant_id = :tenant_id and e.calendar_user_id = :calendar_user_id
                  and e.series_key = :series_key)
        returning m.meeting_key)
    {_CLAIM_AGAIN}
    """  # noqa: S608 - nothing but our own text
)


def lift_suppressions(session: Session, event: CalendarEvent, *, scope: str) -> None:
    """Let meetings that a person cancelled by hand get bots again.

    An override to record asks for this.
    """
    session.execute(
        _RELEASE_OCCURRENCE if scope == OverrideScope.OCCURRENCE else _RELEASE_SERIES,
        {
            "tenant_id": event.tenant_id,
            "meeting_key": event.meeting_key,
            "calendar_user_id": event.calendar_user_id,
            "series_key": event.series_key,
        },
    )
