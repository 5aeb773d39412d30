"""What checks of a calendar user read and keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session


@dataclass(frozen=True, slots=True)
class EventCount:
    """How many events to come have one decision."""

    has_link: bool
    outcome: str
    reason: str
    count: int


_COUNTS = text(
    """
    select meeting_url is not null, outcome, reason, count(*)
      from calendar_event
     where tenant_id = :tenant_id and calendar_user_id = :id and not deleted and end_at > :now and start_at < :until
     group by 1, 2, 3
     order by 4 desc, 3
    """
)


def count_events(
    session: Session, tenant_id: str, calendar_user_id: str, *, now: datetime, until: datetime
) -> Sequence[EventCount]:
    """Return how many events there are until an instant, by their decision.

    The most frequent comes first.
    """
    values = {"tenant_id": tenant_id, "id": calendar_user_id, "now": now, "until": until}
    return [EventCount(*row) for row in session.execute(_COUNTS, values)]


_NOTE = text(
    """
    update calendar_user
       set checked_at = :at, provider_check = nullif(:provider, ''), backend_check = nullif(:backend, '')
     where tenant_id = :tenant_id and id = :id and state <> 'disconnecting'
    """
)


def note_check(
    session: Session, tenant_id: str, calendar_user_id: str, provider: str, backend: str, *, at: datetime
) -> None:
    """Keep what the worker found out, so that it is not asked again at once."""
    values = {"tenant_id": tenant_id, "id": calendar_user_id, "provider": provider, "backend": backend, "at": at}
    session.execute(_NOTE, values)
