"""Calendar users that wait for an administrator, beside those that are connected.

They are listed and shown like the others, can be erased, and connected by a fresh link. What takes a connected calendar answers
409 for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session

from api.dependencies import ApiServices
from api.problems import Problem
from meetbot.calendars.waiting_users import resources_of
from meetbot.domain.calendar_user import CalendarUserStatus
from meetbot.resources.calendar_user import CalendarUserResource
from meetbot.storage.calendar_users import CalendarUserFilter
from meetbot.storage.tables import CalendarUser
from meetbot.storage.waiting_users import find_waiting, list_waiting


def with_waiting(
    session: Session,
    services: ApiServices,
    tenant_id: str,
    rows: Sequence[CalendarUser],
    wanted: CalendarUserFilter,
    *,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[CalendarUser | CalendarUserResource]:
    """Return a page of connected and waiting users together, in the order of their creation."""
    if wanted.state not in (None, CalendarUserStatus.CONNECTING):
        return list(rows)
    now = services.clock()
    found = list_waiting(
        session,
        tenant_id,
        customer_user_id=wanted.customer_user_id,
        provider=wanted.provider,
        after=after,
        now=now,
        limit=limit,
    )
    waiting = resources_of(session, tenant_id, found, public_url=services.settings.public_url, now=now)
    merged: list[CalendarUser | CalendarUserResource] = [*rows, *waiting]
    return sorted(merged, key=_place)[:limit]


def _place(row: CalendarUser | CalendarUserResource) -> tuple[datetime, str]:
    assert row.created_at is not None  # noqa: S101 - for the type checker: every stored row has one
    return row.created_at, row.id


def waiting_view(
    session: Session, services: ApiServices, tenant_id: str, calendar_user_id: str
) -> CalendarUserResource | None:
    """Return the resource of somebody who waits, None if nobody waits by this id."""
    now = services.clock()
    row = find_waiting(session, tenant_id, calendar_user_id, now=now)
    if row is None:
        return None
    return resources_of(session, tenant_id, [row], public_url=services.settings.public_url, now=now)[0]


def refuse_waiting(session: Session, services: ApiServices, tenant_id: str, calendar_user_id: str) -> None:
    """Raise the problem ``calendar_user_not_connected`` if this id waits for an administrator."""
    if find_waiting(session, tenant_id, calendar_user_id, now=services.clock()) is not None:
        raise Problem(
            409,
            "calendar_user_not_connected",
            "an administrator must agree first: forward the admin_consent_url, then have the user open the connect_url",
        )
