"""Delete rows that are past their time.

The database's row policies define which rows those are; no other row is visible here.
"""

from __future__ import annotations

from sqlalchemy import text

from meetbot.storage.database import Database

TABLES = (
    "account_calendar",
    "calendar_event",
    "connect_attempt",
    "idempotency_record",
    "backend_report",
    "waiting_user",
    "admin_consent",
    "console_session",
)

_BATCH = 1000
_MAX_BATCHES = 100


def delete_expired(database: Database) -> dict[str, int]:
    """Delete expired rows, at most a hundred thousand of each table. Returns how many, by table."""
    return {table: _delete_from(database, table) for table in TABLES}


def _delete_from(database: Database, table: str) -> int:
    statement = text(f"delete from {table} where ctid = any(array(select ctid from {table} limit :batch))")  # noqa: S608 - our own names
    deleted = 0
    for _ in range(_MAX_BATCHES):
        with database.housekeeping() as session:
            batch = session.execute(statement, {"batch": _BATCH}).rowcount  # type: ignore[attr-defined]
        deleted += batch
        if batch < _BATCH:
            break
    return deleted
