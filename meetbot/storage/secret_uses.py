"""Which workflow had a secret opened, what for, and how often in each hour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import text, tuple_
from sqlmodel import Session, col, select

from meetbot.storage.tables import SecretUse


class SecretPurpose(StrEnum):
    """What a secret is opened for."""

    TOKEN_REFRESH = "token_refresh"  # noqa: S105 - a purpose, no password
    REVOCATION = "revocation"
    OAUTH_APP = "oauth_app"
    CONSENT_CODE = "consent_code"
    WEBHOOK_SIGNATURE = "webhook_signature"


@dataclass(frozen=True, slots=True)
class OpenedSecret:
    """One opening. ``subject_id`` is whose secret it is, ``used_by`` the workflow or process."""

    purpose: SecretPurpose
    subject_id: str
    used_by: str


_NOTE = text(
    """
    insert into secret_use as known (tenant_id, hour, purpose, subject_id, used_by, uses, first_at, last_at)
    values (:tenant_id, date_trunc('hour', cast(:at as timestamptz)), :purpose, :subject_id, :used_by, 1, :at, :at)
    on conflict (tenant_id, hour, purpose, subject_id, used_by) do update
       set uses = known.uses + 1, last_at = greatest(known.last_at, excluded.last_at)
    """
)


def note_secret_use(session: Session, tenant_id: str, opened: OpenedSecret, *, at: datetime) -> None:
    """Note, before it is opened, that a secret is. A row per workflow, secret and hour."""
    session.execute(
        _NOTE,
        {
            "tenant_id": tenant_id,
            "at": at,
            "purpose": opened.purpose.value,
            "subject_id": opened.subject_id,
            "used_by": opened.used_by,
        },
    )


Place = tuple[datetime, str, str, str]


def list_secret_uses(
    session: Session,
    tenant_id: str,
    *,
    since: datetime | None,
    until: datetime | None,
    before: Place | None,
    limit: int,
) -> list[SecretUse]:
    """Return a page of uses by hour, the newest hour first."""
    place = tuple_(col(SecretUse.hour), col(SecretUse.purpose), col(SecretUse.subject_id), col(SecretUse.used_by))
    statement = select(SecretUse).where(SecretUse.tenant_id == tenant_id)
    if since is not None:
        statement = statement.where(SecretUse.last_at >= since)
    if until is not None:
        statement = statement.where(SecretUse.first_at < until)
    if before is not None:
        statement = statement.where(place < before)
    columns = (SecretUse.hour, SecretUse.purpose, SecretUse.subject_id, SecretUse.used_by)
    return list(session.exec(statement.order_by(*(col(column).desc() for column in columns)).limit(limit)))
