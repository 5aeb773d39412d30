"""The operators' port of a process: alive, ready, metrics. Never reachable from the public one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import structlog
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Check = Callable[[], Awaitable[None]]

_CHECK_SECONDS = 3.0
_log = structlog.get_logger(__name__)


def ops_app(checks: Mapping[str, Check]) -> Starlette:
    """``/readyz`` runs each check, which raises where its part is not to be used, and names the ones that failed."""

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_request: Request) -> Response:
        results = dict(zip(checks, await asyncio.gather(*map(_outcome, checks.values())), strict=True))
        ready = all(outcome == "ok" for outcome in results.values())
        return JSONResponse(
            {"status": "ok" if ready else "unavailable", "checks": results}, status_code=200 if ready else 503
        )

    async def metrics(_request: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)])


async def _outcome(check: Check) -> str:
    try:
        await asyncio.wait_for(check(), _CHECK_SECONDS)
    except Exception as error:
        return type(error).__name__
    return "ok"


@contextlib.asynccontextmanager
async def ops_server(app: Starlette, *, host: str, port: int) -> AsyncIterator[None]:
    """Serve beside the process' own work. Raises OSError where the port is taken."""
    config = uvicorn.Config(app, host=host, port=port, log_config=None, access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    socket = config.bind_socket()
    # The socket listens from here on: a request that comes early waits in its backlog.
    serving = asyncio.create_task(server.serve(sockets=[socket]))
    try:
        _log.info("ops port open", port=socket.getsockname()[1])
        yield
    finally:
        server.should_exit = True
        await serving
        socket.close()
