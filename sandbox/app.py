"""The sandbox as one ASGI application."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles

from sandbox import pages
from sandbox.backend import api as backend_api
from sandbox.backend.background import run_background
from sandbox.calendar.errors import InvalidChangeError, NotFoundError, RecurrenceError
from sandbox.config import SandboxConfig
from sandbox.control import accounts, clock, directories, events, faults, jobs, oauth_clients, overview, push, settings
from sandbox.control.event_bodies import InvalidEventError
from sandbox.google import calendar as google_calendar
from sandbox.google import channels
from sandbox.google import errors as google_errors
from sandbox.google import oauth as google_oauth
from sandbox.google.errors import GoogleError
from sandbox.login.authorization_requests import AuthorizationPageError
from sandbox.microsoft import admin_consent, graph, subscriptions
from sandbox.microsoft import errors as microsoft_errors
from sandbox.microsoft import oauth as microsoft_oauth
from sandbox.microsoft.errors import GraphError
from sandbox.middleware import SandboxMiddleware
from sandbox.running import Sandbox

_DESCRIPTION = (
    "A stateful stand-in for Google (login, Calendar v3), Microsoft (login, Graph) and a meetbot bot backend, with a "
    "control API for people and tests. Everything in it is made up."
)


def create_app(config: SandboxConfig) -> FastAPI:
    """Return the whole sandbox as one application.

    Raises pydantic's `ValidationError` if the state file is not one of ours.
    """
    sandbox = Sandbox(config)
    app = FastAPI(title="meetbot sandbox", description=_DESCRIPTION, lifespan=_running)
    app.state.sandbox = sandbox
    for module in (
        accounts,
        directories,
        oauth_clients,
        events,
        jobs,
        overview,
        clock,
        faults,
        settings,
        push,
        backend_api,
    ):
        app.include_router(module.router)
    # Graph comes before the login: both begin with /microsoft, and a directory can have any name.
    for module in (
        graph,
        subscriptions,
        admin_consent,
        microsoft_oauth,
        google_oauth,
        google_calendar,
        channels,
        pages,
    ):
        app.include_router(module.router)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")
    app.add_exception_handler(GoogleError, google_errors.respond)
    app.add_exception_handler(GraphError, microsoft_errors.respond)
    app.add_exception_handler(AuthorizationPageError, pages.show_authorization_error)
    for error, status in (
        (NotFoundError, 404),
        (InvalidChangeError, 422),
        (InvalidEventError, 422),
        (RecurrenceError, 422),
    ):
        app.add_exception_handler(error, _respond_with(status))
    app.add_middleware(SandboxMiddleware, sandbox=sandbox)

    @app.get("/healthz", include_in_schema=False)
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    return app


@contextlib.asynccontextmanager
async def _running(app: FastAPI) -> AsyncIterator[None]:
    sandbox: Sandbox = app.state.sandbox
    async with httpx.AsyncClient(follow_redirects=False, trust_env=False) as client:
        app.state.http = client
        background = [
            asyncio.create_task(run_background(sandbox, client)),
            asyncio.create_task(sandbox.outbox.run(client)),
        ]
        try:
            yield
        finally:
            for task in background:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            sandbox.save()


def _respond_with(status: int) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def respond(_: Request, error: Exception) -> Response:
        return JSONResponse({"detail": str(error)}, status)

    return respond
