"""Why an exchange came to nothing. No URL, header or body gets into an error."""

from __future__ import annotations

import httpcore
import httpx

from meetbot.errors import MeetbotError

_UNSENT = (
    httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.PoolTimeout,
    httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout,
)  # fmt: skip
_TIMEOUTS = (httpcore.TimeoutException, httpx.TimeoutException)
_NETWORK = (httpcore.NetworkError, httpx.NetworkError)

# Everything that httpx, httpcore and their parsers raise for a bad peer, address or header.
TRANSPORT_ERRORS: tuple[type[Exception], ...] = (
    httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol,
    httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, UnicodeError,
)  # fmt: skip


class OutboundFailed(MeetbotError):
    """There is no whole answer.

    Codes: ``dns_failed``, ``connection_failed``, ``tls_failed``, ``timeout``, ``protocol_error`` and
    ``answer_too_large``. ``unsent``: surely no byte of the request left this process.
    """

    def __init__(self, code: str, detail: str, *, unsent: bool = False) -> None:
        super().__init__(code, detail)
        self.unsent = unsent


def failure_of(error: Exception) -> OutboundFailed:
    """Return our error for one of `TRANSPORT_ERRORS`, without a word of it.

    It may hold the request.
    """
    unsent = isinstance(error, _UNSENT)
    name = type(error).__name__
    if isinstance(error, _TIMEOUTS):
        return OutboundFailed("timeout", f"the exchange took too long ({name})", unsent=unsent)
    if isinstance(error, _NETWORK):
        return OutboundFailed("connection_failed", f"the connection failed ({name})", unsent=unsent)
    return OutboundFailed("protocol_error", f"the answer is not HTTP ({name})", unsent=unsent)
