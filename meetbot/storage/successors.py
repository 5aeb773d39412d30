"""What a person said about one occurrence goes with it when its whole series is moved.

Moving a series gives every occurrence a new original start, and so a new identity: the provider reports the old ones as gone
and new ones in their place. The new one nearest in time, within half a day, is taken for the old one's successor.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

from meetbot.storage.calendar_user_context import CalendarUserContext

_SUCCESSION = """
    select distinct on (was.meeting_key) was.meeting_key as predecessor, e.meeting_key as successor
      from calendar_event was
      join calendar_event e on e.tenant_id = was.tenant_id and e.calendar_user_id = was.calendar_user_id
                           and e.series_key = was.series_key and e.id = any(:appeared) and not e.deleted
                           and e.start_at between was.start_at - interval '12 hours' and was.start_at + interval '12 hours'
     where was.tenant_id = :tenant_id and was.calendar_user_id = :calendar_user_id and was.deleted and was.end_at > :now
       and was.meeting_key <> e.meeting_key
     order by was.meeting_key, abs(extract(epoch from e.start_at - was.start_at)), e.id
"""

_OVERRIDES = text(
    f"""
    with succession as ({_SUCCESSION})
    insert into recording_override (tenant_id, calendar_user_id, scope, key, recording, set_by, set_at)
    select o.tenant_id, o.calendar_user_id, o.scope, s.successor, o.recording, o.set_by, o.set_at
      from recording_override o join succession s on s.predecessor = o.key
     where o.tenant_id = :tenant_id and o.calendar_user_id = :calendar_user_id and o.scope = 'occurrence'
    on conflict do nothing
    returning key
    """  # noqa: S608 - nothing but our own text
)

_HOLDS = text(
    f"""
    with succession as ({_SUCCESSION})
    insert into meeting as m (tenant_id, meeting_key, generation, suppressed_at, suppressed_by)
    select h.tenant_id, s.successor, 0, h.suppressed_at, h.suppressed_by
      from meeting h join succession s on s.predecessor = h.meeting_key
     where h.tenant_id = :tenant_id and h.suppressed_at is not null
    on conflict (tenant_id, meeting_key) do update
       set suppressed_at = excluded.suppressed_at, suppressed_by = excluded.suppressed_by
     where m.suppressed_at is null
    """  # noqa: S608 - as above
)


def carry_over(session: Session, user: CalendarUserContext, appeared: Sequence[str], *, now: datetime) -> bool:
    """Pass overrides and cancellations by hand on to the events that have just appeared; whether there was an override."""
    if not appeared:
        return False
    values = {"tenant_id": user.tenant_id, "calendar_user_id": user.id, "appeared": list(appeared), "now": now}
    session.execute(_HOLDS, values)
    return bool(session.execute(_OVERRIDES, values).all())
