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
from meetbot.storage.tenants import add_tenant
from meetbot.tenants.api_keys import KeyMode, key_of, new_api_key
from meetbot.tenants.create import check_name, store_key
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
        add_tenant(session, tenant_id, name="", region=region, home_url=home_url, mode=mode)
        store_key(session, tenant_id, key)
    return tenant_id, key.text


def adopt_tenant(database: Database, vault: Vault, name: str, region: Region, *, tenant_id: str, api_key: str) -> None:
    """Make, in its own region, the tenant that a pointer elsewhere names, with the same key.

    Raises `InvalidInput` for an id or a key that no installation of ours has made.
    """
    check_name(name)
    key = key_of(api_key)
    if key is None or not _TENANT_ID.fullmatch(tenant_id):
        raise InvalidInput("invalid_tenant", "this is no tenant id, or no API key")
    vault.create_tenant_key(tenant_id)
    with database.transaction(tenant_id) as session:
        add_tenant(session, tenant_id, name=name.strip(), region=region, mode=key.mode)
        store_key(session, tenant_id, key)


def address_in(region: str, *, public_url: str, own_region: str) -> str | None:
    """Return our address in another region, if our host's name has its region as a part."""
    parts = urlsplit(public_url)
    labels = (parts.hostname or "").split(".")
    if own_region not in labels or parts.port is not None:
        return None
    host = ".".join(region if label == own_region else label for label in labels)
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
