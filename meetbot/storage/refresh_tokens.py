"""The sealed refresh token of a calendar user, and who may use it just now."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

from meetbot.vault.sealing import SealedSecret, kek_name

_TAKE = text(
    """
    update calendar_user
       set refresh_holder = :holder, refresh_held_until = clock_timestamp() + make_interval(secs => :seconds)
     where tenant_id = :tenant_id and id = :id
       and (refresh_held_until is null or refresh_held_until <= clock_timestamp())
    returning token_version, sealed_version, oauth_client_id, kek_version, wrapped_key, refresh_ciphertext
    """
)
_END = text(
    """
    update calendar_user set refresh_holder = null, refresh_held_until = null
     where tenant_id = :tenant_id and id = :id and refresh_holder = :holder
    """
)
_VERSION = text("select token_version from calendar_user where tenant_id = :tenant_id and id = :id")
_STORE = text(
    """
    update calendar_user
       set kek_version = :kek_version, wrapped_key = :wrapped_key, refresh_ciphertext = :ciphertext,
           token_version = token_version + 1, sealed_version = token_version + 1
     where tenant_id = :tenant_id and id = :id and token_version = :replaces
    returning token_version
    """
)


@dataclass(frozen=True, slots=True)
class StoredToken:
    """The refresh token of a calendar user as it is stored, with what it was sealed for."""

    version: int
    sealed_version: int
    oauth_client_id: str | None
    sealed: SealedSecret


def take_token(
    session: Session, tenant_id: str, calendar_user_id: str, *, holder: str, seconds: float
) -> StoredToken | None:
    """Keep the refresh token to ``holder`` for some seconds, and return what is stored.

    None if another holder has it, or if there is no such calendar user.
    """
    bounds = {"tenant_id": tenant_id, "id": calendar_user_id, "holder": holder, "seconds": seconds}
    row = session.execute(_TAKE, bounds).one_or_none()
    if row is None:
        return None
    sealed = SealedSecret(kek_name(tenant_id), row.kek_version, row.wrapped_key, bytes(row.refresh_ciphertext))
    return StoredToken(row.token_version, row.sealed_version, row.oauth_client_id, sealed)


def end_hold(session: Session, tenant_id: str, calendar_user_id: str, *, holder: str) -> None:
    """Let others have the token again, if ``holder`` still keeps it."""
    session.execute(_END, {"tenant_id": tenant_id, "id": calendar_user_id, "holder": holder})


def token_version(session: Session, tenant_id: str, calendar_user_id: str) -> int | None:
    """Return the version of the stored refresh token, None if there is no such calendar user."""
    version = session.execute(_VERSION, {"tenant_id": tenant_id, "id": calendar_user_id}).scalar_one_or_none()
    return None if version is None else int(version)


def store_rotated(
    session: Session, tenant_id: str, calendar_user_id: str, sealed: SealedSecret, *, replaces: int
) -> int:
    """Store the refresh token that replaces version ``replaces``, unless a newer one is stored.

    It was sealed for version ``replaces + 1``. Returns the version under which the token just received may be remembered.
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
