"""Sending to addresses that customers choose, without being turned against our own network.

The name is resolved once, every address it has must be allowed, only those are dialled, and the peer is checked again.
TLS still names and verifies the host. Nothing follows redirects, reads proxy variables, keeps cookies or reuses
connections, and one deadline spans everything from the DNS to the last byte read.
"""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import httpcore

from meetbot.outbound.connections import Dialler, Resolver, resolve
from meetbot.outbound.deadline import Deadline, PhaseSeconds, PhaseTimeouts
from meetbot.outbound.failures import TRANSPORT_ERRORS, OutboundFailed, failure_of
from meetbot.outbound.trust import trusted_authorities
from meetbot.settings import Network
from meetbot.webhooks.answer_text import MAX_BYTES, text_of
from meetbot.webhooks.destinations import DEFAULT_PORTS, Address, Destination, check_destination, require_allowed

__all__ = ["EndpointAnswer", "Outbound", "OutboundFailed", "Resolver", "resolve"]

DEADLINE_SECONDS = 15.0
MAX_ANSWER_BYTES = 64 * 1024

_PHASES = PhaseSeconds(connect=5.0, read=DEADLINE_SECONDS, write=DEADLINE_SECONDS, pool=5.0)


@dataclass(frozen=True, slots=True)
class EndpointAnswer:
    """What came back. Of the body, the beginning is kept if it is text."""

    status: int
    retry_after: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Outbound:
    """The settings for sending to customers: allowed networks, trust and limits.

    Safe to share between threads.
    """

    allow: Sequence[Network] = ()
    trust: ssl.SSLContext = field(default_factory=trusted_authorities)
    resolver: Resolver = resolve
    clock: Callable[[], float] = time.monotonic
    deadline_seconds: float = DEADLINE_SECONDS

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> EndpointAnswer:
        """Send one request, without any retry.

        Raises `DestinationRefused` before anything is dialled, or `OutboundFailed`.
        """
        destination = check_destination(url, self.allow)
        deadline = Deadline(self.deadline_seconds, self.clock)
        dialler = Dialler(guard=partial(self._judge, destination), resolver=self.resolver)
        with httpcore.ConnectionPool(ssl_context=self.trust, max_connections=1, network_backend=dialler) as pool:
            return _exchange(pool, destination, _Message(body, headers, deadline))

    def _judge(self, destination: Destination, addresses: Sequence[Address]) -> None:
        require_allowed(destination, addresses, self.allow)


@dataclass(frozen=True, slots=True)
class _Message:
    body: bytes
    headers: Mapping[str, str]
    deadline: Deadline


def _exchange(pool: httpcore.ConnectionPool, destination: Destination, message: _Message) -> EndpointAnswer:
    url = httpcore.URL(
        scheme=destination.scheme.encode("ascii"),
        host=destination.host.encode("ascii"),
        port=destination.port,
        target=destination.target,
    )
    sent: dict[bytes | str, bytes | str] = {
        "host": _host_header(destination),
        "accept-encoding": "identity",
        "connection": "close",
    }
    sent.update(message.headers.items())
    timeouts = PhaseTimeouts(message.deadline, _PHASES)
    try:
        with pool.stream("POST", url, headers=sent, content=message.body, extensions={"timeout": timeouts}) as response:
            body = _drain(response)
            return EndpointAnswer(
                response.status,
                _header(response.headers, b"retry-after"),
                text_of(_header(response.headers, b"content-type"), body),
            )
    except TRANSPORT_ERRORS as error:
        raise failure_of(error) from None


def _host_header(destination: Destination) -> str:
    host = f"[{destination.host}]" if ":" in destination.host else destination.host
    return host if destination.port == DEFAULT_PORTS[destination.scheme] else f"{host}:{destination.port}"


def _drain(response: httpcore.Response) -> bytes:
    """Read a little, so that the peer is not cut off in its answer; return the beginning.

    The rest of the answer does not matter: the status is known.
    """
    read, beginning = 0, b""
    with contextlib.suppress(httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        for chunk in response.iter_stream():
            read += len(chunk)
            beginning += chunk[: MAX_BYTES - len(beginning)]
            if read >= MAX_ANSWER_BYTES:
                break
    return beginning


def _header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in headers if key.lower() == name), None)
