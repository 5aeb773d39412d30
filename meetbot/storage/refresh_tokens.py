"""The sealed refresh token of a calendar user."""

from __future__ import annotations

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
    """Store the refresh token that replaces version ``replaces``, unless a newer one is stored.

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
