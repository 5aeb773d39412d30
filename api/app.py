"""The HTTP front: ``uvicorn api.app:app``."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any, NoReturn

from fastapi import Depends, FastAPI
from fastapi.staticfiles import StaticFiles
from pydantic import ValidationError

from api import docs, health, problems
from api.admission import FailureBuckets
from api.console import shell
from api.console.pages import bots as bot_pages
from api.console.pages import calendars as calendar_pages
from api.console.pages import meetings, overview, search, sign_in, webhooks
from api.console.pages import rules as rule_pages
from api.console.pages import settings as settings_pages
from api.console.pages import usage as usage_page
from api.dependencies import ApiServices
from api.middleware import HeadersAndAccessLog, RequestLimits, refuse_stray_body
from api.orchestrator import TemporalOrchestrator
from api.pages import STATIC_DIRECTORY
from api.push_signals import PushSignals
from api.request_log import RequestLog
from api.routers import (
    admin_consents,
    api_keys,
    api_requests,
    audit_log,
    backends,
    bots,
    calendars,
    connect,
    consent,
    consent_links,
    erasures,
    event_history,
    event_search,
    events,
    never_record,
    notifications,
    oauth_apps,
    overrides,
    retention,
    rules,
    syncs,
    tenant,
    usage,
    user_check,
    users,
    webhook_deliveries,
    webhook_endpoints,
)
from api.slow_headers import end_slow_headers
from meetbot.domain.event import Provider
from meetbot.errors import ConfigurationError, VaultUnavailable
from meetbot.logs import configure_logs
from meetbot.ops import ops_server
from meetbot.providers.registry import build_providers, oauth_client
from meetbot.settings import Settings, faults_in, load_settings
from meetbot.storage.database import create_database, refuse_unbound_role
from meetbot.storage.roles import Role
from meetbot.vault.client import vault_from_settings
from meetbot.vault.guarded import GuardedSealer
from meetbot.vault.rights import ProcessKind, refuse_unsafe_rights

PREFIXES = ("/v1", "/api/v1")
_ROUTERS = (
    connect,
    admin_consents,
    consent,
    consent_links,
    users,
    syncs,
    erasures,
    events,
    event_history,
    event_search,
    overrides,
    rules,
    never_record,
    bots,
    calendars,
    user_check,
    webhook_endpoints,
    webhook_deliveries,
    tenant,
    oauth_apps,
    retention,
    usage,
    api_keys,
    audit_log,
    api_requests,
    notifications,
)
# Those with fixed addresses come before those with an id in the same place.
_CONSOLE = (
    overview,
    sign_in,
    meetings,
    calendar_pages,
    bot_pages,
    rule_pages,
    webhooks,
    usage_page,
    settings_pages,
    search,
)


def create_app(settings: Settings, services: ApiServices | None = None) -> FastAPI:
    """Return the application.

    Without `services` it opens its own when it starts, and closes them at the end; with them it leaves them to the caller.
    """
    app = FastAPI(
        title="meetbot calendar",
        version="1",
        description=docs.DESCRIPTION,
        openapi_tags=docs.TAGS,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan(settings, services),
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.openapi = lambda: docs.document(app)  # type: ignore[method-assign]
    for prefix in PREFIXES:
        for module in _ROUTERS:
            app.include_router(
                module.router,
                prefix=prefix,
                include_in_schema=prefix == PREFIXES[0],
                dependencies=[Depends(refuse_stray_body)],
            )
        # Reads the bytes that were signed, and declares no body for it.
        app.include_router(backends.router, prefix=prefix, include_in_schema=prefix == PREFIXES[0])
    for router in (health.router, docs.router):
        app.include_router(router)
    for module in _CONSOLE:
        app.include_router(module.router)
    shell.install(app)
    app.mount(docs.VENDORED_PATH, docs.vendored_files(), name="vendored")
    app.mount("/static", StaticFiles(directory=STATIC_DIRECTORY), name="static")
    problems.install(app)
    # The one added last is the outermost.
    app.state.failures = FailureBuckets()
    app.add_middleware(RequestLimits, failures=app.state.failures, per_minute=settings.rate_limit_per_minute)
    app.add_middleware(HeadersAndAccessLog, https=settings.public_url.startswith("https://"))
    return app


def _lifespan(settings: Settings, services: ApiServices | None) -> Any:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if services is not None:
            with _signals(app, services):
                yield
            return
        configure_logs("api")
        async with _opened(settings) as opened, ops_server(settings, health.create_ops_app(opened)):
            with _signals(app, opened):
                yield

    return lifespan


@contextlib.contextmanager
def _signals(app: FastAPI, services: ApiServices) -> Iterator[None]:
    """Have the application use these services, and signal workflows through them."""
    app.state.services, app.state.push_signals = services, PushSignals(services.orchestrator)
    app.state.request_log = RequestLog(services.database)
    try:
        yield
    finally:
        app.state.request_log.stop()
        app.state.push_signals.stop()


@contextlib.asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[ApiServices]:
    """Open what the routes need, without waiting for any other service.

    Reads are answered even while Temporal or the vault is away.
    """
    if settings.database_url is None:
        raise ConfigurationError("database_not_configured", "DATABASE_URL is not set", next_step="run `meetbot dev`")
    database = create_database(settings.database_url)
    if settings.is_production:
        await asyncio.to_thread(refuse_unbound_role, database, Role.API)
    vault = vault_from_settings(settings)
    refuse_unsafe = partial(refuse_unsafe_rights, vault, ProcessKind.API) if settings.is_production else None
    sealer = GuardedSealer(vault, refuse_unsafe=refuse_unsafe)
    if refuse_unsafe is not None:
        # One that does not answer yet is asked before the first key.
        with contextlib.suppress(VaultUnavailable):
            await asyncio.to_thread(sealer.check)
    orchestrator = TemporalOrchestrator(
        asyncio.get_running_loop(), sync_interval_seconds=settings.sync_interval_seconds
    )
    connecting = asyncio.create_task(orchestrator.keep_connecting(settings.temporal_address))
    clients = {provider: oauth_client(settings, provider) for provider in Provider}
    try:
        yield ApiServices(
            settings=settings,
            database=database,
            vault=sealer,
            providers=build_providers(settings),
            clients={provider: client for provider, client in clients.items() if client is not None},
            orchestrator=orchestrator,
        )
    finally:
        connecting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await connecting
        vault.close()
        database.close()


def __getattr__(name: str) -> FastAPI:
    """Make ``app`` when a server first asks for it.

    So importing this module reads no environment.
    """
    if name != "app":
        raise AttributeError(name)
    end_slow_headers()
    made = globals()["app"] = create_app(_settings_or_exit())
    return made


def _settings_or_exit() -> Settings:
    """Return the settings, or exit with one line that says what is wrong with them.

    A server that imports this module would print an exception as a traceback.
    """
    try:
        settings = load_settings()
    except ValidationError as error:
        _exit(faults_in(error))
    if settings.database_url is None:
        _exit("DATABASE_URL is not set; to try the service, run `meetbot dev`")
    return settings


def _exit(explanation: str) -> NoReturn:
    sys.stderr.write(f"the API cannot start: {explanation}\n")
    raise SystemExit(2)
