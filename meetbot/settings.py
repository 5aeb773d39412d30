"""The one place that reads the environment.

Variables and defaults are the public contract; the README's table is checked against this module by a test.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from meetbot.production.settings_faults import Network as Network
from meetbot.production.settings_faults import (
    plain_addresses,
    short_secrets,
    unencrypted_database,
    wide_networks,
)

LONGEST_POLL_SECONDS = 3600
"""However healthy its push is, a calendar is looked at once an hour."""


class Environment(StrEnum):
    """The kind of place the process runs in. In production every unsafe default is refused."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class Region(StrEnum):
    """The region that tenants and their data live in."""

    EU = "eu"
    US = "us"


class BackendName(StrEnum):
    """The bot backends that can be named in the settings."""

    MEETBOT = "meetbot"
    ATTENDEE = "attendee"
    RECALL = "recall"
    VEXA = "vexa"


class PushMode(StrEnum):
    """Whether providers are asked to report changes.

    `AUTO`: if they can reach the public URL, which is https or under an allowed network.
    """

    AUTO = "auto"
    OFF = "off"


def _blank_as_unset(value: object) -> object:
    return None if value == "" else value


def _web_address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an address such as https://calendar.example.com")
    return value


def _networks(value: object) -> object:
    if isinstance(value, str):
        return tuple(ipaddress.ip_network(part.strip()) for part in value.split(",") if part.strip())
    return value


def _is_within(url: str, networks: tuple[Network, ...]) -> bool:
    """Return whether the host of a URL is an address within a network; localhost is one too."""
    host = urlsplit(url).hostname or ""
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        return False
    return any(address in network for network in networks if network.version == address.version)


