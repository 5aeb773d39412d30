"""Deleting what is past its time. What that is, the database's policies say; nothing else can be reached from here."""

from __future__ import annotations

from sqlalchemy import text

from meetbot.storage.database import Database

TABLES = ("calendar_event", "connect_attempt", "idempotency_record", "backend_report", "webhook_delivery")

_BATCH = 1000
_MAX_BATCHES = 100


def delete_expired(database: Database) -> dict[str, int]:
    """How many rows were deleted from each table; at most a hundred thousand a table and call."""
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
