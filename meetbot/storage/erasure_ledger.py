"""The ledger of erasures as rows: which calendar user or tenant is erased, and from when on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session, col, select

from meetbot.domain.erasure import ErasedKind
from meetbot.storage.tables import ErasureLedger


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One erasure: ids and the instant from which on it holds."""

    tenant_id: str
    subject_id: str
    kind: ErasedKind
    erased_at: datetime


_RECORD = text(
    """
    insert into erasure_ledger (tenant_id, subject_id, kind, erased_at)
    values (:tenant_id, :subject_id, :kind, :erased_at)
    on conflict (tenant_id, subject_id) do nothing
    """
)


def record_erased(session: Session, entry: LedgerEntry) -> None:
    """Write an erasure into the ledger; the first instant stays."""
    session.execute(
        _RECORD,
        {
            "tenant_id": entry.tenant_id,
            "subject_id": entry.subject_id,
            "kind": str(entry.kind),
            "erased_at": entry.erased_at,
        },
    )


def ledger_entries(session: Session) -> list[LedgerEntry]:
    """Return all entries, the oldest first. Call it in `Database.replay`."""
    rows = session.exec(select(ErasureLedger).order_by(col(ErasureLedger.erased_at), col(ErasureLedger.subject_id)))
    return [LedgerEntry(row.tenant_id, row.subject_id, ErasedKind(row.kind), row.erased_at) for row in rows]


_IS_ERASED = text("select 1 from erasure_ledger where tenant_id = :tenant_id and subject_id = :tenant_id")


def is_tenant_erased(session: Session, tenant_id: str) -> bool:
    """Return whether the ledger holds this tenant."""
    return session.execute(_IS_ERASED, {"tenant_id": tenant_id}).first() is not None
