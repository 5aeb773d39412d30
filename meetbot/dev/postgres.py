"""The real PostgreSQL, from a wheel: on the loopback interface, with passwords.

The application's role owns its database but is neither superuser nor above row level security, as in production.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psycopg
from psycopg import sql

from meetbot.dev.account import (
    check_account,
    hand_over,
    initialising_account,
    reachable_programs,
    server_account,
)
from meetbot.dev.environment import HOST
from meetbot.dev.process import Child, DevStackError, KeepGoing, ProcessUser, launch_command, spawn, wait_until_ready
from meetbot.dev.state import private_directory, read_json, write_private_json

DATABASE = "meetbot"
ROLE = "meetbot"
_SUPERUSER = "postgres"
_INITDB_SECONDS = 60
_READY_SECONDS = 30.0

# What a throw-away server may do without. Never for data that is to be seen again.
WITHOUT_DURABILITY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A started PostgreSQL.

    ``url`` is the application's; ``admin_url`` the superuser's, for creating databases only.
    """

    child: Child
    url: str
    admin_url: str


def start_postgres(
    directory: Path, *, logs: Path, port: int, options: Mapping[str, str] | None = None
) -> PostgresServer:
    """Start the server. Then call `make_postgres_ready`.

    Its data lies under ``directory`` and is made at the first start.
    """
    data = directory / "data"
    # Not Path.exists, which minds folders that it may not enter.
    check_account(is_first_start=not os.path.exists(data))
    programs = reachable_programs()
    passwords = _passwords(_own_directory(directory))
    account = server_account(data)
    if not data.exists():
        _initialise(data, passwords["superuser"], programs, account)
    if account is not None:
        hand_over(data, account)
    settings = {**_settings(port), **(options or {})}
    arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    child = spawn(
        "postgres",
        [programs / "postgres", "-D", _as_seen_by(account, data), *arguments],
        logs=logs,
        stop_signal=signal.SIGINT,  # "fast": sessions are ended, data is flushed
        run_as=account,
        directory=data,
    )
    return PostgresServer(
        child,
        url=_url(ROLE, passwords["role"], port, DATABASE),
        admin_url=_url(_SUPERUSER, passwords["superuser"], port, "postgres"),
    )


def make_postgres_ready(server: PostgresServer, keep_going: KeepGoing = lambda: None) -> None:
    """Wait for the server, then see that the application's role and database exist."""
    wait_until_ready(server.child, lambda: _accepts(server.admin_url), seconds=_READY_SECONDS, keep_going=keep_going)
    password = psycopg.conninfo.conninfo_to_dict(server.url)["password"]
    with psycopg.connect(server.admin_url, autocommit=True, connect_timeout=5) as connection:
        if not _exists(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", ROLE):
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE").format(
                    sql.Identifier(ROLE)
                )
            )
        connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(ROLE), sql.Literal(password)))
        if not _exists(connection, "SELECT 1 FROM pg_database WHERE datname = %s", DATABASE):
            create_database(connection, DATABASE)


def create_database(
    connection: psycopg.Connection[tuple[object, ...]], name: str, *, template: str | None = None
) -> None:
    """Make a database of the application's role, empty or a copy of ``template``.

    The connection is in autocommit.
    """
    statement = sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(ROLE))
    if template is not None:
        statement += sql.SQL(" TEMPLATE {} STRATEGY file_copy").format(sql.Identifier(template))
    connection.execute(statement)


def database_url(server_url: str, database: str) -> str:
    """The same server, role and password, another database."""
    return f"{server_url.rsplit('/', 1)[0]}/{quote(database, safe='')}"


def _settings(port: int) -> dict[str, str]:
    return {
        "listen_addresses": HOST,
        "port": str(port),
        "unix_socket_directories": "",
        "max_connections": "200",
        # Errors are logged without the rows they concern: those are a user's calendar.
        "log_error_verbosity": "terse",
        "log_min_error_statement": "panic",
    }


def _url(role: str, password: str, port: int, database: str) -> str:
    return f"postgresql://{role}:{quote(password, safe='')}@{HOST}:{port}/{database}"


def _own_directory(directory: Path) -> Path:
    private_directory(directory)
    if os.geteuid() == 0:
        # An earlier version gave it to the user whom the server ran as.
        parent = directory.parent.stat()
        os.chown(directory, parent.st_uid, parent.st_gid)
    return directory


def _as_seen_by(account: ProcessUser | None, directory: Path) -> Path:
    """Return the name by which a program finds its own working directory.

    Another user may be kept from the folders above it, but is in it.
    """
    return Path("/proc/self/cwd") if account is not None and sys.platform.startswith("linux") else directory


def _passwords(directory: Path) -> dict[str, str]:
    path = directory / "passwords.json"
    known = read_json(path)
    if known is None:
        known = {"superuser": secrets.token_urlsafe(24), "role": secrets.token_urlsafe(24)}
        write_private_json(path, known)
    return {str(name): str(value) for name, value in known.items()}


def _initialise(data: Path, superuser_password: str, programs: Path, owner: ProcessUser | None) -> None:
    """Make the data directory.

    It gets its name only when it is complete, so a run that was killed half-way leaves none.
    """
    draft = data.with_name("data.new")
    shutil.rmtree(draft, ignore_errors=True)
    private_directory(draft)
    account = initialising_account()
    with tempfile.TemporaryFile(dir=data.parent) as password:
        password.write(superuser_password.encode())
        password.seek(0)
        if account is not None:
            hand_over(draft, account)
            os.fchown(password.fileno(), account.uid, account.gid)
        _run_initdb(draft, programs, account, password)
    if owner is not None:
        hand_over(draft, owner)
    draft.rename(data)


def _run_initdb(draft: Path, programs: Path, account: ProcessUser | None, password: IO[bytes]) -> None:
    command: list[str | Path] = [
        programs / "initdb",
        f"--pgdata={_as_seen_by(account, draft)}",
        f"--username={_SUPERUSER}",
        # Already open: another user could not reach the file by its name.
        "--pwfile=/dev/stdin",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--locale=C",
        "--no-sync",
        "--no-instructions",
    ]
    finished = subprocess.run(  # noqa: S603 - a fixed program, no shell
        launch_command(command, run_as=account),
        cwd=draft,
        stdin=password,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_INITDB_SECONDS,
        check=False,
    )
    if finished.returncode != 0:
        raise DevStackError(
            "postgres_not_initialised",
            f"initdb ended with exit code {finished.returncode}: {finished.stderr.strip()[-1000:]}",
            next_step="mend what it says, or set DATABASE_URL to a PostgreSQL of your own",
        )


def _accepts(admin_url: str) -> bool:
    try:
        psycopg.connect(admin_url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _exists(connection: psycopg.Connection[tuple[object, ...]], query: str, name: str) -> bool:
    return connection.execute(query.encode(), (name,)).fetchone() is not None
