"""Calendar users that wait for an administrator, as rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text, tuple_, update
from sqlmodel import Session, col, select

from meetbot.domain.event import Provider
from meetbot.storage.tables import WaitingUser

_LOCK = text("select pg_advisory_xact_lock(hashtextextended(:name, 7064))")


@dataclass(frozen=True, slots=True)
class WaitingKey:
    """Whose connection waits: the tenant, the provider, and the tenant's own id of the person."""

    tenant_id: str
    provider: str
    customer_user_id: str


def lock_waiting(session: Session, key: WaitingKey) -> list[WaitingUser]:
    """Return who waits under this key, locked until the transaction ends."""
    session.execute(_LOCK, {"name": f"waiting_user/{key.tenant_id}/{key.provider}/{key.customer_user_id}"})
    rows = session.exec(
        select(WaitingUser)
        .where(
            WaitingUser.tenant_id == key.tenant_id,
            WaitingUser.provider == key.provider,
            WaitingUser.customer_user_id == key.customer_user_id,
        )
        .order_by(col(WaitingUser.created_at), col(WaitingUser.id))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return list(rows)


def find_waiting(session: Session, tenant_id: str, waiting_id: str, *, now: datetime) -> WaitingUser | None:
    """Return who waits by this id, None if their time is over."""
    row = session.get(WaitingUser, (tenant_id, waiting_id))
    return row if row is not None and row.expires_at > now else None


def list_waiting(
    session: Session,
    tenant_id: str,
    *,
    customer_user_id: str | None,
    provider: str | None,
    after: tuple[datetime, str] | None,
    now: datetime,
    limit: int,
) -> list[WaitingUser]:
    """Return a page of those who wait, in the order of their creation."""
    statement = select(WaitingUser).where(WaitingUser.tenant_id == tenant_id, WaitingUser.expires_at > now)
    if customer_user_id is not None:
        statement = statement.where(WaitingUser.customer_user_id == customer_user_id)
    if provider is not None:
        statement = statement.where(WaitingUser.provider == provider)
    if after is not None:
        statement = statement.where(tuple_(col(WaitingUser.created_at), col(WaitingUser.id)) > after)
    return list(session.exec(statement.order_by(col(WaitingUser.created_at), col(WaitingUser.id)).limit(limit)))


def add_waiting(session: Session, row: WaitingUser) -> WaitingUser:
    """Store somebody who begins to wait."""
    session.add(row)
    session.flush()
    return row


def touch_waiting(session: Session, row: WaitingUser, *, now: datetime) -> WaitingUser:
    """Store a change that the tenant can see."""
    row.sequence += 1
    row.updated_at = now
    session.add(row)
    session.flush()
    return row


def approve_waiting(
    session: Session, tenant_id: str, oauth_client_id: str | None, directory: str, *, now: datetime
) -> list[WaitingUser]:
    """Note the approval at those who wait for it, and return them.

    They were turned away with this client, and are of this directory or of one that is not known. Who was told before and has
    not been turned away since is not told again.
    """
    rows = session.exec(
        update(WaitingUser)
        .where(
            col(WaitingUser.tenant_id) == tenant_id,
            col(WaitingUser.provider) == Provider.MICROSOFT,
            col(WaitingUser.oauth_client_id).is_not_distinct_from(oauth_client_id),
            col(WaitingUser.directory).is_(None) | (col(WaitingUser.directory) == directory),
            col(WaitingUser.approved_at).is_(None),
            col(WaitingUser.expires_at) > now,
        )
        .values(approved_at=now, updated_at=now, sequence=WaitingUser.sequence + 1)
        .returning(WaitingUser)
        .execution_options(populate_existing=True)
    )
    return sorted(rows.scalars(), key=lambda row: row.id)


def delete_waiting(session: Session, row: WaitingUser) -> None:
    """Delete the row of somebody who waits no more."""
    session.delete(row)
    session.flush()


def lock_row(session: Session, tenant_id: str, waiting_id: str) -> None:
    """Hold a row until the transaction ends, so that requests at once count each other."""
    session.execute(_LOCK_ROW, {"tenant_id": tenant_id, "id": waiting_id})


def count_open_attempts(
    session: Session, tenant_id: str, *, waiting_user_id: str | None = None, admin_consent_id: str | None = None
) -> int:
    """Return the number of unexpired attempts that were begun by a link of one row."""
    bounds = {"tenant_id": tenant_id, "waiting_user_id": waiting_user_id, "admin_consent_id": admin_consent_id}
    return int(session.execute(_COUNT_OPEN, bounds).scalar_one())


_LOCK_ROW = text("select 1 from waiting_user where tenant_id = :tenant_id and id = :id for no key update")
_COUNT_OPEN = text(
    """
    select count(*) from connect_attempt
     where tenant_id = :tenant_id and expires_at > now() and directory is null
       and (waiting_user_id = :waiting_user_id or admin_consent_id = :admin_consent_id)
    """
)
