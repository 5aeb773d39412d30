"""The whole development stack in one go: servers, schema, keys, demo tenant, then our own three programs."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from meetbot.dev import state
from meetbot.dev.errors import DevStackError
from meetbot.dev.family import Family
from meetbot.dev.ports import HOST, free_port
from meetbot.dev.programs import (
    Program,
    await_program,
    give_environment,
    load_api,
    load_worker,
    start_sandbox,
)
from meetbot.dev.servers import StartedServers, ready_database, ready_temporal, ready_vault, start_servers
from meetbot.dev.unchanged import schema_is_current
from meetbot.dev.wiring import (
    Addresses,
    SandboxSecrets,
    is_set,
    process_environment,
    shared_environment,
    stands_in_for,
)
from meetbot.settings import Settings
from meetbot.vault.setup import VaultCredentials

_USUAL_API_PORT = 8000
_USUAL_SANDBOX_PORT = 8900
_WORKER_OPS_OFFSET = 1


@dataclass(frozen=True, slots=True)
class DevEnvironment:
    """What the preparation of the demo tenant may use, and what other commands find in ``dev.json``.

    ``environment`` reaches the stack as the provisioner; ``vault_tokens`` is None where the user brought a Vault.
    """

    state_directory: Path
    addresses: Addresses
    environment: dict[str, str] = field(repr=False)
    vault_tokens: VaultCredentials | None


@dataclass(frozen=True, slots=True)
class DemoTenant:
    tenant_id: str
    api_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RunningStack:
    """``sandboxed`` names what the sandbox stands in for; where that is nothing, none is running."""

    environment: DevEnvironment
    demo_tenant: DemoTenant
    sandboxed: tuple[str, ...]


Prepare = Callable[[DevEnvironment], DemoTenant]


@dataclass(frozen=True, slots=True)
class _OwnPorts:
    api: int
    sandbox: int
    api_ops: int
    worker_ops: int


def start_stack(settings: Settings, state_directory: Path, prepare: Prepare, family: Family) -> RunningStack:
    """Start everything and return when all of it answers. Raises `DevStackError`; the family ends the children."""
    ports = _own_ports(settings)
    secrets = state.sandbox_secrets(state_directory)
    servers = start_servers(settings, state_directory, family)
    # While the servers boot, our own programs load: that is most of their start.
    api = load_api(state_directory, port=ports.api, family=family)
    worker = load_worker(state_directory, ops_port=ports.worker_ops, family=family)
    sandboxed = stands_in_for(settings)
    programs = [worker, api]
    if sandboxed:
        programs.insert(0, start_sandbox(state_directory, port=ports.sandbox, secrets=secrets, family=family))
    environment = _ready_environment(settings, state_directory, servers, ports, secrets, family)
    demo_tenant = prepare(environment)
    _let_run(settings, environment, ports, secrets, worker=worker, api=api)
    for program in programs:
        await_program(program, family)
    state.write_running(state_directory, _described(environment))
    return RunningStack(environment, demo_tenant, sandboxed)


def _own_ports(settings: Settings) -> _OwnPorts:
    return _OwnPorts(
        api=free_port(_USUAL_API_PORT),
        sandbox=free_port(_USUAL_SANDBOX_PORT),
        api_ops=free_port(settings.ops_port),
        worker_ops=free_port(settings.ops_port + _WORKER_OPS_OFFSET),
    )


def _ready_environment(
    settings: Settings,
    state_directory: Path,
    servers: StartedServers,
    ports: _OwnPorts,
    secrets: SandboxSecrets,
    family: Family,
) -> DevEnvironment:
    # In the order in which they become ready, so that the schema is made while the others still boot.
    database_url = ready_database(settings, servers, family)
    _upgrade_schema(database_url)
    vault_address, vault_tokens = ready_vault(settings, servers, family)
    temporal_address = ready_temporal(settings, servers, family)
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
    return DevEnvironment(state_directory, addresses, environment, vault_tokens)


def _let_run(
    settings: Settings,
    environment: DevEnvironment,
    ports: _OwnPorts,
    secrets: SandboxSecrets,
    *,
    worker: Program,
    api: Program,
) -> None:
    """Worker and API, each with the Vault rights of its own principal only."""
    shared = shared_environment(settings, environment.addresses, secrets)
    tokens = environment.vault_tokens
    worker_token, api_token = (tokens.worker_token, tokens.api_token) if tokens else (None, None)
    give_environment(worker, process_environment(shared, vault_token=worker_token, ops_port=ports.worker_ops))
    give_environment(api, process_environment(shared, vault_token=api_token, ops_port=ports.api_ops))


def _upgrade_schema(database_url: str) -> None:
    if schema_is_current(database_url):
        return
    # Imported here: the schema's libraries are slow to load, and the servers boot meanwhile.
    from sqlalchemy.exc import SQLAlchemyError

    from meetbot.storage.migrate import upgrade

    try:
        upgrade(database_url)
    except SQLAlchemyError as error:
        raise DevStackError(
            "database_not_upgraded",
            f"the schema could not be brought up to date ({type(error).__name__})",
            next_step="check DATABASE_URL and that its role owns the database",
        ) from error


def _described(environment: DevEnvironment) -> dict[str, object]:
    tokens = environment.vault_tokens
    return {
        "supervisor": os.getpid(),
        "addresses": asdict(environment.addresses),
        # The three addresses also where the user brought them: other commands may not have the user's variables.
        "environment": {
            **environment.environment,
            "DATABASE_URL": environment.addresses.database_url,
            "TEMPORAL_ADDRESS": environment.addresses.temporal_address,
            "VAULT_ADDR": environment.addresses.vault_address,
        },
        "vault_tokens": asdict(tokens) if tokens is not None else None,
    }
