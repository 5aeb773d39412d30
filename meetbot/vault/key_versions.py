"""The versions of a tenant's key: make one, move data keys to it, destroy the old ones.

Rewrapping happens inside the service: no data key and no secret is ever in clear here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from meetbot.errors import VaultError
from meetbot.vault.client import TRANSIT_MOUNT, Vault, version_of
from meetbot.vault.sealing import kek_name


@dataclass(frozen=True, slots=True)
class KeyVersions:
    """Which versions of a key there are.

    ``oldest`` is the first that still decrypts, ``newest_since`` when the newest was made.
    """

    newest: int
    oldest: int
    newest_since: datetime


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data key's wrapped form, and the version of the tenant's key that wrapped it."""

    wrapped: str
    version: int


def read_versions(vault: Vault, tenant_id: str) -> KeyVersions:
    """Return the versions of the tenant's key. Needs the rotator's or the trimmer's rights."""
    name = kek_name(tenant_id)
    data = vault.call(lambda client: client.secrets.transit.read_key(name=name, mount_point=TRANSIT_MOUNT))["data"]
    newest = int(data["latest_version"])
    oldest = max(int(data["min_decryption_version"]), int(data.get("min_available_version") or 0), 1)
    return KeyVersions(newest, oldest, _instant(data["keys"][str(newest)]))


def add_version(vault: Vault, tenant_id: str) -> KeyVersions:
    """Make a new version of the tenant's key. Needs the rotator's rights."""
    name = kek_name(tenant_id)
    vault.call(lambda client: client.secrets.transit.rotate_key(name=name, mount_point=TRANSIT_MOUNT))
    return read_versions(vault, tenant_id)


def rewrap_keys(vault: Vault, tenant_id: str, wrapped_keys: Sequence[str]) -> list[WrappedKey | None]:
    """Return each data key wrapped by the newest version, None for one that is unreadable.

    Needs the rotator's rights.
    """
    if not wrapped_keys:
        return []
    try:
        return [WrappedKey(wrapped, version_of(wrapped)) for wrapped in _rewrapped(vault, tenant_id, wrapped_keys)]
    except VaultError as error:
        if error.code != "vault_refused":
            raise
    # One that cannot be read has the whole batch refused: find it, and move the others.
    if len(wrapped_keys) == 1:
        return [None]
    middle = len(wrapped_keys) // 2
    halves = wrapped_keys[:middle], wrapped_keys[middle:]
    return [moved for half in halves for moved in rewrap_keys(vault, tenant_id, half)]


def retire_versions(vault: Vault, tenant_id: str, *, below: int) -> None:
    """Have the versions below this one decrypt nothing any more. Needs the trimmer's rights.

    Until `destroy_versions` it can be taken back.
    """
    _set_oldest(vault, tenant_id, below)


def destroy_versions(vault: Vault, tenant_id: str, *, below: int) -> None:
    """Destroy the retired versions below this one for good. Needs the trimmer's rights."""
    name = kek_name(tenant_id)
    vault.call(lambda client: client.secrets.transit.trim_key(name=name, min_version=below, mount_point=TRANSIT_MOUNT))


def _set_oldest(vault: Vault, tenant_id: str, version: int) -> None:
    name = kek_name(tenant_id)

    def change(setting: str) -> None:
        vault.call(
            lambda client: client.secrets.transit.update_key_configuration(
                name=name, mount_point=TRANSIT_MOUNT, **{setting: version}
            )
        )

    # Encrypting must not be allowed for an older version than decrypting, at any moment.
    change("min_encryption_version")
    change("min_decryption_version")


def _rewrapped(vault: Vault, tenant_id: str, wrapped_keys: Sequence[str]) -> list[str]:
    name = kek_name(tenant_id)
    answer = vault.call(
        lambda client: client.secrets.transit.rewrap_data(
            name=name,
            ciphertext="",
            batch_input=[{"ciphertext": wrapped} for wrapped in wrapped_keys],
            mount_point=TRANSIT_MOUNT,
        )
    )
    results = answer["data"]["batch_results"]
    if len(results) != len(wrapped_keys) or any(result.get("error") for result in results):
        raise VaultError("vault_refused", "a data key of the batch was refused")
    return [str(result["ciphertext"]) for result in results]


def _instant(created: object) -> datetime:
    """Seconds since the epoch for a symmetric key, a text for others."""
    return datetime.fromtimestamp(float(str(created)), UTC)
