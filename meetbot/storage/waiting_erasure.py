"""Erasing somebody who waits for an administrator.

There is no grant to revoke and no bot to withdraw, so that it is done at once, in one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

from meetbot.domain.erasure import ErasedKind, ErasureState, ErasureStep, Revocation
from meetbot.domain.ids import new_id
from meetbot.storage.erasure_ledger import LedgerEntry, record_erased
from meetbot.storage.tables import Erasure, WaitingUser
from meetbot.storage.waiting_users import WaitingKey, lock_waiting

_STEPS = (ErasureStep.DISCONNECTED, ErasureStep.ROWS_DELETED, ErasureStep.FINISHED)
_STATEMENTS = {
    "connect_attempt": text(
        """
        delete from connect_attempt
         where tenant_id = :tenant_id
           and (waiting_user_id = :id or (customer_user_id = :customer_user_id and provider = :provider
                                          and reconnect_calendar_user_id is null))
        """
    ),
    "webhook_delivery": text(
        """
        delete from webhook_delivery
         where tenant_id = :tenant_id and event_type like 'calendar\\_user.%' and strpos(data::text, :id) > 0
        """
    ),
    "waiting_user": text("delete from waiting_user where tenant_id = :tenant_id and id = :id"),
}


@dataclass(frozen=True, slots=True)
class ErasedWaiting:
    """The finished certificate, and the row as it was."""

    erasure: Erasure
    waiting: WaitingUser


def erase_waiting(session: Session, tenant_id: str, waiting_id: str, *, now: datetime) -> ErasedWaiting | None:
    """Delete everything of somebody who waits; None if nobody waits by this id."""
    found = session.get(WaitingUser, (tenant_id, waiting_id))
    if found is None:
        return None
    key = WaitingKey(tenant_id, found.provider, found.customer_user_id)
    bounds = {
        "tenant_id": tenant_id,
        "id": waiting_id,
        "customer_user_id": key.customer_user_id,
        "provider": key.provider,
    }
    # The attempts before the row, as a consent that is being stored locks them.
    counts = {"connect_attempt": _count(session, "connect_attempt", bounds)}
    row = next((row for row in lock_waiting(session, key) if row.id == waiting_id), None)
    if row is None:
        return None
    session.expunge(row)
    counts |= {name: _count(session, name, bounds) for name in ("webhook_delivery", "waiting_user")}
    erasure = Erasure(
        tenant_id=tenant_id,
        id=new_id("era"),
        calendar_user_id=waiting_id,
        provider=key.provider,
        state=ErasureState.COMPLETED,
        # Nothing was ever granted.
        revocation=Revocation.ALREADY_ENDED,
        steps={str(step): now.isoformat() for step in _STEPS},
        counts=counts,
        requested_at=now,
        finished_at=now,
    )
    session.add(erasure)
    session.flush()
    record_erased(session, LedgerEntry(tenant_id, waiting_id, ErasedKind.CALENDAR_USER, now))
    return ErasedWaiting(erasure, row)


def forget_waiting(session: Session, tenant_id: str, waiting_id: str) -> bool:
    """Delete the row of somebody whom a restore has brought back; return whether there was one."""
    return bool(_count(session, "waiting_user", {"tenant_id": tenant_id, "id": waiting_id}))


def _count(session: Session, table: str, bounds: Mapping[str, str]) -> int:
    return int(session.execute(_STATEMENTS[table], bounds).rowcount)  # type: ignore[attr-defined]
