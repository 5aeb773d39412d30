"""The servers the product needs: the user's own where an address is set, the embedded ones otherwise."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import hvac.exceptions
import requests

from meetbot.dev.errors import DevStackError
from meetbot.dev.family import Family, Tier
from meetbot.dev.openbao import OpenBaoServer, make_openbao_ready, start_openbao
from meetbot.dev.ports import HOST, free_port
from meetbot.dev.postgres import PostgresServer, make_postgres_ready, start_postgres
from meetbot.dev.temporal import TemporalPorts, TemporalServer, make_temporal_ready, start_temporal
from meetbot.settings import Settings
from meetbot.vault.setup import VaultCredentials, prepare, provision

_REACHABLE_SECONDS = 5.0
_USUAL_POSTGRES_PORT = 54329
_USUAL_OPENBAO_PORT = 8200
_USUAL_TEMPORAL_PORT = 7233
_USUAL_TEMPORAL_UI_PORT = 8233


@dataclass(frozen=True, slots=True)
class StartedServers:
    """Those that we run ourselves; None stands for one that the user brought."""

    postgres: PostgresServer | None
    openbao: OpenBaoServer | None
    temporal: TemporalServer | None


def start_servers(settings: Settings, state_directory: Path, family: Family) -> StartedServers:
    """Start them all, slowest first, and wait for none."""
    logs = state_directory / "logs"
    temporal = openbao = postgres = None
    if settings.temporal_address is None:
        temporal = start_temporal(state_directory / "temporal" / "temporal.db", logs=logs, ports=_temporal_ports())
        family.adopt(temporal.child, Tier.SERVICES)
    if settings.vault_addr is None:
        port = free_port(_USUAL_OPENBAO_PORT)
        openbao = start_openbao(state_directory / "openbao", logs=logs, port=port, cluster_port=free_port())
        family.adopt(openbao.child, Tier.SERVICES)
    if settings.database_url is None:
        port = free_port(_USUAL_POSTGRES_PORT)
        postgres = start_postgres(state_directory / "postgres", logs=logs, port=port)
        family.adopt(postgres.child, Tier.SERVICES)
    return StartedServers(postgres, openbao, temporal)


def ready_database(settings: Settings, servers: StartedServers, family: Family) -> str:
    """The URL of a database that answers."""
    if servers.postgres is None:
        return _given(settings.database_url)
    make_postgres_ready(servers.postgres, family.keep_going)
    return servers.postgres.url


def ready_temporal(settings: Settings, servers: StartedServers, family: Family) -> str:
    if servers.temporal is None:
        address = _given(settings.temporal_address)
        _require_listener("TEMPORAL_ADDRESS", address)
        return address
    make_temporal_ready(servers.temporal, family.keep_going)
    return servers.temporal.address


def ready_vault(settings: Settings, servers: StartedServers, family: Family) -> tuple[str, VaultCredentials | None]:
    """The address, and the tokens of our principals where the service is ours to set up."""
    if servers.openbao is None:
        address = _given(settings.vault_addr)
        _require_listener("VAULT_ADDR", urlsplit(address).netloc or address)
        _prepare_given_vault(address, settings)
        return address, None
    root_token = make_openbao_ready(servers.openbao, family.keep_going)
    try:
        return servers.openbao.address, provision(servers.openbao.address, root_token)
    except (hvac.exceptions.VaultError, requests.RequestException) as error:
        raise DevStackError(
            "openbao_not_provisioned",
            f"OpenBao refused its set-up ({type(error).__name__})",
            next_step=f"see {servers.openbao.child.log_file}",
        ) from None


def _require_listener(variable: str, address: str) -> None:
    """Raise `DevStackError` naming the variable where nobody listens at ``host:port``."""
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
    """Mount and policies in a Vault that the user brought. One that we may not administer must have them already."""
    if settings.vault_token is None:
        return
    with contextlib.suppress(hvac.exceptions.VaultError, requests.RequestException):
        prepare(address, settings.vault_token.get_secret_value())


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
