"""The loss of access to a calendar as rows: noted, told of, and what it puts at risk."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlmodel import Session

_LOSE_ACCESS = text(
    """
    update calendar_user
       set state = 'needs_reconnect', state_changed_at = :now, error_code = :code, updated_at = :now,
           sequence = sequence + 1, reconnect_notices = 1
     where tenant_id = :tenant_id and id = :id and token_version = :token_version
       and state in ('connecting', 'active')
    returning sequence
    """
)


def mark_needs_reconnect(
    session: Session, tenant_id: str, calendar_user_id: str, *, token_version: int, code: str, now: datetime
) -> bool:
    """Note that access was lost with this version of the refresh token.

    The tenant is told of it now. False if the user has reconnected meanwhile.
    """
    values = {"tenant_id": tenant_id, "id": calendar_user_id, "token_version": token_version, "code": code, "now": now}
    return session.execute(_LOSE_ACCESS, values).one_or_none() is not None


_BEGIN_NOTICE = text(
    """
    update calendar_user
       set reconnect_notices = :notice, sequence = sequence + 1, updated_at = :now
     where tenant_id = :tenant_id and id = :id and state = 'needs_reconnect'
       and state_changed_at = :since and reconnect_notices < :notice
    returning sequence
    """
)


def begin_reconnect_notice(
    session: Session, tenant_id: str, calendar_user_id: str, *, since: datetime, notice: int, now: datetime
) -> bool:
    """Note that the tenant is told once more of the loss of access at ``since``.

    False if this was told already, by another process too, or if the user has reconnected or is being erased.
    """
    values = {"tenant_id": tenant_id, "id": calendar_user_id, "since": since, "notice": notice, "now": now}
    return session.execute(_BEGIN_NOTICE, values).one_or_none() is not None


class EventAtRisk(NamedTuple):
    """A meeting to come that is not recorded unless access is given again."""

    event_id: str
    start: datetime


# Once the tenant's grace is over, what was to be recorded is decided anew, and its reason says so.
_AT_RISK = text(
    """
    select id, start_at from calendar_event
     where tenant_id = :tenant_id and calendar_user_id = :id and not deleted
       and (outcome = 'record' or reason = 'access_revoked') and start_at is not null and end_at > :now
     order by start_at, id limit :most
    """
)


def events_at_risk(
    session: Session, tenant_id: str, calendar_user_id: str, *, now: datetime, most: int
) -> list[EventAtRisk]:
    """Return the meetings that would be recorded, the nearest first."""
    bounds = {"tenant_id": tenant_id, "id": calendar_user_id, "now": now, "most": most}
    return [EventAtRisk(*row) for row in session.execute(_AT_RISK, bounds)]


_OUTLIVED = text(
    """
    select exists (
      select 1 from calendar_user
       where tenant_id = :tenant_id and provider = :provider and oauth_client_id is not distinct from :client_id
         and state in ('connecting', 'active') and consented_at < :before)
    """
)


def has_grant_older_than(
    session: Session, tenant_id: str, provider: str, oauth_client_id: str | None, *, before: datetime
) -> bool:
    """Return whether a grant of the tenant to this client stands that is older than ``before``."""
    bounds = {"tenant_id": tenant_id, "provider": provider, "client_id": oauth_client_id, "before": before}
    return bool(session.execute(_OUTLIVED, bounds).scalar_one())