OptionalText = Annotated[str | None, BeforeValidator(_blank_as_unset)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
OptionalSecret = Annotated[SecretStr | None, BeforeValidator(_blank_as_unset)]


class Settings(BaseSettings):
    """The configuration of a process.

    Read it by `load_settings`, once; it raises for unsafe values in production.
    """

    model_config = SettingsConfigDict(
        env_prefix="MEETBOT_", extra="ignore", frozen=True, populate_by_name=True, hide_input_in_errors=True
    )

    env: Environment = Environment.DEVELOPMENT
    public_url: WebAddress = "http://127.0.0.1:8000"
    region: Region = Region.EU

    database_url: OptionalText = Field(default=None, validation_alias="DATABASE_URL")
    temporal_address: OptionalText = Field(default=None, validation_alias="TEMPORAL_ADDRESS")
    vault_addr: OptionalText = Field(default=None, validation_alias="VAULT_ADDR")
    vault_token: OptionalSecret = Field(default=None, validation_alias="VAULT_TOKEN")
    vault_role_id: OptionalText = Field(default=None, validation_alias="VAULT_ROLE_ID")
    vault_secret_id: OptionalSecret = Field(default=None, validation_alias="VAULT_SECRET_ID")

    google_client_id: OptionalText = None
    google_client_secret: OptionalSecret = None
    google_authorize_url: WebAddress = "https://accounts.google.com/o/oauth2/v2/auth"
    google_token_url: WebAddress = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address, not a secret
    google_revoke_url: WebAddress = "https://oauth2.googleapis.com/revoke"
    google_api_url: WebAddress = "https://www.googleapis.com/calendar/v3"

    microsoft_client_id: OptionalText = None
    microsoft_client_secret: OptionalSecret = None
    microsoft_tenant: str = "common"
    microsoft_login_url: WebAddress = "https://login.microsoftonline.com"
    microsoft_graph_url: WebAddress = "https://graph.microsoft.com/v1.0"

    backend: BackendName = BackendName.MEETBOT
    backend_url: WebAddress = "https://api.meetbot.dev"
    backend_api_key: OptionalSecret = None
    backend_webhook_secret: OptionalSecret = None

    sync_interval_seconds: int = Field(default=300, ge=1, le=3600)
    sync_window_days: int = Field(default=30, ge=1, le=90)
    schedule_horizon_hours: int = Field(default=48, ge=1, le=24 * 30)
    join_lead_seconds: int = Field(default=90, ge=0, le=900)
    outbound_allow_cidrs: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_networks)] = ()
    rate_limit_per_minute: int = Field(default=600, ge=0)
    push: PushMode = PushMode.AUTO
    poll_with_push_seconds: Annotated[int | None, BeforeValidator(_blank_as_unset)] = Field(
        default=None, ge=1, le=LONGEST_POLL_SECONDS
    )
    ops_port: int = Field(default=9100, ge=0, le=65535)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Leave out what may hold a password.

        That is the database's address, and any other with a name in it.
        """
        for name, value in super().__repr_args__():
            secret = name == "database_url" or (isinstance(value, str) and "@" in value)
            yield name, "**********" if secret and value is not None else value

    @property
    def is_production(self) -> bool:
        """Return whether unsafe defaults are refused."""
        return self.env is Environment.PRODUCTION

    @property
    def push_is_on(self) -> bool:
        """Return whether providers are asked to report changes."""
        reachable = self.public_url.startswith("https://") or _is_within(self.public_url, self.outbound_allow_cidrs)
        return self.push is PushMode.AUTO and reachable

    @property
    def slowest_poll_seconds(self) -> int:
        """Return the longest time between two polls of a calendar whose push is healthy."""
        return max(self.sync_interval_seconds, self.poll_with_push_seconds or 0)

    @model_validator(mode="after")
    def _refuse_unsafe_production(self) -> Self:
        if self.is_production:
            faults = list(self._production_faults())
            if faults:
                raise ValueError("; ".join(faults))
        return self

    def _production_faults(self) -> list[str]:
        required = {
            "DATABASE_URL": self.database_url,
            "TEMPORAL_ADDRESS": self.temporal_address,
            "VAULT_ADDR": self.vault_addr,
            "VAULT_TOKEN or VAULT_ROLE_ID and VAULT_SECRET_ID": self.vault_token
            or (self.vault_role_id and self.vault_secret_id),
            "MEETBOT_BACKEND_API_KEY": self.backend_api_key,
            "MEETBOT_BACKEND_WEBHOOK_SECRET": self.backend_webhook_secret,
            "MEETBOT_GOOGLE_CLIENT_ID or MEETBOT_MICROSOFT_CLIENT_ID": self.google_client_id
            or self.microsoft_client_id,
        }
        faults = [f"{name} must be set in production" for name, value in required.items() if not value]
        if not self.public_url.startswith("https://"):
            faults.append("MEETBOT_PUBLIC_URL must be https in production")
        if self.sync_interval_seconds < 5:
            faults.append("MEETBOT_SYNC_INTERVAL_SECONDS must be 5 or more in production")
        return [*faults, *self._unsafe_values()]

    def _unsafe_values(self) -> Iterator[str]:
        yield from plain_addresses(
            {"VAULT_ADDR": self.vault_addr} | {_variable(name): getattr(self, name) for name in _ADDRESSES}
        )
        yield from unencrypted_database(self.database_url)
        yield from short_secrets({_variable(name): _shown(getattr(self, name)) for name in _SHARED_SECRETS})
        yield from wide_networks(self.outbound_allow_cidrs)


# Addresses that tokens, codes or keys are sent to. The public URL is not: it is where others reach us.
_ADDRESSES = (
    "google_authorize_url",
    "google_token_url",
    "google_revoke_url",
    "google_api_url",
    "microsoft_login_url",
    "microsoft_graph_url",
    "backend_url",
)
_SHARED_SECRETS = ("backend_api_key", "backend_webhook_secret")


def _variable(field: str) -> str:
    return f"MEETBOT_{field.upper()}"


def _shown(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


class DatabaseSettings(BaseSettings):
    """What the commands need that touch nothing but the database."""

    model_config = Settings.model_config

    env: Environment = Environment.DEVELOPMENT
    database_url: OptionalText = Field(default=None, validation_alias="DATABASE_URL")

    @property
    def is_production(self) -> bool:
        """Return whether unsafe defaults are refused."""
        return self.env is Environment.PRODUCTION

    @model_validator(mode="after")
    def _refuse_plain_connections(self) -> Self:
        faults = list(unencrypted_database(self.database_url)) if self.is_production else []
        if faults:
            raise ValueError("; ".join(faults))
        return self


def load_database_settings() -> DatabaseSettings:
    """Return DATABASE_URL and MEETBOT_ENV alone.

    For commands that need nothing but the database: other settings that are missing or wrong do not keep them from their
    work. Raises pydantic's ``ValidationError`` for an address that production refuses.
    """
    return DatabaseSettings()


def faults_in(error: ValidationError) -> str:
    """Return what is wrong with the settings, in one line that names each variable."""
    return "; ".join(_explained(fault["loc"], fault["msg"]) for fault in error.errors())


def _explained(place: tuple[int | str, ...], message: str) -> str:
    message = message.removeprefix("Value error, ")
    if not place:
        return message
    name = str(place[0])
    return f"{_variable(name) if name in Settings.model_fields else name}: {message}"


@functools.lru_cache(maxsize=1)
def load_settings() -> Settings:
    """Read the environment once.

    Raises pydantic's ``ValidationError``, naming each variable that is wrong.
    """
    return Settings()
