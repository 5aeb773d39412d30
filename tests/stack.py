"""The embedded servers as pytest fixtures: PostgreSQL, OpenBao and Temporal.

PostgreSQL and OpenBao run once per test process. Import the fixtures into a ``conftest.py``; each server starts when the
first test asks for it.
"""

from __future__ import annotations

import contextlib
import itertools
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from meetbot.dev.environment import free_port
from meetbot.dev.openbao import OpenBaoServer, make_openbao_ready, start_openbao
from meetbot.dev.postgres import (
    WITHOUT_DURABILITY,
    PostgresServer,
    create_database,
    database_url,
    make_postgres_ready,
    start_postgres,
)
from meetbot.dev.process import stop
from meetbot.dev.temporal import TemporalPorts, make_temporal_ready, start_temporal
from meetbot.storage.database import Database
from meetbot.storage.database import create_database as connect_database
from meetbot.storage.roles import Role
from meetbot.vault.setup import VaultCredentials, provision

TEMPLATE_DATABASE = "meetbot_template"
_database_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class VaultService:
    """A provisioned OpenBao: its address, the root token, and one token per principal."""

    address: str
    root_token: str
    tokens: VaultCredentials


@dataclass(frozen=True, slots=True)
class OwnVault:
    """An OpenBao of one test's own."""

    service: VaultService
    server: OpenBaoServer

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the process: its port still takes connections, and nothing is ever answered."""
        self.server.child.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.server.child.process.send_signal(signal.SIGCONT)


@pytest.fixture(scope="session")
def stack_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stack")


@pytest.fixture(scope="session")
def postgres_server(stack_directory: Path) -> Iterator[PostgresServer]:
    """A PostgreSQL without durability, with an empty database for the application's role."""
    with running_postgres(stack_directory) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres_server: PostgresServer) -> str:
    """One migrated database for the whole session, for tests that only read or that clean up."""
    from meetbot.storage.migrate import upgrade

    upgrade(postgres_server.url)
    return postgres_server.url


@pytest.fixture(scope="session")
def migrated_template(postgres_server: PostgresServer) -> str:
    from meetbot.storage.migrate import upgrade

    return build_template(postgres_server, upgrade)


@pytest.fixture
def fresh_database(postgres_server: PostgresServer, migrated_template: str) -> Iterator[str]:
    """The URL of a migrated, empty database for one test; as a copy it is cheap."""
    with copied_database(postgres_server, migrated_template) as url:
        yield url


@pytest.fixture
def login(postgres_server: PostgresServer, fresh_database: str) -> Iterator[Callable[[Role | None], Database]]:
    """Log in to the test's database as a role; as the owner by None."""
    with contextlib.ExitStack() as stack:

        def log_in(role: Role | None) -> Database:
            return stack.enter_context(closing(connect_database(url_as(postgres_server, fresh_database, role))))

        yield log_in


def url_as(server: PostgresServer, url: str, role: Role | None) -> str:
    """The same database for another login; for the owner's by None."""
    return database_url(server.url if role is None else server.role_urls[role], url.rsplit("/", 1)[1])


@pytest.fixture(scope="session")
def vault_service(stack_directory: Path) -> Iterator[VaultService]:
    with running_vault(stack_directory) as service:
        yield service


@pytest.fixture
def own_vault(tmp_path: Path) -> Iterator[OwnVault]:
    """An OpenBao for one test, which may freeze it."""
    server = start_openbao(tmp_path / "openbao", logs=tmp_path / "logs", port=free_port(), cluster_port=free_port())
    try:
        root_token = make_openbao_ready(server)
        service = VaultService(server.address, root_token, provision(server.address, root_token))
        yield OwnVault(service, server)
    finally:
        # A stopped process takes no other signal.
        server.child.process.send_signal(signal.SIGCONT)
        stop(server.child)


@pytest.fixture
def temporal_address(stack_directory: Path) -> Iterator[str]:
    """A Temporal server in memory, as ``host:port``, with search attributes and fair queues.

    Each test has its own, which takes a quarter of a second. Task queues have the same names everywhere, so otherwise one
    test's workers would continue workflows that another test has left.
    """
    with running_temporal(stack_directory) as address:
        yield address


@contextmanager
def running_temporal(directory: Path) -> Iterator[str]:
    ports = TemporalPorts(grpc=free_port(), http=free_port(), metrics=free_port())
    server = start_temporal(None, logs=directory / "logs", ports=ports)
    try:
        make_temporal_ready(server)
        yield server.address
    finally:
        # It holds nothing to save, so it need not take a second to shut down.
        server.child.process.send_signal(signal.SIGKILL)
        stop(server.child)


@contextmanager
def running_postgres(directory: Path) -> Iterator[PostgresServer]:
    server = start_postgres(
        directory / "postgres", logs=directory / "logs", port=free_port(), options=WITHOUT_DURABILITY
    )
    try:
        make_postgres_ready(server)
        yield server
    finally:
        stop(server.child)


@contextmanager
def running_vault(directory: Path) -> Iterator[VaultService]:
    server = start_openbao(directory / "openbao", logs=directory / "logs", port=free_port(), cluster_port=free_port())
    try:
        root_token = make_openbao_ready(server)
        yield VaultService(server.address, root_token, provision(server.address, root_token))
    finally:
        stop(server.child)


def build_template(server: PostgresServer, upgrade: Callable[[str], None], *, name: str = TEMPLATE_DATABASE) -> str:
    """Create a migrated database that allows no connections, so that it can always be copied."""
    with psycopg.connect(server.admin_url, autocommit=True) as connection:
        create_database(connection, name)
        upgrade(database_url(server.url, name))
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
    return name


@contextmanager
def copied_database(server: PostgresServer, template: str) -> Iterator[str]:
    name = f"test_{next(_database_numbers)}"
    with psycopg.connect(server.admin_url, autocommit=True) as connection:
        create_database(connection, name, template=template)
    try:
        yield database_url(server.url, name)
    finally:
        with psycopg.connect(server.admin_url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
