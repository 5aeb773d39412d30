"""What requests work with, opened once per process. Tests put their own in its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Protocol, cast

from fastapi import Depends, Request

from api.orchestrator import Orchestrator
from meetbot.clock import utc_now
from meetbot.domain.event import Provider
from meetbot.providers.base import CalendarProvider, OAuthClient
from meetbot.settings import Settings
from meetbot.storage.database import Database
from meetbot.vault.sealing import DataKey


class Sealer(Protocol):
    """The vault as the HTTP front may use it: it seals and never opens."""

    def new_data_key(self, tenant_id: str) -> DataKey:
        """Return a fresh key for one secret of the tenant. Raises `VaultError`."""
        ...

    def check(self) -> None:
        """Return if the vault answers and takes our credentials. Raises `VaultError`."""
        ...


@dataclass(frozen=True, slots=True)
class ApiServices:
    """Everything a route may need. ``clients`` are the OAuth clients that are configured."""

    settings: Settings
    database: Database
    vault: Sealer
    providers: Mapping[Provider, CalendarProvider]
    clients: Mapping[Provider, OAuthClient]
    orchestrator: Orchestrator
    clock: Callable[[], datetime] = utc_now


def services_of(request: Request) -> ApiServices:
    """Return the services of the application that serves this request."""
    return cast(ApiServices, request.app.state.services)


InjectedServices = Annotated[ApiServices, Depends(services_of)]
