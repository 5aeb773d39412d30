"""What the development stack keeps in its state directory (``.meetbot``), and how other commands find it.

postgres/ openbao/ temporal/   the servers' data
sandbox.json                   the sandbox's calendars, accounts and bots
secrets.json                   what the sandbox's bot backend shares with us
dev.json                       addresses, tokens and environment of the running stack
children.json lock logs/
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from meetbot.dev import lock
from meetbot.dev.files import read_json, write_private_json
from meetbot.dev.wiring import SandboxSecrets

DEFAULT_STATE_DIRECTORY = Path(".meetbot")
_RUNNING = "dev.json"
_SECRETS = "secrets.json"


def load_running_environment(state_directory: Path = DEFAULT_STATE_DIRECTORY) -> dict[str, str] | None:
    """The environment with which another command reaches the running stack; None where none is running.

    Its VAULT_TOKEN is the provisioner's: it creates tenants' keys and opens nothing.
    """
    if not lock.is_held(state_directory):
        return None
    running = read_json(state_directory / _RUNNING)
    if running is None:
        return None
    return {str(name): str(value) for name, value in running["environment"].items()}


def write_running(state_directory: Path, running: dict[str, Any]) -> None:
    write_private_json(state_directory / _RUNNING, running)


def forget_running(state_directory: Path) -> None:
    (state_directory / _RUNNING).unlink(missing_ok=True)


def sandbox_secrets(state_directory: Path) -> SandboxSecrets:
    """The same at every start: reports on their way while we restart must still verify."""
    path = state_directory / _SECRETS
    known = read_json(path)
    if known is None:
        known = {"api_key": secrets.token_urlsafe(24), "webhook_secret": secrets.token_urlsafe(32)}
        write_private_json(path, known)
    return SandboxSecrets(api_key=str(known["api_key"]), webhook_secret=str(known["webhook_secret"]))
