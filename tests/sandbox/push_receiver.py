"""A client's address for push notifications, which keeps what comes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response

from tests.serving import serving

PATIENCE_SECONDS = 20.0


@dataclass
class Receiver:
    """What came, as (path, headers, JSON body). ``status`` is what it answers."""

    url: str = ""
    status: int = 202
    echoes: bool = True
    received: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def wait_for(self, wanted: Callable[[list[tuple[str, dict[str, str], Any]]], bool]) -> list[Any]:
        """Return all that came once it is as wanted."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            with self.lock:
                found = list(self.received)
            if wanted(found):
                return found
            time.sleep(0.01)
        raise AssertionError(f"not what was wanted: {found}")

    def states(self) -> list[str]:
        with self.lock:
            return [headers.get("x-goog-resource-state", "") for _, headers, _ in self.received]

    def items(self) -> list[dict[str, Any]]:
        with self.lock:
            return [item for _, _, body in self.received if body for item in body["value"]]


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    app = FastAPI()

    @app.post("/{path:path}")
    async def take(path: str, request: Request) -> Response:
        token = request.query_params.get("validationToken")
        if token is not None:
            return PlainTextResponse(token if receiver.echoes else "no")
        body = await request.body()
        with receiver.lock:
            receiver.received.append((path, dict(request.headers), await request.json() if body else None))
        return Response(status_code=receiver.status)

    with serving(app) as url:
        receiver.url = url
        yield receiver
