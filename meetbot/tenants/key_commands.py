"""What the operator's commands `meetbot tenants list` and `meetbot keys` do."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlmodel import Session

from meetbot.clock import utc_now
from meetbot.domain.audit import AuditFact
from meetbot.errors import Fault, InvalidInput
from meetbot.storage.audit_log import append
from meetbot.storage.database import Database
from meetbot.storage.keys import list_keys
from meetbot.storage.tables import ApiKey
from meetbot.storage.tenants import find_tenant, list_tenants
from meetbot.tenants.api_keys import OPERATOR
from meetbot.tenants.key_changes import (
    MAX_OVERLAP_HOURS,
    KeyMaker,
    KeyRequest,
    MadeKey,
    create_key,
    revoke_any_key,
    rotate_key,
)
from meetbot.tenants.key_resource import api_key_resource, api_key_with_secret

_PAGE = 500
_MAX_NAME = 255
_OPERATOR = KeyMaker(OPERATOR)


def tenants(database: Database) -> list[dict[str, Any]]:
    """Return every tenant: id, name, region, mode and when it was made."""
    found: list[dict[str, Any]] = []
    with database.tenant_directory() as session:
        while page := list_tenants(session, after=found[-1]["id"] if found else "", limit=_PAGE):
            found.extend(
                {
                    "id": row.id,
                    "name": row.name,
                    "region": row.region,
                    "mode": row.mode,
                    "created_at": row.created_at.isoformat() if row.created_at is not None else None,
                }
                for row in page
            )
    return found


def keys(database: Database, tenant_id: str) -> list[dict[str, Any]]:
    """Return the tenant's keys without secrets. Raises `InvalidInput` for an unknown tenant."""
    with database.transaction(tenant_id) as session:
        if find_tenant(session, tenant_id) is None:
            raise _unknown("tenant_not_found", "tenant")
        rows, now = list_keys(session, tenant_id, after=None, limit=_PAGE), utc_now()
        return [api_key_resource(row, now=now).document() for row in rows]


def create(
    database: Database, tenant_id: str, name: str, scopes: Collection[str], expires_at: str | None
) -> dict[str, Any]:
    """Create a key and return it with its text. Raises `InvalidInput`."""
    wanted = KeyRequest(_named(name), scopes, _instant(expires_at) if expires_at is not None else None)
    with database.transaction(tenant_id) as session:
        now = utc_now()
        made = create_key(session, tenant_id, _OPERATOR, wanted, now=now)
        _record(session, made.row, "api_key.created", now)
        return _shown(made, now)


def rotate(database: Database, tenant_id: str, key_id: str, overlap_hours: int) -> dict[str, Any]:
    """Replace a key and return the new one with its text. Raises `InvalidInput`."""
    if not 0 <= overlap_hours <= MAX_OVERLAP_HOURS:
        raise _refused("overlap_hours", "invalid_overlap", f"0 to {MAX_OVERLAP_HOURS}")
    with database.transaction(tenant_id) as session:
        now = utc_now()
        made = rotate_key(session, tenant_id, _OPERATOR, key_id, overlap_hours=overlap_hours, now=now)
        if made is None:
            raise _unknown("api_key_not_found", "API key")
        append(session, tenant_id, AuditFact(now, OPERATOR, "api_key.rotated", key_id))
        return _shown(made, now)


def revoke(database: Database, tenant_id: str, key_id: str) -> dict[str, Any]:
    """Revoke a key, the last one too, and return it. Raises `InvalidInput`."""
    with database.transaction(tenant_id) as session:
        now = utc_now()
        row = revoke_any_key(session, tenant_id, key_id, now=now)
        if row is None:
            raise _unknown("api_key_not_found", "API key")
        _record(session, row, "api_key.revoked", now)
        return api_key_resource(row, now=now).document()


def _record(session: Session, row: ApiKey, action: str, now: datetime) -> None:
    append(session, row.tenant_id, AuditFact(now, OPERATOR, action, row.public_id))


def _shown(made: MadeKey, now: datetime) -> dict[str, Any]:
    return api_key_with_secret(made.row, made.text, now=now).document()


def _named(name: str) -> str:
    stripped = name.strip()
    if not stripped or len(stripped) > _MAX_NAME or not stripped.isprintable():
        raise _refused("name", "invalid_name", f"1 to {_MAX_NAME} printable characters")
    return stripped


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise _refused("expires_at", "invalid_expiry", "an RFC 3339 time with its offset")
    return instant


def _refused(path: str, code: str, message: str) -> InvalidInput:
    return InvalidInput(code, f"{path}: {message}", (Fault(path, code, message),))


def _unknown(code: str, what: str) -> InvalidInput:
    return InvalidInput(code, f"there is no such {what}", next_step="`meetbot tenants list` and `meetbot keys list`.")
