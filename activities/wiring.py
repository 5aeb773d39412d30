"""Opening the connections and building the activities of a worker process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import httpx

from activities.admission import QueueDelay, SyncAdmission
from activities.attribution import note_opening, note_revocation, note_token_refresh
from activities.bots import BotActivities
from activities.checking import CheckingActivity
from activities.connecting import ConnectingActivities
from activities.dispatch import DispatchSteps
from activities.erasing import ErasingActivities
from activities.launcher import Launcher
from activities.prove_grant import GrantCheck
from activities.push import PushActivity
from activities.recall import RecallActivity
from activities.services import Services
from activities.sync import SyncActivities
from activities.watch import WatchActivity
from activities.webhooks import WebhookActivities
from meetbot.backends.base import BotBackend
from meetbot.backends.contained import ContainedBackend
from meetbot.backends.meetbot import MeetbotBackend
from meetbot.calendars.access_tokens import AccessTokens
from meetbot.calendars.oauth_clients import OAuthClients
from meetbot.calendars.provider_waits import ProviderWaits
from meetbot.calendars.refresh_lease import RefreshLeases
from meetbot.calendars.revocation import Revoker
from meetbot.clock import utc_now
from meetbot.domain.event import Provider
from meetbot.errors import ConfigurationError
from meetbot.outbound.lane import Lane
from meetbot.outbound.transport import build_http_client as build_outbound_client
from meetbot.providers.base import OAuthClient
from meetbot.providers.http import build_http_client
from meetbot.providers.registry import build_channel_providers, build_providers, oauth_client
from meetbot.push.keeper import PushKeeper
from meetbot.settings import BackendName, Settings
from meetbot.storage.database import Database, create_database
from meetbot.vault.client import Vault, vault_from_settings
from meetbot.vault.guarded import Breaker
from meetbot.webhooks.outbound import Outbound

_BACKEND_CONNECTIONS = 100
# At a quarter of a second for each answer, so many send a thousand bots within a second.
_LANE_CONNECTIONS = 300
_VAULT_CALLS_AT_ONCE = 32
# One for each thread of the worker of syncs.
_MOST_SYNCS = 24


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """What a worker process runs on: its connections and its activities."""

    database: Database
    vault: Vault
    services: Services
    sync: SyncActivities
    push: PushActivity
    watch: WatchActivity
    bots: BotActivities
    launcher: Launcher
    delay: QueueDelay
    admission: SyncAdmission
    recall: RecallActivity
    webhooks: WebhookActivities
    revoker: Revoker
    erasing: ErasingActivities
    connecting: ConnectingActivities
    checking: CheckingActivity

    def close(self) -> None:
        """Close all connections."""
        self.services.close()
        self.vault.close()
        self.database.close()


def open_parts(settings: Settings) -> WorkerParts:
    """Open everything a worker needs.

    Raises `ConfigurationError` naming the setting that is missing.
    """
    if settings.database_url is None:
        raise ConfigurationError(
            "database_not_configured", "DATABASE_URL is not set", next_step="set it or run `meetbot dev`"
        )
    database = create_database(settings.database_url)
    vault = vault_from_settings(settings, breaker=Breaker(calls_at_once=_VAULT_CALLS_AT_ONCE))
    services = build_services(settings, database, vault, clock=utc_now)
    revoker = build_revoker(settings, services, vault)
    sync, launcher, delay = SyncActivities(services), Launcher(database, DispatchSteps(services), utc_now), QueueDelay()
    return WorkerParts(
        database=database,
        vault=vault,
        services=services,
        sync=sync,
        push=PushActivity(services),
        watch=WatchActivity(sync.sync, utc_now, GrantCheck(services).needs_poll),
        bots=BotActivities(services),
        launcher=launcher,
        delay=delay,
        admission=SyncAdmission(delay, launcher.is_crowded, most=_MOST_SYNCS),
        recall=RecallActivity(services),
        webhooks=WebhookActivities(database, vault, settings.region, Outbound(settings.outbound_allow_cidrs)),
        revoker=revoker,
        erasing=ErasingActivities(services, revoker),
        connecting=build_connecting(settings, services, vault),
        checking=CheckingActivity(services),
    )


def build_revoker(settings: Settings, services: Services, vault: Vault) -> Revoker:
    """Build what ends grants at the providers."""
    return Revoker(
        database=services.database,
        vault=vault,
        providers=services.providers,
        clients=services.clients,
        region=settings.region,
        note_use=partial(note_revocation, services.database, services.clock),
    )


def build_connecting(settings: Settings, services: Services, vault: Vault) -> ConnectingActivities:
    """Build what exchanges the codes that tenants' own apps got."""
    return ConnectingActivities(
        services, vault, settings.region, partial(note_opening, services.database, services.clock)
    )


