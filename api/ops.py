"""The operators' port: health, readiness and metrics, in the same process and never on the public port."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import structlog
import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api import health
from api.container import Services
from meetbot.settings import Environment, Settings

_log = structlog.get_logger(__name__)


def create_ops_app(services: Services) -> FastAPI:
    app = FastAPI(title="meetbot calendar: operations", openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(health.router)

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        return await health.readiness(services)

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return app


class _Inner(uvicorn.Server):
    """Signals belong to the server that runs the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def ops_server(services: Services) -> AsyncIterator[None]:
    """Serves while the block runs. Several API processes on one host share the port's number, so the first one gets it."""
    listener = _listen(services.settings)
    if listener is None:
        yield
        return
    server = _Inner(uvicorn.Config(create_ops_app(services), log_config=None, access_log=False, lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    _log.info("ops_port", port=listener.getsockname()[1])
    try:
        yield
    finally:
        server.should_exit = True
        await serving
        listener.close()


def _listen(settings: Settings) -> socket.socket | None:
    # In production probes and scrapers come from other hosts; on a developer's machine nobody else should.
    host = "0.0.0.0" if settings.env is Environment.PRODUCTION else "127.0.0.1"  # noqa: S104
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, settings.ops_port))
    except OSError as error:
        listener.close()
        _log.warning("ops_port_taken", port=settings.ops_port, error=error.strerror)
        return None
    return listener
