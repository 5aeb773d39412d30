"""The logins of the database: one for each kind of process, one for people who look. Pure.

The owner has the schema and runs the operator's commands; no process of the service logs in as it. Its name is free.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

OWNER = "meetbot"


class Role(StrEnum):
    """The logins other than the owner's."""

    API = "meetbot_api"
    WORKER = "meetbot_worker"
    # What the worker's loops become for the length of a transaction. It may also log in by itself.
    RELAY = "meetbot_relay"
    DBA = "meetbot_dba"


# May take the relay's role, which sees something of every tenant. The api may not.
RELAYING = (OWNER, Role.WORKER)
LOGINS = (OWNER, *Role)


def login_attributes() -> str:
    """Return what each of our logins is: not above row level security, no maker of roles."""
    return "LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION"


def creation() -> Iterator[str]:
    """Return the statements that make all of them, the owner too, for a superuser to run."""
    for login in LOGINS:
        yield f"CREATE ROLE {login} {login_attributes()}"
    yield from memberships()


def memberships() -> Iterator[str]:
    """Return the statements that let the loops take the relay's role.

    INHERIT FALSE: its policies hold only while the role is taken, not for everything that the login does.
    """
    for login in RELAYING:
        yield f"GRANT {Role.RELAY} TO {login} WITH INHERIT FALSE, SET TRUE, ADMIN FALSE"
