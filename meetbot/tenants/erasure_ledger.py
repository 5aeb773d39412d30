"""The ledger of erasures: its copy in a file, and its replay after a restore.

A restore brings the ledger back as old as everything else, so that a copy is kept where no restore reaches it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints, ValidationError

from meetbot.domain.erasure import ErasedKind, ErasureState
from meetbot.errors import InvalidInput
from meetbot.storage.database import Database
from meetbot.storage.erasure_ledger import LedgerEntry, ledger_entries, record_erased
from meetbot.storage.erasure_rows import delete_calendar_user
from meetbot.storage.erasures import erasure_of
from meetbot.storage.tables import CalendarUser
from meetbot.storage.waiting_erasure import forget_waiting
from meetbot.tenants.erase import destroy_tenant
from meetbot.vault.client import Vault

_MAX_FILE_BYTES = 256 * 1024 * 1024

_Id = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,4}_[a-z0-9]{1,64}$")]


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tenant_id: _Id
    subject_id: _Id
    kind: ErasedKind
    erased_at: AwareDatetime


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay found: the ledger's entries, and what of it the restore had brought back."""

    entries: int
    calendar_users: int
    tenants: int


def export_ledger(database: Database, path: Path) -> int:
    """Add the ledger to the file, and return how many entries it has now.

    Entries that only the file has stay: a database that was just restored knows less than it. Raises `InvalidInput` for a file
    that is no ledger.
    """
    entries = _together(read_ledger(path) if path.exists() else (), _stored(database))
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(f"{_line(entry)}\n" for entry in entries)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    return len(entries)


def read_ledger(path: Path) -> list[LedgerEntry]:
    """Return the entries of an exported ledger. Raises `InvalidInput` naming the first bad line."""
    if path.stat().st_size > _MAX_FILE_BYTES:
        raise InvalidInput("ledger_too_large", f"{path} is larger than {_MAX_FILE_BYTES} bytes")
    with path.open("rb") as file:
        return [_parsed(path, number, line) for number, line in enumerate(file, start=1) if line.strip()]


def replay_ledger(database: Database, vault: Vault, copy: Iterable[LedgerEntry] = ()) -> Replayed:
    """Erase again what a restored database has brought back, by its own ledger and a copy of it.

    What the copy alone knows is written into the ledger. Safe to repeat. Raises `VaultError`.
    """
    entries = _together(copy, _stored(database))
    users = tenants = 0
    for entry in entries:
        if entry.kind is ErasedKind.TENANT:
            tenants += destroy_tenant(database, vault, entry.tenant_id, now=entry.erased_at)["tenant"]
        else:
            users += _erase_again(database, entry)
    return Replayed(len(entries), users, tenants)


def _erase_again(database: Database, entry: LedgerEntry) -> bool:
    with database.transaction(entry.tenant_id) as session:
        record_erased(session, entry)
        user = session.get(CalendarUser, (entry.tenant_id, entry.subject_id), with_for_update=True)
        if user is None:
            return forget_waiting(session, entry.tenant_id, entry.subject_id)
        running = erasure_of(session, entry.tenant_id, entry.subject_id)
        if running is not None and running.state is ErasureState.RUNNING:
            # Its workflow goes on, and withdraws the bots first.
            return False
        delete_calendar_user(session, entry.tenant_id, entry.subject_id)
        return True


def _stored(database: Database) -> list[LedgerEntry]:
    with database.replay() as session:
        return ledger_entries(session)


def _together(*ledgers: Iterable[LedgerEntry]) -> list[LedgerEntry]:
    """Return each entry once, as the first ledger that has it, the oldest first."""
    known: dict[tuple[str, str], LedgerEntry] = {}
    for ledger in ledgers:
        for entry in ledger:
            known.setdefault((entry.tenant_id, entry.subject_id), entry)
    return sorted(known.values(), key=lambda entry: (entry.erased_at, entry.subject_id))


def _line(entry: LedgerEntry) -> str:
    return _Line(
        tenant_id=entry.tenant_id, subject_id=entry.subject_id, kind=entry.kind, erased_at=entry.erased_at
    ).model_dump_json()


def _parsed(path: Path, number: int, line: bytes) -> LedgerEntry:
    try:
        row = _Line.model_validate_json(line)
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"]) or "the line"
        raise InvalidInput("ledger_unreadable", f"{path}, line {number}: {place} is not as exported") from None
    return LedgerEntry(row.tenant_id, row.subject_id, row.kind, row.erased_at)
