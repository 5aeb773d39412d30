"""The oldest PostgreSQL that our statements run on."""

from __future__ import annotations

from sqlalchemy import Connection, text

from meetbot.errors import ConfigurationError

OLDEST = 18
"""The first that returns a row as it was before a change, which histories are written from."""


def refuse_old_server(connection: Connection) -> None:
    """Raise `ConfigurationError` if the server is older than our statements need."""
    refuse_older(int(connection.execute(text("show server_version_num")).scalar_one()) // 10_000)


def refuse_older(version: int) -> None:
    """Raise `ConfigurationError` for a major version that is too old."""
    if version < OLDEST:
        raise ConfigurationError(
            "database_too_old",
            f"the database server is PostgreSQL {version}, and {OLDEST} or newer is needed",
            next_step=f"upgrade the server to PostgreSQL {OLDEST}",
        )
