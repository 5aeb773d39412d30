"""The operators' port of a process: alive, ready, metrics.

It is never reachable from the public port.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

import structlog
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from meetbot.settings import Environment, Settings

Check = Callable[[], Awaitable[object]]

_CHECK_SECONDS = 3.0
_log = structlog.get_logger(__name__)


def blocking(check: Callable[[], object]) -> Check:
    """Turn a check that blocks into one that runs in a thread."""
    return lambda: asyncio.to_thread(check)


def ops_app(checks: Mapping[str, Check]) -> Starlette:
    """Return the application of the operators' port.

    ``/readyz`` runs the checks at once, each bounded. A check fails by raising or by answering False.
    """

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_request: Request) -> Response:
        good = await asyncio.gather(*map(_passes, checks.values()))
        results = {name: "ok" if passed else "failed" for name, passed in zip(checks, good, strict=True)}
        return JSONResponse(
            {"status": "ready" if all(good) else "not_ready", "checks": results}, status_code=200 if all(good) else 503
        )

    async def metrics(_request: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)])


async def _passes(check: Check) -> bool:
    try:
        return await asyncio.wait_for(check(), _CHECK_SECONDS) is not False
    except Exception as error:
        _log.warning("ops.check_failed", code=type(error).__name__)
        return False


class _Inner(uvicorn.Server):
    """Leave signals to the process that serves the port."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def ops_server(settings: Settings, app: Starlette) -> AsyncIterator[None]:
    """Serve the operators' port while the block runs.

    If another process of the host has the port, say so and do not serve: bots are worth more than knowing how the process is.
    """
    listener = _listen(settings)
    if listener is None:
        yield
        return
    server = _Inner(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    _log.info("ops.listening", port=listener.getsockname()[1])
    try:
        yield
    finally:
        server.should_exit = True
        await serving
        listener.close()


def _listen(settings: Settings) -> socket.socket | None:
    # In production probes and scrapers come from other hosts; on a developer's machine no other host should.
    host = "0.0.0.0" if settings.env is Environment.PRODUCTION else "127.0.0.1"  # noqa: S104
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, settings.ops_port))
        # Binding alone succeeds beside another process that is just starting.
        listener.listen()
    except OSError as error:
        listener.close()
        _log.warning(
            "ops.port_taken",
            port=settings.ops_port,
            error=error.strerror,
            next_step="give each process on this host a MEETBOT_OPS_PORT of its own; until then /readyz there is another's",
        )
        return None
    return listener
