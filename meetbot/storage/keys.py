"""API keys as rows."""

from __future__ import annotations

from sqlalchemy import text
from sqlmodel import Session

from meetbot.storage.tables import ApiKey

_SPEAK_FOR = text("select set_config('app.tenant_id', :tenant_id, true)")


def find_key(session: Session, public_id: str) -> ApiKey | None:
    """Return the key, a revoked one too. Call it inside `Database.key_lookup`."""
    return session.get(ApiKey, public_id)


def act_for_tenant(session: Session, tenant_id: str) -> None:
    """Turn the transaction of a key look-up into its tenant's, once the key has been verified."""
    session.execute(_SPEAK_FOR, {"tenant_id": tenant_id})


def add_key(
    session: Session, tenant_id: str, *, public_id: str, secret_hash: bytes, mode: str, scopes: list[str]
) -> None:
    """Store a new key. Only the hash of its text is kept."""
    session.add(ApiKey(public_id=public_id, tenant_id=tenant_id, mode=mode, scopes=scopes, secret_hash=secret_hash))
    session.flush()
