"""The whole development stack: servers, schema, keys, demo tenant, our own programs.

The servers are the user's own if an address is set, and the embedded ones otherwise.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import hvac.exceptions
import psycopg

from meetbot.dev import state
from meetbot.dev.environment import (
    HOST,
    SANDBOX_CLIENT_ID,
    SANDBOX_CLIENT_SECRET,
    Addresses,
    SandboxSecrets,
    free_port,
    is_set,
    process_environment,
    shared_environment,
    stands_in_for,
)
from meetbot.dev.openbao import OpenBaoServer, make_openbao_ready, start_openbao
from meetbot.dev.postgres import PostgresServer, make_postgres_ready, start_postgres
from meetbot.dev.process import Child, Children, DevStackError, Tier, spawn, wait_until_ready
from meetbot.dev.temporal import TemporalPorts, TemporalServer, make_temporal_ready, start_temporal
from meetbot.outbound.failures import OutboundFailed
from meetbot.settings import Settings
from meetbot.storage.grant_statements import mark
from meetbot.storage.roles import Role
from meetbot.vault.setup import VaultCredentials, prepare, provision

_USUAL_API_PORT = 8000
_USUAL_SANDBOX_PORT = 8900
_USUAL_POSTGRES_PORT = 54329
_USUAL_OPENBAO_PORT = 8200
_USUAL_TEMPORAL_PORT = 7233
_USUAL_TEMPORAL_UI_PORT = 8233
_WORKER_OPS_OFFSET = 1
_REACHABLE_SECONDS = 5.0
_READY_SECONDS = 60.0
_GRACEFUL_SHUTDOWN_SECONDS = 5
_SCHEMA_IS_AT = """
    select version_num, obj_description('alembic_version'::regclass, 'pg_class'),
           array(select rolname::text from pg_roles where rolname = any(%s))
      from alembic_version