def _oauth_clients(settings: Settings) -> dict[Provider, OAuthClient]:
    return {provider: client for provider in Provider if (client := oauth_client(settings, provider)) is not None}


def build_services(settings: Settings, database: Database, vault: Vault, *, clock: Callable[[], datetime]) -> Services:
    """Build what the activities work with from opened connections and the settings."""
    to_providers = build_http_client()
    to_backend = build_outbound_client(connections=_BACKEND_CONNECTIONS, accept_gzip=False)
    for_looks = Lane(connections=_LANE_CONNECTIONS, accept_gzip=True)
    backend_lane = Lane(connections=_LANE_CONNECTIONS, accept_gzip=False)
    providers = build_providers(settings, to_providers)
    clients = OAuthClients(
        database=database,
        vault=vault,
        ours=_oauth_clients(settings),
        region=settings.region,
        note_use=partial(note_opening, database, clock),
    )
    waits = ProviderWaits(database, clock)
    return Services(
        database=database,
        providers=providers,
        clients=clients,
        tokens=AccessTokens(
            leases=RefreshLeases(database),
            vault=vault,
            providers=providers,
            clients=clients,
            region=settings.region,
            clock=clock,
            note_use=partial(note_token_refresh, database, clock),
            waits=waits,
        ),
        push=build_push_keeper(settings, database, to_providers, clock=clock),
        waits=waits,
        backend=build_backend(settings, to_backend, backend_lane),
        clock=clock,
        connections=(to_providers, to_backend),
        looks=for_looks,
        lanes=(for_looks, backend_lane),
        public_url=settings.public_url,
        window_days=settings.sync_window_days,
        horizon=timedelta(hours=settings.schedule_horizon_hours),
        join_lead=timedelta(seconds=settings.join_lead_seconds),
    )


def build_push_keeper(
    settings: Settings, database: Database, http: httpx.Client, *, clock: Callable[[], datetime]
) -> PushKeeper:
    """Build what keeps the push channels."""
    relaxes = settings.slowest_poll_seconds > settings.sync_interval_seconds
    return PushKeeper(
        database=database,
        providers=build_channel_providers(settings, http),
        clock=clock,
        public_url=settings.public_url,
        is_on=settings.push_is_on,
        slowest_poll=timedelta(seconds=settings.slowest_poll_seconds if relaxes else 0),
    )


def build_backend(settings: Settings, client: httpx.Client, lane: Lane) -> BotBackend:
    """Build the configured bot backend.

    Raises `ConfigurationError` for one that is not supported yet.
    """
    if settings.backend is not BackendName.MEETBOT:
        raise ConfigurationError(
            "backend_not_supported",
            f"the backend {settings.backend} is not supported by this release",
            next_step="set MEETBOT_BACKEND=meetbot",
        )
    key = settings.backend_api_key
    return ContainedBackend(
        MeetbotBackend(
            base_url=settings.backend_url,
            api_key=key.get_secret_value() if key else "",
            report_url=f"{settings.public_url.rstrip('/')}/v1/backends/meetbot/events",
            client=client,
            lane=lane,
        )
    )
