"""Copy overrides and suppressions of an occurrence to the occurrence that takes its place."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import text
from sqlmodel import Session

_SUCCESSION = """
    select predecessor, successor, number
      from unnest(cast(:predecessors as text[]), cast(:successors as text[])) with ordinality
           as s (predecessor, successor, number)
"""

_OVERRIDES = text(
    f"""
    with succession as ({_SUCCESSION})
    insert into recording_override (tenant_id, calendar_user_id, scope, key, recording, set_by, set_at)
    select o.tenant_id, o.calendar_user_id, o.scope, s.successor, o.recording, o.set_by, o.set_at
      from recording_override o join succession s on s.predecessor = o.key
     where o.tenant_id = :tenant_id and o.calendar_user_id = :calendar_user_id and o.scope = 'occurrence'
     order by s.number
    on conflict do nothing
    """  # noqa: S608 - nothing but our own text
)

_SUPPRESSIONS = text(
    f"""
    with succession as ({_SUCCESSION})
    insert into meeting as m (tenant_id, meeting_key, generation, suppressed_at, suppressed_by)
    select distinct on (s.successor) h.tenant_id, s.successor, 0, h.suppressed_at, h.suppressed_by
      from meeting h join succession s on s.predecessor = h.meeting_key
     where h.tenant_id = :tenant_id and h.suppressed_at is not null
     order by s.successor, s.number
    on conflict (tenant_id, meeting_key) do update
       set suppressed_at = excluded.suppressed_at, suppressed_by = excluded.suppressed_by
     where m.suppressed_at is null
    """  # noqa: S608 - as above
)


def hand_on_to_successors(
    session: Session, tenant_id: str, calendar_user_id: str, successors: Mapping[str, str]
) -> None:
    """Copy overrides and suppressions from meetings to their ``successors``.

    Both are found by meeting key.

    A successor that has an override of its own, or whose bot was cancelled by hand already, keeps that.
    """
    if not successors:
        return
    values = {
        "tenant_id": tenant_id,
        "calendar_user_id": calendar_user_id,
        "predecessors": list(successors.keys()),
        "successors": list(successors.values()),
    }
    session.execute(_SUPPRESSIONS, values)
    session.execute(_OVERRIDES, values)
