"""Tenants of another region: a pointer here, everything else at home.

The pointer is an id, a region, an address and the digest of an API key: enough to tell the caller where to go. No name, no
key in the vault, nothing of a calendar.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

from meetbot.domain.ids import new_id
from meetbot.errors import InvalidInput
from meetbot.settings import Region
from meetbot.storage.database import Database
from meetbot.storage.keys import add_key
from meetbot.storage.tenants import add_tenant
from meetbot.tenants.api_keys import KeyMode, hash_api_key, new_api_key, public_id_in
from meetbot.tenants.create import ALL_SCOPES, check_name
from meetbot.vault.client import Vault

_TENANT_ID = re.compile(r"ten_[a-z2-7]{26}")


def region_named(name: str) -> Region:
    """Return the region of this name. Raises `InvalidInput`."""
    try:
        return Region(name)
    except ValueError:
        known = " or ".join(Region)
        raise InvalidInput("invalid_region", f"a region is {known}") from None


def point_elsewhere(
    database: Database, region: Region, home_url: str | None, mode: KeyMode = KeyMode.LIVE
) -> tuple[str, str]:
    """Store the pointer to a tenant of another region, with a new key: ``(tenant_id, api_key)``.

    `adopt_tenant` makes the same tenant at home.
    """
    tenant_id, key = new_id("ten"), new_api_key(mode)
    with database.transaction(tenant_id) as session:
        add_tenant(session, tenant_id, name="", region=region, home_url=home_url)
        add_key(
            session,
            tenant_id,
            public_id=key.public_id,
            secret_hash=key.secret_hash,
            mode=mode,
            scopes=[ALL_SCOPES],
        )
    return tenant_id, key.text


def adopt_tenant(database: Database, vault: Vault, name: str, region: Region, *, tenant_id: str, api_key: str) -> None:
    """Make, in its own region, the tenant that a pointer elsewhere names, with the same key.

    Raises `InvalidInput` for an id or a key that no installation of ours has made.
    """
    check_name(name)
    public_id = public_id_in(api_key)
    if public_id is None or not _TENANT_ID.fullmatch(tenant_id):
        raise InvalidInput("invalid_tenant", "this is no tenant id, or no API key")
    vault.create_tenant_key(tenant_id)
    with database.transaction(tenant_id) as session:
        add_tenant(session, tenant_id, name=name.strip(), region=region)
        add_key(
            session,
            tenant_id,
            public_id=public_id,
            secret_hash=hash_api_key(api_key),
            mode=KeyMode.TEST if api_key.startswith("mb_test_") else KeyMode.LIVE,
            scopes=[ALL_SCOPES],
        )


def address_in(region: str, *, public_url: str, own_region: str) -> str | None:
    """Return our address in another region, if our host's name has its region as a part."""
    parts = urlsplit(public_url)
    labels = (parts.hostname or "").split(".")
    if own_region not in labels or parts.port is not None:
        return None
    host = ".".join(region if label == own_region else label for label in labels)
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
