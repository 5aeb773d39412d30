"""Our processes and the mounted scripts, against servers with the deployment's certificates."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest

from meetbot.dev.account import hand_over, initialising_account
from meetbot.dev.environment import free_port
from meetbot.dev.process import launch_command, spawn, stop, wait_until_ready
from meetbot.dev.temporal import temporal_program
from meetbot.temporal.client import connect
from tests.certificates import Certificates, made_in
from tests.tls_front import tls_front

pytestmark = pytest.mark.stack

DEPLOY = Path(__file__).parents[2] / "deploy"
_PASSWORD = "of-the-superuser"


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return made_in(tmp_path / "tls")


@pytest.fixture
def temporal_over_tls(certificates: Certificates, temporal_address: str) -> Iterator[str]:
    """The development server has no TLS of its own."""
    with tls_front(certificates, "temporal", int(temporal_address.rsplit(":", 1)[1])) as port:
        yield f"localhost:{port}"


def test_the_scripts_commands_reach_temporal_over_tls(certificates: Certificates, temporal_over_tls: str) -> None:
    environment = {
        "PATH": f"{temporal_program().parent}:/usr/bin:/bin",
        "HOME": os.environ.get("HOME", "/"),
        "TEMPORAL_ADDRESS": temporal_over_tls,
        "TEMPORAL_NAMESPACE": "over-tls",
        "TEMPORAL_TLS": "true",
        "TEMPORAL_TLS_SERVER_CA_CERT_PATH": str(certificates.authority),
        "RETENTION": "72h",
    }
    script = ["/bin/sh", str(DEPLOY / "temporal" / "namespace.sh")]
    finished = subprocess.run(script, env=environment, timeout=120, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


def test_our_processes_reach_temporal_by_its_own_variables(
    certificates: Certificates, temporal_over_tls: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_TLS", "true")
    monkeypatch.setenv("TEMPORAL_TLS_SERVER_CA_CERT_PATH", str(certificates.authority))
    assert asyncio.run(_version_of(temporal_over_tls)).startswith("1.")


def test_a_temporal_of_another_authority_is_refused(
    temporal_over_tls: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_TLS", "true")
    monkeypatch.setenv("TEMPORAL_TLS_SERVER_CA_CERT_PATH", str(made_in(tmp_path / "other").authority))
    with pytest.raises(RuntimeError):
        asyncio.run(_version_of(temporal_over_tls))


async def _version_of(address: str) -> str:
    client = await connect(address)
    return (await client.workflow_service.get_system_info(GetSystemInfoRequest())).server_version


@pytest.fixture
def postgres_over_tls(certificates: Certificates) -> Iterator[int]:
    """The system's PostgreSQL with the deployment's options.

    The one from the wheel is built without TLS.
    """
    programs = max(Path("/usr/lib/postgresql").glob("*/bin/initdb"), default=None)
    if programs is None:
        pytest.skip("needs the system's PostgreSQL, which is built with TLS")
    directory, port = Path(tempfile.mkdtemp(prefix="meetbot-tls-")), free_port()
    account = initialising_account()
    password = directory / "password"
    password.write_text(_PASSWORD)
    for source in (certificates.certificate("postgresql"), certificates.key("postgresql")):
        shutil.copy(source, directory)
    shutil.copy(DEPLOY / "postgres" / "pg_hba.conf", directory)
    if account is not None:
        hand_over(directory, account)
        for path in directory.iterdir():
            os.chown(path, account.uid, account.gid)
    initdb: list[str | Path] = [
        programs,
        f"--pgdata={directory / 'data'}",
        "--username=postgres",
        f"--pwfile={password}",
    ]
    subprocess.run(
        launch_command([*initdb, "--auth=scram-sha-256", "--no-sync", "--locale=C"], run_as=account),
        check=True,
        timeout=60,
        capture_output=True,
        cwd=directory,
    )
    child = spawn(
        "postgres",
        [
            programs.with_name("postgres"),
            *("-D", directory / "data", "-p", str(port), "-k", directory, "--fsync=off", "--ssl=on"),
            *(f"--ssl_cert_file={directory / 'server.crt'}", f"--ssl_key_file={directory / 'server.key'}"),
            f"--hba_file={directory / 'pg_hba.conf'}",
        ],
        logs=directory / "logs",
        stop_signal=signal.SIGINT,
        run_as=account,
        directory=directory,
    )
    try:
        wait_until_ready(child, lambda: _answers(port), seconds=30)
        yield port
    finally:
        stop(child)
        shutil.rmtree(directory, ignore_errors=True)


def _answers(port: int) -> bool:
    try:
        psycopg.connect(
            f"host=127.0.0.1 port={port} user=postgres password=- sslmode=disable", connect_timeout=2
        ).close()
    except psycopg.OperationalError as error:
        return "pg_hba" in str(error)
    return True


def _connect(port: int, options: str, host: str = "localhost") -> bool:
    address = f"postgresql://postgres:{_PASSWORD}@{host}:{port}/postgres?{options}"
    with psycopg.connect(address, connect_timeout=5) as connection:
        row = connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()
    return row == (True,)


def test_postgresql_is_reached_over_tls_with_its_name_checked(
    certificates: Certificates, postgres_over_tls: int
) -> None:
    for host in ("localhost", "127.0.0.1"):
        assert _connect(postgres_over_tls, f"sslmode=verify-full&sslrootcert={certificates.authority}", host)


def test_postgresql_takes_no_plain_connection(postgres_over_tls: int) -> None:
    with pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry.*no encryption"):
        _connect(postgres_over_tls, "sslmode=disable")


def test_a_postgresql_of_another_authority_is_refused(postgres_over_tls: int, tmp_path: Path) -> None:
    other = made_in(tmp_path / "other")
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        _connect(postgres_over_tls, f"sslmode=verify-full&sslrootcert={other.authority}")
