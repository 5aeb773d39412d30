"""Rotating the tenants' keys while everything runs.

A new version is made, every data key is moved to it, and the old versions are destroyed. Between the
steps both versions decrypt, so no secret fails to open. Each step may be repeated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from meetbot.clock import utc_now
from meetbot.errors import VaultError
from meetbot.storage.database import Database
from meetbot.storage.sealed_secrets import (
    SEALED_PLACES,
    SealedPlace,
    StoredKey,
    count_outdated,
    move_key,
    outdated_keys,
)
from meetbot.storage.tenants import list_tenants
from meetbot.vault import key_versions
from meetbot.vault.client import Vault
from meetbot.vault.key_versions import KeyVersions

BATCH = 200
SETTLING = timedelta(seconds=60)
"""The longest from when a data key is made to when its secret is stored."""


class RotationStep(StrEnum):
    """Make a new version, move the data keys to it, destroy the older versions."""

    ROTATE = "rotate"
    REWRAP = "rewrap"
    TRIM = "trim"


@dataclass(frozen=True, slots=True)
class KeyReport:
    """The state of a tenant's key after a step.

    ``rewrapped`` data keys were moved, ``unreadable`` ones cannot be, and ``outdated`` ones are left with an older version.
    ``failure_code`` and ``next_step`` say why the step was not completed.
    """

    tenant_id: str
    newest_version: int = 0
    oldest_version: int = 0
    rewrapped: int = 0
    unreadable: int = 0
    outdated: int = 0
    failure_code: str | None = None
    next_step: str | None = None


class KeyRotation:
    """The steps of rotating a key. The vault's principal needs the rights of the step."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        *,
        settling: timedelta = SETTLING,
        clock: Callable[[], datetime] = utc_now,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._database = database
        self._vault = vault
        self._settling = settling
        self._clock = clock
        self._pause = pause

    def run(self, step: RotationStep, tenant_id: str | None) -> Iterator[KeyReport]:
        """Take the step for a tenant, or for each. A failure is in the report and stops no other."""
        steps = {RotationStep.ROTATE: self.rotate, RotationStep.REWRAP: self.rewrap, RotationStep.TRIM: self.trim}
        for each in [tenant_id] if tenant_id is not None else self._tenant_ids():
            try:
                yield steps[step](each)
            except ValueError:
                yield KeyReport(each, failure_code="invalid_tenant_id", next_step="give the id that ten_… begins")
            except VaultError as error:
                yield KeyReport(each, failure_code=error.code, next_step=error.next_step or "run it again later")

    def rotate(self, tenant_id: str) -> KeyReport:
        """Make a new version, by which new secrets are sealed from now on."""
        return self._report(tenant_id, key_versions.add_version(self._vault, tenant_id))

    def rewrap(self, tenant_id: str) -> KeyReport:
        """Move every data key of the tenant to the newest version, in batches."""
        versions = key_versions.read_versions(self._vault, tenant_id)
        rewrapped = unreadable = 0
        for place in SEALED_PLACES:
            for batch in self._batches(tenant_id, place, below=versions.newest):
                moved, lost = self._move(tenant_id, place, batch)
                rewrapped, unreadable = rewrapped + moved, unreadable + lost
        return self._report(tenant_id, versions, rewrapped=rewrapped, unreadable=unreadable)

    def trim(self, tenant_id: str) -> KeyReport:
        """Destroy all versions but the newest, unless a stored data key still needs one.

        An old copy of the database opens nothing afterwards. Raises `VaultError` ``rows_outdated``.
        """
        versions = key_versions.read_versions(self._vault, tenant_id)
        self._settle(versions)
        self._refuse_outdated(tenant_id, versions)
        key_versions.retire_versions(self._vault, tenant_id, below=versions.newest)
        key_versions.destroy_versions(self._vault, tenant_id, below=versions.newest)
        return self._report(tenant_id, key_versions.read_versions(self._vault, tenant_id))

    def _settle(self, versions: KeyVersions) -> None:
        """Wait until no secret can be under way that was sealed before the newest version was made."""
        if versions.oldest == versions.newest:
            return
        left = versions.newest_since + self._settling - self._clock()
        if left > timedelta():
            self._pause(min(left, self._settling).total_seconds())

    def _refuse_outdated(self, tenant_id: str, versions: KeyVersions) -> None:
        outdated = self._outdated(tenant_id, below=versions.newest)
        if outdated:
            raise VaultError(
                "rows_outdated",
                f"{outdated} secrets are still sealed by an older version of the key",
                next_step=f"run `meetbot vault rewrap {tenant_id}` first",
            )

    def _batches(self, tenant_id: str, place: SealedPlace, *, below: int) -> Iterator[list[StoredKey]]:
        last = None
        while True:
            with self._database.transaction(tenant_id) as session:
                batch = outdated_keys(session, place, tenant_id, below=below, after=last, limit=BATCH)
            if not batch:
                return
            yield batch
            last = batch[-1]

    def _move(self, tenant_id: str, place: SealedPlace, batch: list[StoredKey]) -> tuple[int, int]:
        """Return how many were moved, and how many cannot be. One that changed meanwhile is neither."""
        wrapped = key_versions.rewrap_keys(self._vault, tenant_id, [key.wrapped_key for key in batch])
        moved = 0
        for key, anew in zip(batch, wrapped, strict=True):
            if anew is None:
                continue
            # A transaction for each: whoever stores a new token must not wait for a whole batch.
            with self._database.transaction(tenant_id) as session:
                moved += move_key(session, place, tenant_id, key, wrapped_key=anew.wrapped, version=anew.version)
        return moved, wrapped.count(None)

    def _outdated(self, tenant_id: str, *, below: int) -> int:
        with self._database.transaction(tenant_id) as session:
            return count_outdated(session, tenant_id, below=below)

    def _report(self, tenant_id: str, versions: KeyVersions, *, rewrapped: int = 0, unreadable: int = 0) -> KeyReport:
        outdated = self._outdated(tenant_id, below=versions.newest)
        return KeyReport(tenant_id, versions.newest, versions.oldest, rewrapped, unreadable, outdated)

    def _tenant_ids(self) -> Iterator[str]:
        last = ""
        while True:
            with self._database.tenant_directory() as session:
                page = [tenant.id for tenant in list_tenants(session, after=last, limit=BATCH)]
            if not page:
                return
            yield from page
            last = page[-1]
