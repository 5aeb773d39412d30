"""A connection whose headers do not arrive is closed; one that is at work is not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.slow_headers import _limit
from tests.serving import serving

PROTOCOLS = {H11Protocol, AutoHTTPProtocol}


async def slow_answer(scope: Any, receive: Any, send: Any) -> None:
    """Answers after longer than the headers may take."""
    await asyncio.sleep(0.6)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture(params=sorted(PROTOCOLS, key=str), ids=lambda protocol: protocol.__name__)
def connect(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    limited = type("Limited", (request.param,), {})
    _limit(limited, 0.3)
    original: Callable[..., uvicorn.Config] = uvicorn.Config
    monkeypatch.setattr("tests.serving.uvicorn.Config", lambda app, **named: original(app, http=limited, **named))
    with serving(slow_answer) as address:
        port = int(address.rsplit(":", 1)[1])
        yield lambda: socket.create_connection(("127.0.0.1", port), timeout=20)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: a\r\nX-Half: "])
def test_a_connection_without_whole_headers_is_closed(connect: Callable[[], socket.socket], sent: bytes) -> None:
    with connect() as connection:
        connection.sendall(sent)
        assert connection.recv(1000) == b""


def test_a_request_at_work_is_answered_and_the_next_is_limited(connect: Callable[[], socket.socket]) -> None:
    with connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = b""
        while not answer.endswith(b"ok"):
            answer += connection.recv(1000)
        connection.sendall(b"GET / HTTP/1.1\r\nX-Half: ")
        assert connection.recv(1000) == b""
