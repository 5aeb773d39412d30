"""Alembic's entry point: one connection, one transaction, one migrator at a time."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine, text
from sqlmodel import SQLModel

from meetbot.storage import tables  # noqa: F401 - registers the tables
from meetbot.storage.apply_grants import apply_grants
from meetbot.storage.server_version import refuse_old_server

_MIGRATION_LOCK = 7_263_541_001


def run() -> None:
    """Run the pending migrations."""
    engine = create_engine(context.config.attributes["database_url"])
    try:
        with engine.begin() as connection:
            connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            refuse_old_server(connection)
            context.configure(connection=connection, target_metadata=SQLModel.metadata)
            context.run_migrations()
            owner_alone = bool(context.config.attributes.get("owner_alone"))
            head = str(context.get_head_revision())
            # A schema that is brought only part of the way lacks columns that the list names.
            if context.get_context().get_current_revision() == head:
                apply_grants(connection, head, owner_alone=owner_alone)
    finally:
        engine.dispose()


run()
