"""Sessions of the console as rows."""

from __future__ import annotations

from sqlmodel import Session

from meetbot.storage.tables import ConsoleSession


def add_session(session: Session, row: ConsoleSession) -> None:
    """Store a new session of the console."""
    session.add(row)


def find_session(session: Session, tenant_id: str, session_id: str) -> ConsoleSession | None:
    """Return the session of the console, an expired one too."""
    return session.get(ConsoleSession, (tenant_id, session_id))


def remove_session(session: Session, tenant_id: str, session_id: str) -> None:
    """Remove the session of the console, if there is one."""
    row = find_session(session, tenant_id, session_id)
    if row is not None:
        session.delete(row)
