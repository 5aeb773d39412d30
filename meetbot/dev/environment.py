"""The variables that tie the parts of the development stack together, and their ports.

What the user has set wins, variable by variable. A group (one provider's OAuth client, the bot backend) is pointed at
the sandbox only if the user has configured nothing real for it.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from meetbot.settings import BackendName, Environment, Settings

HOST = "127.0.0.1"
SANDBOX_CLIENT_ID = "sandbox-client"
SANDBOX_CLIENT_SECRET = "sandbox-secret"  # noqa: S105 - the sandbox's own, and no secret
_GOOGLE, _MICROSOFT, _BACKEND = "Google", "Microsoft", "the bot backend"
# What the sandbox can stand in for, in words.
SANDBOXED = (_GOOGLE, _MICROSOFT, _BACKEND)
_LOOPBACK_NETWORKS = "127.0.0.0/8,::1/128"
_TRIES = 200
# Below the ports that systems hand out themselves (RFC 6335 8.1.2, Linux from 32768): one of those may become the near end of
# a connection before our server listens on it.
_CHOICE = range(20_000, 32_000)
# Open for as long as this process lives: with it goes the claim.
_claims: list[int] = []


@dataclass(frozen=True, slots=True)
class Addresses:
    """The address of each part. ``temporal_ui_url`` is None if the user brought a Temporal."""

    public_url: str
    sandbox_url: str
    database_url: str
    temporal_address: str
    vault_address: str
    temporal_ui_url: str | None


@dataclass(frozen=True, slots=True)
class SandboxSecrets:
    """The key that the sandbox's bot backend expects, and the secret it signs its reports with."""

    api_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)


def shared_environment(settings: Settings, addresses: Addresses, secrets: SandboxSecrets) -> dict[str, str]:
    """The variables that API, worker and command line share, to be added to the user's own."""
    wanted = {
        "env": str(Environment.DEVELOPMENT),
        "public_url": addresses.public_url,
        "database_url": addresses.database_url,
        "temporal_address": addresses.temporal_address,
        "vault_addr": addresses.vault_address,
        "outbound_allow_cidrs": _LOOPBACK_NETWORKS,
        **_google(settings, addresses.sandbox_url),
        **_microsoft(settings, addresses.sandbox_url),
        **_backend(settings, addresses.sandbox_url, secrets),
    }
    return {variable_name(setting): value for setting, value in wanted.items() if not is_set(settings, setting)}


def stands_in_for(settings: Settings) -> tuple[str, ...]:
    """The parts of `SANDBOXED` that the sandbox stands in for, since the user set no address."""
    wired = {
        _GOOGLE: _google(settings, ""),
        _MICROSOFT: _microsoft(settings, ""),
        _BACKEND: _backend(settings, "", SandboxSecrets(api_key="", webhook_secret="")),
    }
    return tuple(
        name
        for name, group in wired.items()
        if any(setting.endswith("_url") and not is_set(settings, setting) for setting in group)
    )


def process_environment(shared: Mapping[str, str], *, vault_token: str | None, ops_port: int) -> dict[str, str]:
    """The variables of one process.

    ``vault_token`` None leaves the user's own credentials in force.
    """
    own = {variable_name("ops_port"): str(ops_port)}
    if vault_token is not None:
        own[variable_name("vault_token")] = vault_token
    return {**shared, **own}


def variable_name(setting: str) -> str:
    """The environment variable of a setting."""
    alias = Settings.model_fields[setting].validation_alias
    return alias if isinstance(alias, str) else f"MEETBOT_{setting.upper()}"


def is_set(settings: Settings, setting: str) -> bool:
    """Whether the user gave this setting a value; an empty variable counts as unset."""
    return setting in settings.model_fields_set and getattr(settings, setting) not in (None, "")


def free_port(usual: int = 0) -> int:
    """Choose a port of the loopback interface: ``usual`` if it is free, any free one otherwise.

    No other call, here or in another process of ours, is given the same one meanwhile: between the choice of a port
    and the moment its server listens, seconds pass.
    """
    if usual and _can_bind(usual) and _claim(usual):
        return usual
    for _ in range(_TRIES):
        port = secrets.choice(_CHOICE)
        if _can_bind(port) and _claim(port):
            return port
    raise OSError(f"no free port on {HOST} in {_TRIES} tries")


def is_listening(port: int) -> bool:
    """Whether a program accepts connections on this port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((HOST, port)) == 0


def _google(settings: Settings, sandbox_url: str) -> dict[str, str]:
    if is_set(settings, "google_client_id"):
        return {}
    return {
        "google_client_id": SANDBOX_CLIENT_ID,
        "google_client_secret": SANDBOX_CLIENT_SECRET,
        "google_authorize_url": f"{sandbox_url}/google/o/oauth2/v2/auth",
        "google_token_url": f"{sandbox_url}/google/token",
        "google_revoke_url": f"{sandbox_url}/google/revoke",
        "google_api_url": f"{sandbox_url}/google/calendar/v3",
    }


def _microsoft(settings: Settings, sandbox_url: str) -> dict[str, str]:
    if is_set(settings, "microsoft_client_id"):
        return {}
    return {
        "microsoft_client_id": SANDBOX_CLIENT_ID,
        "microsoft_client_secret": SANDBOX_CLIENT_SECRET,
        "microsoft_login_url": f"{sandbox_url}/microsoft",
        "microsoft_graph_url": f"{sandbox_url}/microsoft/v1.0",
    }


def _backend(settings: Settings, sandbox_url: str, secrets: SandboxSecrets) -> dict[str, str]:
    real = is_set(settings, "backend_url") or is_set(settings, "backend_api_key")
    if real or settings.backend is not BackendName.MEETBOT:
        return {}
    return {
        "backend_url": f"{sandbox_url}/backend",
        "backend_api_key": secrets.api_key,
        "backend_webhook_secret": secrets.webhook_secret,
    }


def _claim(port: int) -> bool:
    directory = Path(tempfile.gettempdir()) / f"meetbot-ports-{os.getuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(directory / str(port), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    _claims.append(descriptor)
    return True


def _can_bind(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Connections of an earlier run that linger in TIME_WAIT do not make the port taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return not is_listening(port)
