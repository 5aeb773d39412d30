"""Creating tenants: the key in the vault, the row, and the first API key."""

from __future__ import annotations

from sqlmodel import Session

from meetbot.clock import utc_now
from meetbot.domain.audit import AuditFact
from meetbot.domain.ids import derived_id, new_id
from meetbot.errors import Fault, InvalidInput
from meetbot.storage.audit_log import append
from meetbot.storage.database import Database
from meetbot.storage.keys import add_key, find_key
from meetbot.storage.tables import ApiKey
from meetbot.storage.tenants import add_tenant, find_tenant
from meetbot.tenants.api_keys import OPERATOR, KeyMode, NewApiKey, is_working, matches_hash, new_api_key, public_id_in
from meetbot.tenants.scopes import ALL_SCOPES
from meetbot.vault.client import Vault

MAX_NAME = 200
_DEMO_NAME = "Demo"
_FIRST_KEY = "made with the tenant"


def create_tenant(
    database: Database, vault: Vault, name: str, region: str, mode: KeyMode = KeyMode.LIVE
) -> tuple[str, str]:
    """Create a tenant and its first API key, which may do everything: ``(tenant_id, api_key)``.

    The vault comes first: a key without a tenant is harmless, a tenant without a key could seal nothing. Raises `InvalidInput`
    for a name that is blank or too long, `VaultError` if the vault refuses.
    """
    check_name(name)
    tenant_id = new_id("ten")
    vault.create_tenant_key(tenant_id)
    with database.transaction(tenant_id) as session:
        add_tenant(session, tenant_id, name=name.strip(), region=region, mode=mode)
        append(session, tenant_id, AuditFact(utc_now(), OPERATOR, "tenant.created", tenant_id))
    return tenant_id, issue_api_key(database, tenant_id, mode)


def issue_api_key(database: Database, tenant_id: str, mode: KeyMode, scopes: tuple[str, ...] = (ALL_SCOPES,)) -> str:
    """Create one more API key for the tenant and return its text, which is shown only here."""
    key = new_api_key(mode)
    with database.transaction(tenant_id) as session:
        store_key(session, tenant_id, key, scopes)
    return key.text


def store_key(session: Session, tenant_id: str, key: NewApiKey, scopes: tuple[str, ...] = (ALL_SCOPES,)) -> None:
    """Store a key that the operator made with the tenant.

    It may do everything unless scopes are given.
    """
    row = ApiKey(
        public_id=key.public_id,
        tenant_id=tenant_id,
        mode=key.mode,
        name=_FIRST_KEY,
        scopes=list(scopes),
        secret_hash=key.secret_hash,
        created_by=OPERATOR,
    )
    add_key(session, row)


def ensure_demo_tenant(database: Database, vault: Vault, region: str, known_key: str | None) -> tuple[str, str]:
    """Return the demonstration tenant of a development stack: ``(tenant_id, api_key)``.

    It is the same at every start. `known_key` is the API key of the last start, which only the caller keeps; a new one is
    made if that does not fit any more.
    """
    tenant_id = derived_id("ten", "demo", region)
    vault.create_tenant_key(tenant_id)
    with database.transaction(tenant_id) as session:
        if find_tenant(session, tenant_id) is None:
            add_tenant(session, tenant_id, name=_DEMO_NAME, region=region, mode=KeyMode.TEST)
    if known_key is not None and _is_good(database, tenant_id, known_key):
        return tenant_id, known_key
    return tenant_id, issue_api_key(database, tenant_id, KeyMode.TEST)


def _is_good(database: Database, tenant_id: str, api_key: str) -> bool:
    public_id = public_id_in(api_key)
    if public_id is None:
        return False
    with database.key_lookup(public_id) as session:
        row = find_key(session, public_id)
        return (
            row is not None
            and row.tenant_id == tenant_id
            and is_working(row, now=utc_now())
            and matches_hash(api_key, row.secret_hash)
        )


def check_name(name: str) -> None:
    """Raise `InvalidInput` for a tenant's name that is blank, too long or not printable."""
    stripped = name.strip()
    if not stripped or len(stripped) > MAX_NAME or not stripped.isprintable():
        fault = Fault("name", "invalid_name", f"1 to {MAX_NAME} printable characters")
        raise InvalidInput("invalid_name", fault.message, (fault,))
