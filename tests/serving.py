"""Serve an ASGI application on this machine for as long as a test needs it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

_START_SECONDS = 20


@contextmanager
def serving(app: Any, port: int = 0) -> Iterator[str]:
    """Serve in a thread on a loopback port, by default a free one; yield the address."""
    server = uvicorn.Server(
        uvicorn.Config(
            app, host="127.0.0.1", port=port, log_config=None, access_log=False, ws="none", timeout_graceful_shutdown=1
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{_port_once_started(server, thread)}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)


def _port_once_started(server: uvicorn.Server, thread: threading.Thread) -> int:
    deadline = time.monotonic() + _START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the server did not start")
        time.sleep(0.01)
    port: int = server.servers[0].sockets[0].getsockname()[1]
    return port
