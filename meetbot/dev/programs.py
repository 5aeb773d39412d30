"""Our own programs as children: the sandbox, the worker and the HTTP front."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from meetbot.dev.family import Family, Tier
from meetbot.dev.ports import HOST
from meetbot.dev.processes import Child, spawn, tell, wait_until_ready
from meetbot.dev.wiring import SANDBOX_CLIENT_ID, SANDBOX_CLIENT_SECRET, SandboxSecrets

_PRELOADED = ["-m", "meetbot.dev.preloaded"]
_READY_SECONDS = 60.0
_GRACEFUL_SHUTDOWN_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Program:
    """A started program and the page that answers 200 once it serves."""

    child: Child
    health_url: str


def start_sandbox(state_directory: Path, *, port: int, secrets: SandboxSecrets, family: Family) -> Program:
    command = ["-m", "sandbox", *sandbox_arguments(state_directory, port=port, secrets=secrets)]
    child = _spawn("sandbox", command, {}, state_directory)
    return Program(family.adopt(child, Tier.SERVICES), f"http://{HOST}:{port}/healthz")


def sandbox_arguments(state_directory: Path, *, port: int, secrets: SandboxSecrets) -> list[str]:
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


def load_worker(state_directory: Path, *, ops_port: int, family: Family) -> Program:
    """The worker, loaded and waiting for `give_environment`."""
    child = _spawn("worker", [*_PRELOADED, "worker", "worker"], {}, state_directory, is_told=True)
    return Program(family.adopt(child, Tier.PRODUCT), f"http://{HOST}:{ops_port}/healthz")


def load_api(state_directory: Path, *, port: int, family: Family) -> Program:
    """The HTTP front, loaded and waiting for `give_environment`."""
    command = [*_PRELOADED, "api.app", "uvicorn", "api.app:app", "--host", HOST, "--port", str(port)]
    # An access log would hold the query of the OAuth callback, and with it authorization codes.
    command += ["--no-access-log", "--timeout-graceful-shutdown", str(_GRACEFUL_SHUTDOWN_SECONDS)]
    child = _spawn("api", command, {}, state_directory, is_told=True)
    return Program(family.adopt(child, Tier.PRODUCT), f"http://{HOST}:{port}/healthz")


def give_environment(program: Program, environment: Mapping[str, str]) -> None:
    """Let a loaded program run."""
    tell(program.child, json.dumps(dict(environment)))


def await_program(program: Program, family: Family) -> None:
    wait_until_ready(
        program.child,
        lambda: _answers(program.health_url),
        seconds=_READY_SECONDS,
        keep_going=family.keep_going,
    )


def _spawn(
    name: str, arguments: list[str], environment: Mapping[str, str], state_directory: Path, *, is_told: bool = False
) -> Child:
    return spawn(
        name,
        [sys.executable, *arguments],
        logs=state_directory / "logs",
        environment={"PYTHONUNBUFFERED": "1", **environment},
        is_told=is_told,
    )


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
