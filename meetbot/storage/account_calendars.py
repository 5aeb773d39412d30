"""The calendars of accounts as rows, and which of them are to be read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlmodel import Session, col, select

from meetbot.domain.account_calendar import PRIMARY, AccessRole, AccountCalendar, CalendarsMode
from meetbot.domain.calendar_health import KnownCalendar
from meetbot.storage.tables import StoredCalendar, Tenant

_INSTANTS = ("last_synced_at", "refused_since", "gone_at")


def calendars_of(session: Session, tenant_id: str, calendar_user_id: str) -> list[KnownCalendar]:
    """Return the calendars of an account, its own first, then by id."""
    statement = (
        select(StoredCalendar)
        .where(StoredCalendar.tenant_id == tenant_id, StoredCalendar.calendar_user_id == calendar_user_id)
        .order_by((col(StoredCalendar.calendar_id) != PRIMARY), col(StoredCalendar.calendar_id))
    )
    return [_known(row.model_dump()) for row in session.exec(statement)]


def calendar_of_json(stored: Mapping[str, Any]) -> KnownCalendar:
    """Return the calendar of a row that the database gave as JSON."""
    instants = {name: None if stored[name] is None else datetime.fromisoformat(stored[name]) for name in _INSTANTS}
    return _known({**stored, **instants})


def _known(row: Mapping[str, Any]) -> KnownCalendar:
    return KnownCalendar(
        calendar=AccountCalendar(
            row["calendar_id"], row["name"], row["owned"], AccessRole(row["access_role"]), row["hidden"]
        ),
        named=row["named"],
        is_read=row["is_read"],
        last_synced_at=row["last_synced_at"],
        error_code=row["error_code"],
        refused_since=row["refused_since"],
        gone_at=row["gone_at"],
    )


# Who named a calendar is not the sync's to say: it leaves ``named`` as it is.
_WRITE = text(
    """
    insert into account_calendar as old
           (tenant_id, calendar_user_id, calendar_id, name, owned, access_role, hidden, is_read, last_synced_at, error_code,
            refused_since, gone_at)
    select :tenant_id, :calendar_user_id, calendar_id, name, owned, access_role, hidden, is_read, last_synced_at, error_code,
           refused_since, gone_at
      from jsonb_populate_recordset(null::account_calendar, cast(:records as jsonb))
    on conflict (tenant_id, calendar_user_id, calendar_id) do update set
           name = excluded.name, owned = excluded.owned, access_role = excluded.access_role, hidden = excluded.hidden,
           is_read = excluded.is_read, last_synced_at = excluded.last_synced_at, error_code = excluded.error_code,
           refused_since = excluded.refused_since, gone_at = excluded.gone_at
    """
)
_FORGET = text(
    """
    delete from account_calendar
     where tenant_id = :tenant_id and calendar_user_id = :calendar_user_id and calendar_id = any(:ids)
    """
)


def write_calendars(
    session: Session,
    tenant_id: str,
    calendar_user_id: str,
    written: Iterable[KnownCalendar],
    forgotten: Iterable[str],
) -> None:
    """Write what a sync found, and delete the rows of calendars that are of no account any more."""
    owner = {"tenant_id": tenant_id, "calendar_user_id": calendar_user_id}
    records = [_record(one) for one in written]
    if records:
        session.execute(_WRITE, owner | {"records": orjson.dumps(records).decode("utf-8")})
    ids = sorted(forgotten)
    if ids:
        session.execute(_FORGET, owner | {"ids": ids})


def _record(known: KnownCalendar) -> dict[str, Any]:
    calendar = known.calendar
    return {
        "calendar_id": calendar.id,
        "name": calendar.name,
        "owned": calendar.owned,
        "access_role": calendar.access_role,
        "hidden": calendar.hidden,
        "is_read": known.is_read,
        "last_synced_at": known.last_synced_at,
        "error_code": known.error_code,
        "refused_since": known.refused_since,
        "gone_at": known.gone_at,
    }


_NAME = text(
    """
    update account_calendar set named = (calendar_id = any(:ids))
     where tenant_id = :tenant_id and calendar_user_id = :calendar_user_id and named <> (calendar_id = any(:ids))
    """
)


def name_calendars(session: Session, tenant_id: str, calendar_user_id: str, ids: Collection[str]) -> None:
    """Note which calendars were named, and no others. The account's own has a row from then on."""
    if PRIMARY in ids and session.get(StoredCalendar, (tenant_id, calendar_user_id, PRIMARY)) is None:
        session.add(
            StoredCalendar(
                tenant_id=tenant_id,
                calendar_user_id=calendar_user_id,
                calendar_id=PRIMARY,
                owned=True,
                access_role=AccessRole.OWNER,
            )
        )
        session.flush()
    owner = {"tenant_id": tenant_id, "calendar_user_id": calendar_user_id}
    session.execute(_NAME, owner | {"ids": sorted(ids)})
    session.expire_all()


def default_mode(session: Session, tenant_id: str) -> CalendarsMode:
    """Return which calendars the tenant has read of an account for which nothing else is said."""
    stated = session.exec(select(Tenant.calendars_mode).where(Tenant.id == tenant_id)).first()
    return CalendarsMode.OWNED if stated is None else CalendarsMode(stated)
