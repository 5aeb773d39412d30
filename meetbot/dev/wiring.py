"""Which environment variables tie the parts of the development stack together. Pure.

Whatever the user has set wins, variable by variable; a group (one provider's OAuth client, the bot backend) is
pointed at the sandbox only where the user has configured nothing real for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from meetbot.settings import BackendName, Environment, Settings

SANDBOX_CLIENT_ID = "sandbox-client"
SANDBOX_CLIENT_SECRET = "sandbox-secret"  # noqa: S105 - the sandbox's own, known to everybody
_GOOGLE, _MICROSOFT, _BACKEND = "Google", "Microsoft", "the bot backend"
# What the sandbox can stand in for, in words.
SANDBOXED = (_GOOGLE, _MICROSOFT, _BACKEND)
_LOOPBACK_NETWORKS = "127.0.0.0/8,::1/128"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where each part is reached. ``temporal_ui_url`` is None where the user brought their own Temporal."""

    public_url: str
    sandbox_url: str
    database_url: str
    temporal_address: str
    vault_address: str
    temporal_ui_url: str | None


@dataclass(frozen=True, slots=True)
class SandboxSecrets:
    """What the sandbox's bot backend expects from us and signs its reports with."""

    api_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)


def shared_environment(settings: Settings, addresses: Addresses, secrets: SandboxSecrets) -> dict[str, str]:
    """What API, worker and command line have in common, to be added to the user's own environment."""
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
    """Of `SANDBOXED`, what the sandbox takes the place of: whatever has an address that the user has not given."""
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
    """One process's environment. ``vault_token`` None leaves the user's own credentials in force."""
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
