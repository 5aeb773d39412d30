"""Rights in the vault that a process must not have, and the vault's audit log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from meetbot.errors import VaultError
from meetbot.vault.client import TRANSIT_MOUNT
from meetbot.vault.sealing import kek_name

# Rights are given on whole path segments, so what holds for this name holds for every tenant's key.
_ANY_KEY = "tenant-any"
_DECRYPT = f"{TRANSIT_MOUNT}/decrypt/{_ANY_KEY}"
# To make keys deletable is the eraser's, whom no process of ours runs as.
_ADMINISTER = (
    f"{TRANSIT_MOUNT}/export/encryption-key/{_ANY_KEY}",
    f"{TRANSIT_MOUNT}/keys/{_ANY_KEY}/config",
    "sys/policies/acl/any",
)
_NO_RIGHTS = frozenset({"deny"})


class ProcessKind(StrEnum):
    """Which of our processes asks."""

    API = "API"
    WORKER = "worker"


_FORBIDDEN: Mapping[ProcessKind, Sequence[str]] = {
    ProcessKind.API: (_DECRYPT, f"{TRANSIT_MOUNT}/rewrap/{_ANY_KEY}", *_ADMINISTER),
    ProcessKind.WORKER: _ADMINISTER,
}


class RightsSource(Protocol):
    """The part of `meetbot.vault.client.Vault` that is needed here."""

    def capabilities(self, paths: Sequence[str]) -> dict[str, list[str]]:
        """Return what our own token may do on each of these paths."""
        ...

    def audit_devices(self) -> list[str]:
        """Return the names of the service's audit devices."""
        ...


def refuse_unsafe_rights(vault: RightsSource, kind: ProcessKind) -> None:
    """Raise `VaultError` if the process has too many rights, or nothing is audited.

    Raises ``vault_rights_unsafe``, ``vault_audit_missing``, ``vault_audit_unseen``, and `VaultUnavailable` if the service does
    not answer: then ask again later.
    """
    for path, capabilities in vault.capabilities(_FORBIDDEN[kind]).items():
        if not set(capabilities) <= _NO_RIGHTS:
            raise VaultError(
                "vault_rights_unsafe",
                f"the {kind}'s credentials of the key management service may use {path}",
                next_step=f"give it those of the principal meetbot-{kind.lower()} that `python -m meetbot.vault.setup` makes",
            )
    if not _audit_devices(vault):
        raise VaultError(
            "vault_audit_missing",
            "the key management service has no audit device, so nothing records who opened what",
            next_step="declare one in the server's configuration, as deploy/openbao/openbao.hcl does",
        )


def require_erasers_rights(vault: RightsSource, tenant_id: str) -> None:
    """Raise `VaultError` ``vault_denied`` if we may not delete this tenant's key.

    Asked before anything is deleted: rows without their key's end are half an erasure.
    """
    key = f"{TRANSIT_MOUNT}/keys/{kek_name(tenant_id)}"
    rights = vault.capabilities([key, f"{key}/config"])
    if not {"delete", "root"} & set(rights.get(key, [])) or not {"update", "root"} & set(
        rights.get(f"{key}/config", [])
    ):
        raise VaultError(
            "vault_denied",
            "these credentials of the key management service may not delete a tenant's key",
            next_step="use those of the principal meetbot-eraser that `python -m meetbot.vault.setup` makes",
        )


def _audit_devices(vault: RightsSource) -> list[str]:
    try:
        return vault.audit_devices()
    except VaultError as error:
        if error.code != "vault_denied":
            raise
        raise VaultError(
            "vault_audit_unseen",
            "the credentials may not see whether the key management service has an audit device",
            next_step="bring the policies up to date: python -m meetbot.vault.setup",
        ) from None
