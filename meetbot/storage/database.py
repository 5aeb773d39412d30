"""Connections and transactions. A transaction is one tenant's, and the database enforces it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from meetbot.errors import ConfigurationError
from meetbot.storage.roles import Role

_POOL_SIZE = 20
_POOL_OVERFLOW = 20
_CHECKOUT_TIMEOUT_SECONDS = 10
_STATEMENT_TIMEOUT_MILLISECONDS = 30_000
_LOCK_TIMEOUT_MILLISECONDS = 10_000


_IS_FREE_OF_POLICIES = text("select rolsuper or rolbypassrls from pg_roles where rolname = current_user")


def _dump_json(value: Any) -> str:
    return orjson.dumps(value).decode("utf-8")


def psycopg_url(database_url: str) -> str:
    """Return the URL with SQLAlchemy's psycopg 3 dialect named, in whatever form it was given."""
    scheme, separator, rest = database_url.partition("://")
    return f"postgresql+psycopg://{rest}" if separator and scheme.startswith("postgres") else database_url


def create_database(database_url: str) -> Database:
    """Return the database behind this URL. Nothing is connected before it is first used."""
    engine = create_engine(
        psycopg_url(database_url),
        pool_size=_POOL_SIZE,
        max_overflow=_POOL_OVERFLOW,
        pool_timeout=_CHECKOUT_TIMEOUT_SECONDS,
        pool_pre_ping=False,
        pool_recycle=1800,
        # An error must not quote what was written: it may reach a log.
        hide_parameters=True,
        json_serializer=_dump_json,
        json_deserializer=orjson.loads,
        connect_args={
            "connect_timeout": 5,
            "application_name": "meetbot-calendar",
            "options": f"-c statement_timeout={_STATEMENT_TIMEOUT_MILLISECONDS} "
            f"-c lock_timeout={_LOCK_TIMEOUT_MILLISECONDS} -c timezone=UTC "
            f"-c idle_in_transaction_session_timeout={_STATEMENT_TIMEOUT_MILLISECONDS}",
        },
    )
    return Database(engine)


def refuse_unbound_role(database: Database, login: Role | None = None) -> None:
    """Raise `ConfigurationError` for a role that policies do not bind, or that is not ``login``.

    A database that does not answer is no reason to refuse here: each new connection is asked, and refused then.
    """
    with contextlib.suppress(SQLAlchemyError):
        database.check(bound_by_policies=True)
        with database.engine.connect() as connection:
            _refuse_login(login, connection.execute(text("select current_user")).scalar_one())
    event.listen(database.engine, "connect", functools.partial(_refuse_connection, login))


def _refuse_connection(login: Role | None, connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        (is_free,) = cursor.execute(str(_IS_FREE_OF_POLICIES)).fetchone()
    connection.rollback()
    if is_free:
        connection.close()
        raise _unsafe_role()
    try:
        _refuse_login(login, connection.info.user)
    except ConfigurationError:
        connection.close()
        raise


def _refuse_login(wanted: Role | None, found: str) -> None:
    if wanted is not None and found != wanted:
        raise ConfigurationError(
            "database_login_wrong",
            f"this process is logged in to the database as {found}, which may do what it must not",
            next_step=f"have its DATABASE_URL name {wanted}",
        )


def _unsafe_role() -> ConfigurationError:
    return ConfigurationError(
        "database_role_unsafe",
        "the database role is a superuser or has BYPASSRLS, so that nothing keeps tenants apart",
        next_step="have DATABASE_URL name this process's own role (`meetbot db roles`)",
    )


class Database:
    """One engine for the process; every unit of work is a transaction of one tenant."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @contextmanager
    def transaction(self, tenant_id: str) -> Iterator[Session]:
        """Open a transaction that sees and writes only this tenant's rows.

        It commits on leaving and rolls back on an error.
        """
        with self._transaction("app.tenant_id", tenant_id) as session:
            yield session

    @contextmanager
    def key_lookup(self, public_id: str) -> Iterator[Session]:
        """Open a transaction that sees one API key's row: the tenant is not known before it is read."""
        with self._transaction("app.api_key_id", public_id) as session:
            yield session

    @contextmanager
    def dispatch_lookup(self, external_id: str) -> Iterator[Session]:
        """Open a transaction that sees one dispatch's row.

        A backend's report names only the external id; the tenant is not known before the row is read.
        """
        with self._transaction("app.external_id", external_id) as session:
            yield session

    @contextmanager
    def subject_lookup(self, subject: str) -> Iterator[Session]:
        """Open a transaction that sees the connections of one provider account, of all tenants.

        Only whether there are any may leave it: revoking a grant ends all of them.
        """
        with self._transaction("app.subject", subject) as session:
            yield session

    @contextmanager
    def channel_lookup(self, channel_ids: Collection[str]) -> Iterator[Session]:
        """Open a transaction that sees the rows of these push channels, of all tenants.

        A provider's notification names only them; the tenant is not known before they are read.
        """
        with self._transaction("app.push_channels", ",".join(channel_ids)) as session:
            yield session

    @contextmanager
    def replay(self) -> Iterator[Session]:
        """Open a transaction that sees the erasure ledger of all tenants."""
        with self._transaction("app.replay", "on") as session:
            yield session

    @contextmanager
    def relay(self) -> Iterator[Session]:
        """Open a transaction that sees what waits for a workflow, of all tenants.

        It is the relay's: only a login that may take that role can open it.
        """
        with self._transaction("app.relay", "on") as session:
            session.execute(_BECOME_RELAY, {"relay": Role.RELAY})
            yield session

    @contextmanager
    def housekeeping(self) -> Iterator[Session]:
        """Open a transaction that sees, of all tenants, only the rows that are past their time."""
        with self._transaction("app.housekeeping", "on") as session:
            session.execute(_BECOME_RELAY, {"relay": Role.RELAY})
            yield session

    @contextmanager
    def tenant_directory(self) -> Iterator[Session]:
        """Open the owner's transaction that sees the row of every tenant, and nothing else of any."""
        with self._transaction("app.tenant_directory", "on") as session:
            yield session

    def check(self, *, bound_by_policies: bool = False) -> None:
        """Return if the database answers. Raises SQLAlchemy's ``OperationalError``.

        With `bound_by_policies`, raises `ConfigurationError` for a role that row level security does not bind.
        """
        with self.engine.connect() as connection:
            is_free = connection.execute(_IS_FREE_OF_POLICIES).scalar_one()
        if is_free and bound_by_policies:
            raise _unsafe_role()

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def _transaction(self, setting: str, value: str) -> Iterator[Session]:
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            session.execute(_SET_LOCAL, {"setting": setting, "value": value})
            yield session


_SET_LOCAL = text("select set_config(:setting, :value, true)")
# Until the end of the transaction. A development server without our roles has none to become: the owner is all of them.
_BECOME_RELAY = text("select set_config('role', rolname, true) from pg_roles where rolname = :relay")
