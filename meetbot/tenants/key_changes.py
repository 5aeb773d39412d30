"""Creating, rotating and revoking a tenant's API keys, for the API and the command line.

Each function takes a transaction of the tenant and locks the tenant's row, so that two revocations at once cannot take away the
last key that may make keys.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlmodel import Session

from meetbot.errors import Fault, InvalidInput
from meetbot.storage.keys import add_key, find_tenant_key, working_keys
from meetbot.storage.tables import ApiKey, Tenant
from meetbot.storage.tenants import lock_tenant
from meetbot.tenants.api_keys import OPERATOR, KeyMode, is_working, new_api_key
from meetbot.tenants.scopes import ALL_SCOPES, KNOWN_SCOPES, Scope, has_scope, missing_scopes

MAX_WORKING_KEYS = 100
MAX_OVERLAP_HOURS = 168
MAX_LIFETIME = timedelta(days=3653)


class KeyRefused(InvalidInput):
    """The change of a key does not fit the keys that there are, or goes beyond who asks for it."""


@dataclass(frozen=True, slots=True)
class KeyMaker:
    """Who asks for a change of keys: nobody can give away more than they have."""

    actor: str
    scopes: frozenset[str] = frozenset({ALL_SCOPES})
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """What a new key is to be."""

    name: str
    scopes: Collection[str]
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A new key's row, and its text, which is shown once."""

    row: ApiKey
    text: str = field(repr=False)


def create_key(session: Session, tenant_id: str, maker: KeyMaker, wanted: KeyRequest, *, now: datetime) -> MadeKey:
    """Create a key. Raises `KeyRefused`."""
    _check_scopes(maker, wanted.scopes)
    expires_at = _expiry(maker, wanted.expires_at, now)
    tenant = _locked(session, tenant_id)
    _check_maker(session, tenant_id, maker, now)
    if len(working_keys(session, tenant_id, now=now)) >= MAX_WORKING_KEYS:
        raise _refused("too_many_keys", f"{MAX_WORKING_KEYS} keys work already; revoke one first")
    return _add(session, tenant, maker, KeyRequest(wanted.name, wanted.scopes, expires_at))


def rotate_key(
    session: Session, tenant_id: str, maker: KeyMaker, public_id: str, *, overlap_hours: int, now: datetime
) -> MadeKey | None:
    """Replace a key by a new one of the same name, scopes and expiry; None if there is none.

    The old one works for the overlap, and not at all any more if that is 0. Raises `KeyRefused`.
    """
    tenant = _locked(session, tenant_id)
    _check_maker(session, tenant_id, maker, now)
    old = find_tenant_key(session, tenant_id, public_id)
    if old is None:
        return None
    if not is_working(old, now=now):
        raise _refused("key_not_working", "the key is revoked or expired; create another one")
    _check_scopes(maker, old.scopes)
    if maker.expires_at is not None and (old.expires_at is None or old.expires_at > maker.expires_at):
        raise _refused("expiry_exceeds_key", "the key outlives the one that asks; use one that lives as long")
    made = _add(session, tenant, maker, KeyRequest(old.name, old.scopes, old.expires_at))
    if overlap_hours == 0:
        old.revoked_at = now
    else:
        ends_at = now + timedelta(hours=overlap_hours)
        old.expires_at = ends_at if old.expires_at is None else min(old.expires_at, ends_at)
    session.add(old)
    session.flush()
    return made


def revoke_key(session: Session, tenant_id: str, public_id: str, *, now: datetime) -> ApiKey | None:
    """Revoke a key, which stops at once; None if there is none.

    One that is revoked already stays as it is. Raises `KeyRefused` for the last working key that may make keys:
    no other could be made over the API.
    """
    _locked(session, tenant_id)
    key = find_tenant_key(session, tenant_id, public_id)
    if key is None or key.revoked_at is not None:
        return key
    left = [one for one in working_keys(session, tenant_id, now=now) if one.public_id != public_id]
    if is_working(key, now=now) and _makes_keys(key) and not any(_makes_keys(one) for one in left):
        raise _refused("last_key", "no other key has keys:write; create one first, or use `meetbot keys revoke`")
    key.revoked_at = now
    session.add(key)
    session.flush()
    return key


def revoke_any_key(session: Session, tenant_id: str, public_id: str, *, now: datetime) -> ApiKey | None:
    """Revoke a key, the last one too, as only the operator may; None if there is none."""
    _locked(session, tenant_id)
    key = find_tenant_key(session, tenant_id, public_id)
    if key is not None and key.revoked_at is None:
        key.revoked_at = now
        session.add(key)
        session.flush()
    return key


def _locked(session: Session, tenant_id: str) -> Tenant:
    tenant = lock_tenant(session, tenant_id)
    if tenant is None:
        raise _refused("tenant_not_found", "there is no such tenant")
    return tenant


def _check_maker(session: Session, tenant_id: str, maker: KeyMaker, now: datetime) -> None:
    """Refuse a key that was revoked, or whose tenant was closed, while it waited for the lock."""
    if maker.actor == OPERATOR:
        return
    key = find_tenant_key(session, tenant_id, maker.actor)
    if key is None or not is_working(key, now=now):
        raise _refused("key_not_working", "the key that asks was revoked meanwhile; use another one")


def _add(session: Session, tenant: Tenant, maker: KeyMaker, wanted: KeyRequest) -> MadeKey:
    made = new_api_key(KeyMode(tenant.mode))
    row = ApiKey(
        public_id=made.public_id,
        tenant_id=tenant.id,
        mode=tenant.mode,
        name=wanted.name,
        scopes=sorted(set(wanted.scopes)),
        secret_hash=made.secret_hash,
        created_by=maker.actor,
        expires_at=wanted.expires_at,
    )
    add_key(session, row)
    session.refresh(row)
    return MadeKey(row, made.text)


def _check_scopes(maker: KeyMaker, scopes: Collection[str]) -> None:
    unknown = sorted(set(scopes) - set(KNOWN_SCOPES))
    if unknown or not scopes:
        raise _refused("unknown_scope", f"scopes are one or more of {', '.join(KNOWN_SCOPES)}", "scopes")
    missing = missing_scopes(maker.scopes, scopes)
    if missing:
        raise _refused("scope_exceeds_key", f"a key cannot give what it has not: {', '.join(missing)}", "scopes")


def _expiry(maker: KeyMaker, wanted: datetime | None, now: datetime) -> datetime | None:
    """Return when a new key expires: at the latest with the key that made it."""
    if wanted is None:
        return maker.expires_at
    if not now < wanted <= now + MAX_LIFETIME:
        raise _refused("invalid_expiry", "must be in the future, and within ten years", "expires_at")
    if maker.expires_at is not None and wanted > maker.expires_at:
        raise _refused("expiry_exceeds_key", "a key cannot make one that outlives it", "expires_at")
    return wanted


def _makes_keys(key: ApiKey) -> bool:
    return has_scope(key.scopes, Scope.KEYS_WRITE)


def _refused(code: str, detail: str, path: str = "") -> KeyRefused:
    return KeyRefused(code, detail, (Fault(path, code, detail),) if path else ())
