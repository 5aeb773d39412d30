"""API keys as rows."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import or_, text, tuple_
from sqlmodel import Session, col, select

from meetbot.storage.tables import ApiKey

_SPEAK_FOR = text("select set_config('app.tenant_id', :tenant_id, true)")
_USE_NOTED_EVERY = timedelta(minutes=5)
_NOTE_USE = text(
    """
    update api_key set last_used_at = :now
     where public_id in (
           select public_id from api_key
            where public_id = :public_id and (last_used_at is null or last_used_at <= :before)
              for update skip locked)
    """
)


def find_key(session: Session, public_id: str) -> ApiKey | None:
    """Return the key, a revoked one too. Call it inside `Database.key_lookup`."""
    return session.get(ApiKey, public_id)


def act_for_tenant(session: Session, tenant_id: str) -> None:
    """Turn the transaction of a key look-up into its tenant's, once the key has been verified."""
    session.execute(_SPEAK_FOR, {"tenant_id": tenant_id})


def add_key(session: Session, key: ApiKey) -> None:
    """Store a new key. Only the hash of its text is kept."""
    session.add(key)
    session.flush()


def find_tenant_key(session: Session, tenant_id: str, public_id: str) -> ApiKey | None:
    """Return the tenant's key, a revoked one too."""
    key = session.get(ApiKey, public_id, populate_existing=True)
    return key if key is not None and key.tenant_id == tenant_id else None


def list_keys(session: Session, tenant_id: str, *, after: tuple[datetime, str] | None, limit: int) -> list[ApiKey]:
    """Return a page of the tenant's keys, the oldest first, after the one at (created, id)."""
    statement = select(ApiKey).where(ApiKey.tenant_id == tenant_id)
    if after is not None:
        statement = statement.where(tuple_(col(ApiKey.created_at), col(ApiKey.public_id)) > after)
    return list(session.exec(statement.order_by(col(ApiKey.created_at), col(ApiKey.public_id)).limit(limit)))


def working_keys(session: Session, tenant_id: str, *, now: datetime) -> list[ApiKey]:
    """Return the tenant's keys that are neither revoked nor expired."""
    return list(
        session.exec(
            select(ApiKey).where(
                ApiKey.tenant_id == tenant_id,
                col(ApiKey.revoked_at).is_(None),
                or_(col(ApiKey.expires_at).is_(None), col(ApiKey.expires_at) > now),
            )
        )
    )


def note_use(session: Session, key: ApiKey, *, now: datetime) -> None:
    """Store that the key was used, unless that was noted less than five minutes ago.

    A row that another request is writing is left to it.
    """
    if key.last_used_at is None or key.last_used_at <= now - _USE_NOTED_EVERY:
        session.execute(_NOTE_USE, {"public_id": key.public_id, "now": now, "before": now - _USE_NOTED_EVERY})
