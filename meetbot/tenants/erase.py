"""Erasing a tenant: its calendar users, then all of its rows, and its key last.

And the ledger's replay.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from meetbot.domain.erasure import ErasedKind, ErasureState
from meetbot.storage.database import Database
from meetbot.storage.erasure_rows import delete_calendar_user, delete_tenant, record_erased
from meetbot.storage.erasures import begin_erasure
from meetbot.storage.tables import CalendarUser, Erasure, ErasureLedger
from meetbot.vault.client import Vault

_POLL_SECONDS = 1.0


def disconnect_all(database: Database, tenant_id: str, *, now: datetime) -> int:
    """Begin the erasure of every calendar user of the tenant; return how many there are.

    Workers carry them out.
    """
    with database.transaction(tenant_id) as session:
        ids = session.exec(select(CalendarUser.id).where(CalendarUser.tenant_id == tenant_id)).all()
    for calendar_user_id in ids:
        with database.transaction(tenant_id) as session:
            begin_erasure(session, tenant_id, calendar_user_id, now=now)
    return len(ids)


def running_erasures_of(database: Database, tenant_id: str) -> int:
    """Return how many erasures of the tenant's calendar users are not finished."""
    with database.transaction(tenant_id) as session:
        return len(_running(session, tenant_id))


def erase_tenant(
    database: Database, vault: Vault, tenant_id: str, *, clock: Callable[[], datetime], wait_seconds: float
) -> dict[str, int]:
    """Erase the tenant with all its calendar users; return the rows deleted at the end, by table.

    Workers get so long to withdraw the bots and revoke the grants; then the rest goes all the same, kept tokens included.
    """
    disconnect_all(database, tenant_id, now=clock())
    deadline = clock() + timedelta(seconds=wait_seconds)
    while running_erasures_of(database, tenant_id) and clock() < deadline:
        time.sleep(_POLL_SECONDS)
    return destroy_tenant(database, vault, tenant_id, now=clock())


def destroy_tenant(database: Database, vault: Vault, tenant_id: str, *, now: datetime) -> dict[str, int]:
    """Delete all rows of the tenant, then destroy its key; return how many rows there were, by table.

    From then on no copy of the rows can be opened, wherever it is kept. Safe to repeat. Raises `VaultError`.
    """
    with database.transaction(tenant_id) as session:
        counts = delete_tenant(session, tenant_id)
        record_erased(session, tenant_id, tenant_id, ErasedKind.TENANT, now=now)
    vault.destroy_tenant_key(tenant_id)
    return counts


def replay_ledger(database: Database, vault: Vault, *, clock: Callable[[], datetime]) -> int:
    """Erase again what a restored database has brought back; return how many entries there are.

    The ledger must be newer than the restored rows: restore all tables but this one, or restore this one from its last copy.
    """
    with database.replay() as session:
        entries = session.exec(select(ErasureLedger).order_by(col(ErasureLedger.erased_at))).all()
    for entry in entries:
        if entry.kind is ErasedKind.TENANT:
            destroy_tenant(database, vault, entry.tenant_id, now=clock())
        else:
            with database.transaction(entry.tenant_id) as session:
                delete_calendar_user(session, entry.tenant_id, entry.subject_id)
    return len(entries)


def _running(session: Session, tenant_id: str) -> list[str]:
    return list(
        session.exec(select(Erasure.id).where(Erasure.tenant_id == tenant_id, Erasure.state == ErasureState.RUNNING))
    )
