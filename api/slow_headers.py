"""A time limit for a request's headers. Uvicorn's own begin with the request.

Without it, one sender holds as many connections as he likes, each open for ever with half a header.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 15.0
_INSTALLED = "_meetbot_ends_slow_headers"
_TIMER = "_meetbot_header_timer"


def end_slow_headers(seconds: float = HEADER_SECONDS) -> None:
    """Have uvicorn close connections whose request does not begin in time, in this process.

    The server is started by uvicorn's own command, which takes no protocol of ours, so its protocols are given the limit
    here. Safe to call again.
    """
    for protocol in (AutoHTTPProtocol, H11Protocol):
        if not getattr(protocol, _INSTALLED, False):
            _limit(protocol, seconds)
            setattr(protocol, _INSTALLED, True)


def _limit(protocol: Any, seconds: float) -> None:
    made, received, lost = protocol.connection_made, protocol.data_received, protocol.connection_lost

    def connection_made(self: Any, transport: asyncio.Transport) -> None:
        made(self, transport)
        _start(self, seconds)

    def data_received(self: Any, data: bytes) -> None:
        received(self, data)
        if not _is_between_requests(self):
            _stop(self)
        elif getattr(self, _TIMER, None) is None:
            _start(self, seconds)

    def connection_lost(self: Any, error: Exception | None) -> None:
        _stop(self)
        lost(self, error)

    protocol.connection_made, protocol.data_received, protocol.connection_lost = (
        connection_made,
        data_received,
        connection_lost,
    )


def _is_between_requests(connection: Any) -> bool:
    return connection.cycle is None or bool(connection.cycle.response_complete)


def _start(connection: Any, seconds: float) -> None:
    setattr(connection, _TIMER, asyncio.get_running_loop().call_later(seconds, _end, connection))


def _stop(connection: Any) -> None:
    timer = getattr(connection, _TIMER, None)
    if timer is not None:
        timer.cancel()
        setattr(connection, _TIMER, None)


def _end(connection: Any) -> None:
    setattr(connection, _TIMER, None)
    if _is_between_requests(connection) and not connection.transport.is_closing():
        connection.transport.close()
