"""What activities work with, opened once per worker process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx

from meetbot.backends.base import BotBackend
from meetbot.bots.reconcile import ReconcileContext
from meetbot.calendars.access_tokens import AccessTokens
from meetbot.calendars.oauth_clients import OAuthClients
from meetbot.calendars.provider_waits import ProviderWaits
from meetbot.domain.event import Provider
from meetbot.outbound.lane import Lane
from meetbot.providers.base import CalendarProvider
from meetbot.push.keeper import PushKeeper
from meetbot.storage.database import Database


@dataclass(frozen=True, slots=True)
class Services:
    """The connections and defaults of a worker.

    ``clock`` gives the present in UTC. ``looks`` is for the last looks at providers; ``lanes`` are all that are to be closed.
    """

    database: Database
    providers: Mapping[Provider, CalendarProvider]
    clients: OAuthClients
    tokens: AccessTokens
    push: PushKeeper
    waits: ProviderWaits
    backend: BotBackend
    clock: Callable[[], datetime]
    connections: Sequence[httpx.Client]
    looks: Lane
    lanes: Sequence[Lane]
    public_url: str
    window_days: int
    horizon: timedelta
    join_lead: timedelta

    def reconcile_context(self) -> ReconcileContext:
        """Return what reconciling a bot needs, as of now."""
        return ReconcileContext(now=self.clock(), default_lead=self.join_lead, backend_name=self.backend.name)

    async def close_lanes(self) -> None:
        """Close what was opened on the running event loop."""
        for lane in self.lanes:
            await lane.close()

    def close(self) -> None:
        """Close the connections to providers and backend; the database is closed by its opener."""
        for connection in self.connections:
            connection.close()