"""


@dataclass(frozen=True, slots=True)
class DevEnvironment:
    """A stack whose servers are ready, before the demo tenant is made.

    ``environment`` reaches the stack as the provisioner and the database's owner; ``vault_tokens`` is None if the user brought
    a Vault, ``database_urls`` is empty if the user brought a database.
    """

    state_directory: Path
    addresses: Addresses
    environment: dict[str, str] = field(repr=False)
    vault_tokens: VaultCredentials | None
    database_urls: Mapping[Role, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class DemoTenant:
    """The tenant that a newcomer tries the service with."""

    tenant_id: str
    api_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RunningStack:
    """A stack that answers.

    ``sandboxed`` names what the sandbox stands in for; empty means that no sandbox runs.
    """

    environment: DevEnvironment
    demo_tenant: DemoTenant
    sandboxed: tuple[str, ...]


Prepare = Callable[[DevEnvironment], DemoTenant]


@dataclass(frozen=True, slots=True)
class _Program:
    """One of our own programs, and the page that answers 200 once it serves."""

    child: Child
    health_url: str


@dataclass(frozen=True, slots=True)
class _OwnPorts:
    api: int
    sandbox: int
    api_ops: int
    worker_ops: int


@dataclass(frozen=True, slots=True)
class _Servers:
    """Those that we started; None stands for one that the user brought."""

    postgres: PostgresServer | None
    openbao: OpenBaoServer | None
    temporal: TemporalServer | None


def start_stack(settings: Settings, state_directory: Path, prepare: Prepare, children: Children) -> RunningStack:
    """Start everything and return when all of it answers, or raise `DevStackError`.

    The caller ends the ``children`` either way.
    """
    ports = _own_ports(settings)
    secrets = state.sandbox_secrets(state_directory)
    servers = _start_servers(settings, state_directory, children)
    sandboxed = stands_in_for(settings)
    sandbox = [_start_sandbox(state_directory, ports.sandbox, secrets, children)] if sandboxed else []
    environment = _ready_environment(settings, state_directory, servers, ports, secrets, children)
    demo_tenant = prepare(environment)
    product = _start_product(settings, environment, ports, secrets, children)
    for program in (*sandbox, *product):
        _await_program(program, children)
    state.write_running(state_directory, _described(environment))
    return RunningStack(environment, demo_tenant, sandboxed)


def sandbox_arguments(state_directory: Path, *, port: int, secrets: SandboxSecrets) -> list[str]:
    """The arguments of ``python -m sandbox``."""
    arguments = {
        "--host": HOST,
        "--port": str(port),
        "--state": str(state_directory / "sandbox.json"),
        "--public-url": f"http://{HOST}:{port}",
        "--client-id": SANDBOX_CLIENT_ID,
        "--client-secret": SANDBOX_CLIENT_SECRET,
        "--api-key": secrets.api_key,
        "--webhook-secret": secrets.webhook_secret,
    }
    # As one word each: a random secret may begin with a dash and would be taken for an option.
    return [f"{name}={value}" for name, value in arguments.items()]


def _start_servers(settings: Settings, state_directory: Path, children: Children) -> _Servers:
    """Start them all, slowest first, and wait for none."""
    logs = state_directory / "logs"
    temporal = openbao = postgres = None
    if settings.temporal_address is None:
        temporal = start_temporal(state_directory / "temporal" / "temporal.db", logs=logs, ports=_temporal_ports())
        children.add(temporal.child, Tier.SERVICES)
    if settings.vault_addr is None:
        port = free_port(_USUAL_OPENBAO_PORT)
        audit_log, home = logs.resolve() / "openbao-audit.log", state_directory / "openbao"
        openbao = start_openbao(home, logs=logs, port=port, cluster_port=free_port(), audit_log=audit_log)
        children.add(openbao.child, Tier.SERVICES)
    if settings.database_url is None:
        port = free_port(_USUAL_POSTGRES_PORT)
        postgres = start_postgres(state_directory / "postgres", logs=logs, port=port)
        children.add(postgres.child, Tier.SERVICES)
    return _Servers(postgres, openbao, temporal)


def _ready_environment(
    settings: Settings,
    state_directory: Path,
    servers: _Servers,
    ports: _OwnPorts,
    secrets: SandboxSecrets,
    children: Children,
) -> DevEnvironment:
    # In the order in which they become ready, so that the schema is made while the others still boot.
    database_url = _ready_database(settings, servers, children)
    _upgrade_schema(database_url)
    vault_address, vault_tokens = _ready_vault(settings, servers, children)
    temporal_address = _ready_temporal(settings, servers, children)
    addresses = Addresses(
        public_url=settings.public_url if is_set(settings, "public_url") else f"http://{HOST}:{ports.api}",
        sandbox_url=f"http://{HOST}:{ports.sandbox}",
        database_url=database_url,
        temporal_address=temporal_address,
        vault_address=vault_address,
        temporal_ui_url=servers.temporal.ui_url if servers.temporal is not None else None,
    )
    token = vault_tokens.provisioner_token if vault_tokens is not None else None
    environment = process_environment(
        shared_environment(settings, addresses, secrets), vault_token=token, ops_port=ports.api_ops
    )
    logins = servers.postgres.role_urls if servers.postgres is not None else {}
    return DevEnvironment(state_directory, addresses, environment, vault_tokens, logins)


def _ready_database(settings: Settings, servers: _Servers, children: Children) -> str:
    if servers.postgres is None:
        return _given(settings.database_url)
    make_postgres_ready(servers.postgres, children.keep_going)
    return servers.postgres.url


def _ready_temporal(settings: Settings, servers: _Servers, children: Children) -> str:
    if servers.temporal is None:
        address = _given(settings.temporal_address)
        _require_listener("TEMPORAL_ADDRESS", address)
        return address
    make_temporal_ready(servers.temporal, children.keep_going)
    return servers.temporal.address


def _ready_vault(settings: Settings, servers: _Servers, children: Children) -> tuple[str, VaultCredentials | None]:
    """The address, and the tokens of our principals if the service is ours to set up."""
    if servers.openbao is None:
        address = _given(settings.vault_addr)
        _require_listener("VAULT_ADDR", urlsplit(address).netloc or address)
        _prepare_given_vault(address, settings)
        return address, None
    root_token = make_openbao_ready(servers.openbao, children.keep_going)
    try:
        return servers.openbao.address, provision(servers.openbao.address, root_token)
    except (hvac.exceptions.VaultError, OutboundFailed) as error:
        raise DevStackError(
            "openbao_not_provisioned",
            f"OpenBao refused its set-up ({type(error).__name__})",
            next_step=f"see {servers.openbao.child.log_file}",
        ) from None


def _require_listener(variable: str, address: str) -> None:
    """Raise `DevStackError` naming the variable if nothing listens at ``host:port``."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]") or HOST, int(port)), timeout=_REACHABLE_SECONDS).close()
    except (OSError, ValueError):
        raise DevStackError(
            "part_not_reachable",
            f"nothing answers at {address}",
            next_step=f"start it there, or correct or unset {variable}",
        ) from None


def _prepare_given_vault(address: str, settings: Settings) -> None:
    """Set up a Vault that the user brought.

    One that we may not administer must have our policies already.
    """
    if settings.vault_token is None:
        return
    with contextlib.suppress(hvac.exceptions.VaultError, OutboundFailed):
        prepare(address, settings.vault_token.get_secret_value())


def _upgrade_schema(database_url: str) -> None:
    if _schema_is_current(database_url):
        return
    # Imported here: the schema's libraries are slow to load, and the servers boot meanwhile.
    from sqlalchemy.exc import SQLAlchemyError

    from meetbot.storage.migrate import upgrade

    try:
        upgrade(database_url, owner_alone=True)
    except SQLAlchemyError as error:
        raise DevStackError(
            "database_not_upgraded",
            f"the schema could not be brought up to date ({type(error).__name__})",
            next_step="check DATABASE_URL and that its role owns the database",
        ) from error


