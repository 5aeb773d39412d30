"""The sealed refresh token of a calendar user, and the state that goes with having or losing one."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

from meetbot.vault.sealing import SealedSecret

_STORE = text(
    """
    update calendar_user
       set kek_version = :kek_version, wrapped_key = :wrapped_key, refresh_ciphertext = :ciphertext,
           token_version = token_version + 1
     where tenant_id = :tenant_id and id = :id and token_version = :replaces
    returning token_version
    """
)


def store_rotated(
    session: Session, tenant_id: str, calendar_user_id: str, sealed: SealedSecret, *, replaces: int
) -> int:
    """Store the refresh token that replaces version `replaces`; where a newer one is stored already, that one stays.

    Returns the version under which the token just received may be remembered.
    """
    stored = session.execute(
        _STORE,
        {
            "tenant_id": tenant_id,
            "id": calendar_user_id,
            "replaces": replaces,
            "kek_version": sealed.kek_version,
            "wrapped_key": sealed.wrapped_key,
            "ciphertext": sealed.nonce_and_ciphertext,
        },
    ).scalar_one_or_none()
    return replaces if stored is None else int(stored)


_LOSE = text(
    """
    update calendar_user
       set state = 'needs_reconnect', state_changed_at = :now, error_code = :code, updated_at = :now,
           sequence = sequence + 1
     where tenant_id = :tenant_id and id = :id and token_version = :token_version
       and state in ('connecting', 'active')
    returning sequence
    """
)


def mark_needs_reconnect(
    session: Session, tenant_id: str, calendar_user_id: str, *, token_version: int, code: str, now: datetime
) -> bool:
    """Note that access was lost with this version of the token. False where somebody reconnected meanwhile."""
    changed = session.execute(
        _LOSE,
        {
            "tenant_id": tenant_id,
            "id": calendar_user_id,
            "token_version": token_version,
            "code": code,
            "now": now,
        },
    ).one_or_none()
    return changed is not None
