"""Erasing a tenant: closed first, then its calendar users, its rows, and its key last."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import select

from meetbot.domain.audit import AuditFact
from meetbot.domain.erasure import ErasedKind
from meetbot.errors import InvalidInput, MeetbotError
from meetbot.storage.audit_log import append
from meetbot.storage.database import Database
from meetbot.storage.erasure_ledger import LedgerEntry, is_tenant_erased, record_erased
from meetbot.storage.erasure_rows import close_tenant, count_unfinished, delete_tenant
from meetbot.storage.erasures import begin_erasure
from meetbot.storage.tables import CalendarUser
from meetbot.storage.tenants import find_tenant, lock_tenant
from meetbot.tenants.api_keys import OPERATOR
from meetbot.vault.client import Vault
from meetbot.vault.rights import require_erasers_rights

_POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What workers still have to do for a tenant: grants to be revoked, bots to be recalled."""

    erasures: int
    live_bots: int

    def __bool__(self) -> bool:
        return self.erasures > 0 or self.live_bots > 0


class TenantNotEmpty(MeetbotError):
    """Workers have not withdrawn all of the tenant's bots and grants in the given time."""


def disconnect_all(database: Database, tenant_id: str, *, now: datetime) -> int:
    """Close the tenant, begin the erasure of each calendar user; return how many there are.

    Its API keys end and its open consents are void, so that nobody new is connected. Workers carry the erasures out.
    """
    with database.transaction(tenant_id) as session:
        tenant = lock_tenant(session, tenant_id)
        close_tenant(session, tenant_id, now=now)
        ids = session.exec(select(CalendarUser.id).where(CalendarUser.tenant_id == tenant_id)).all()
        if tenant is not None:
            append(session, tenant_id, AuditFact(now, OPERATOR, "tenant.erasure_asked", tenant_id))
    for calendar_user_id in ids:
        with database.transaction(tenant_id) as session:
            begin_erasure(session, tenant_id, calendar_user_id, now=now)
    return len(ids)


def unfinished_of(database: Database, tenant_id: str) -> Unfinished:
    """Return what workers still have to do before nothing of the tenant is left outside."""
    with database.transaction(tenant_id) as session:
        return Unfinished(*count_unfinished(session, tenant_id))


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for bots and grants, and whether to go on without them then."""

    seconds: float
    is_forced: bool = False


def erase_tenant(
    database: Database, vault: Vault, tenant_id: str, *, clock: Callable[[], datetime], patience: Patience
) -> dict[str, int]:
    """Erase the tenant with all its calendar users; return the rows deleted, by table.

    Safe to repeat, also if it broke off before the key was destroyed. Raises `InvalidInput` for a tenant that never was,
    `TenantNotEmpty` if bots or grants are left when the patience ends, and `VaultError`.
    """
    _require_known(database, tenant_id)
    require_erasers_rights(vault, tenant_id)
    disconnect_all(database, tenant_id, now=clock())
    deadline = clock() + timedelta(seconds=patience.seconds)
    while (left := unfinished_of(database, tenant_id)) and clock() < deadline:
        time.sleep(_POLL_SECONDS)
    if left and not patience.is_forced:
        raise TenantNotEmpty(
            "tenant_not_empty",
            f"the tenant is closed, but {left.erasures} erasures run and {left.live_bots} bots live; nothing else was deleted",
            next_step="see that workers run and ask again, or say --force to delete the rest without them",
        )
    return destroy_tenant(database, vault, tenant_id, now=clock())


def destroy_tenant(database: Database, vault: Vault, tenant_id: str, *, now: datetime) -> dict[str, int]:
    """Delete all rows of the tenant, then destroy its key.

    Return how many rows there were, by table. From then on no copy of the rows can be opened, wherever it is kept. Safe to
    repeat. Raises `VaultError`.
    """
    counts = _delete_rows(database, tenant_id, now)
    vault.destroy_tenant_key(tenant_id)
    # A request that was under way may have written once more meanwhile.
    late = _delete_rows(database, tenant_id, now)
    return {table: counts[table] + late[table] for table in counts}


def _delete_rows(database: Database, tenant_id: str, now: datetime) -> dict[str, int]:
    with database.transaction(tenant_id) as session:
        counts = delete_tenant(session, tenant_id)
        record_erased(session, LedgerEntry(tenant_id, tenant_id, ErasedKind.TENANT, now))
    return counts


def _require_known(database: Database, tenant_id: str) -> None:
    with database.transaction(tenant_id) as session:
        if find_tenant(session, tenant_id) is None and not is_tenant_erased(session, tenant_id):
            raise InvalidInput("tenant_unknown", f"there is no tenant {tenant_id!r}")