def _schema_is_current(database_url: str) -> bool:
    """Whether the newest of our migrations is in, with this release's grants.

    Asked with the driver alone, because Alembic takes a second to load.
    """
    scripts = resources.files("meetbot.storage") / "migrations" / "versions"
    # Their files begin with the revision's name.
    newest = max(entry.name.partition("_")[0] for entry in scripts.iterdir() if entry.name[0].isdigit())
    try:
        with psycopg.connect(database_url, connect_timeout=5) as connection:
            found = connection.execute(_SCHEMA_IS_AT, [list(Role)]).fetchone()
    except psycopg.Error:
        return False
    return found is not None and found[:2] == (newest, mark(newest, {Role(name) for name in found[2]}))


def _start_sandbox(state_directory: Path, port: int, secrets: SandboxSecrets, children: Children) -> _Program:
    arguments = sandbox_arguments(state_directory, port=port, secrets=secrets)
    child = _spawn("sandbox", ["-m", "sandbox", *arguments], {}, state_directory)
    return _Program(children.add(child, Tier.SERVICES), f"http://{HOST}:{port}/healthz")


def _start_product(
    settings: Settings, environment: DevEnvironment, ports: _OwnPorts, secrets: SandboxSecrets, children: Children
) -> list[_Program]:
    """Worker and API, each with the rights of its own principal only, at Vault and database."""
    shared = shared_environment(settings, environment.addresses, secrets)
    tokens, directory = environment.vault_tokens, environment.state_directory
    worker_token, api_token = (tokens.worker_token, tokens.api_token) if tokens else (None, None)
    logins = environment.database_urls
    for_worker = process_environment(
        shared, vault_token=worker_token, ops_port=ports.worker_ops, database_url=logins.get(Role.WORKER)
    )
    for_api = process_environment(
        shared, vault_token=api_token, ops_port=ports.api_ops, database_url=logins.get(Role.API)
    )
    worker = children.add(_spawn("worker", ["-m", "worker"], for_worker, directory), Tier.PRODUCT)
    api = children.add(_spawn("api", _api_command(ports.api), for_api, directory), Tier.PRODUCT)
    return [
        _Program(worker, f"http://{HOST}:{ports.worker_ops}/healthz"),
        _Program(api, f"http://{HOST}:{ports.api}/healthz"),
    ]


def _api_command(port: int) -> list[str]:
    command = ["-m", "uvicorn", "api.app:app", "--host", HOST, "--port", str(port)]
    # An access log would hold the query of the OAuth callback, and with it authorization codes.
    return [*command, "--no-access-log", "--timeout-graceful-shutdown", str(_GRACEFUL_SHUTDOWN_SECONDS)]


def _spawn(name: str, arguments: list[str], environment: Mapping[str, str], state_directory: Path) -> Child:
    return spawn(
        name,
        [sys.executable, *arguments],
        logs=state_directory / "logs",
        environment={"PYTHONUNBUFFERED": "1", **environment},
    )


def _await_program(program: _Program, children: Children) -> None:
    wait_until_ready(
        program.child,
        lambda: _answers(program.health_url),
        seconds=_READY_SECONDS,
        keep_going=children.keep_going,
    )


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _own_ports(settings: Settings) -> _OwnPorts:
    return _OwnPorts(
        api=free_port(_USUAL_API_PORT),
        sandbox=free_port(_USUAL_SANDBOX_PORT),
        api_ops=free_port(settings.ops_port),
        worker_ops=free_port(settings.ops_port + _WORKER_OPS_OFFSET),
    )


def _temporal_ports() -> TemporalPorts:
    return TemporalPorts(
        grpc=free_port(_USUAL_TEMPORAL_PORT),
        http=free_port(),
        metrics=free_port(),
        ui=free_port(_USUAL_TEMPORAL_UI_PORT),
    )


def _given(address: str | None) -> str:
    if address is None:
        raise AssertionError("a part without an address is one that we started")
    return address


def _described(environment: DevEnvironment) -> dict[str, object]:
    tokens = environment.vault_tokens
    return {
        "supervisor": os.getpid(),
        "addresses": asdict(environment.addresses),
        # The three addresses even if the user brought them: other commands may not have the user's variables.
        "environment": {
            **environment.environment,
            "DATABASE_URL": environment.addresses.database_url,
            "TEMPORAL_ADDRESS": environment.addresses.temporal_address,
            "VAULT_ADDR": environment.addresses.vault_address,
        },
        "vault_tokens": asdict(tokens) if tokens is not None else None,
    }
