"""Bring a database's schema to this release (`meetbot db upgrade`)."""

from __future__ import annotations

from importlib import resources

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from meetbot.storage.apply_grants import are_in
from meetbot.storage.database import psycopg_url


def upgrade(database_url: str, *, owner_alone: bool = False) -> None:
    """Run the pending migrations and apply the grants.

    One process at a time does so (PostgreSQL advisory lock). If the server lacks one of our roles, raises `ConfigurationError`,
    or with ``owner_alone`` lets the owner be all of them: for development on a server of the user's own.
    """
    config = _config(database_url)
    config.attributes["owner_alone"] = owner_alone
    command.upgrade(config, "head")


def pending(database_url: str) -> bool:
    """Return whether the database is behind this release."""
    head = ScriptDirectory.from_config(_config(database_url)).get_current_head()
    engine = create_engine(psycopg_url(database_url))
    try:
        with engine.connect() as connection:
            exists = connection.scalar(text("select to_regclass('alembic_version') is not null"))
            current = connection.scalar(text("select version_num from alembic_version")) if exists else None
            granted = exists and are_in(connection, head or "")
    finally:
        engine.dispose()
    return bool(current != head or not granted)


def _config(database_url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(resources.files("meetbot.storage") / "migrations"))
    config.attributes["database_url"] = psycopg_url(database_url)
    return config
