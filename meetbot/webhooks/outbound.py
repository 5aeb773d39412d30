"""Sending to addresses that customers choose, without being turned against our own network.

The name is resolved once, every address it has must be allowed, only those are dialled, and the peer is checked again.
TLS still names and verifies the host. Nothing follows redirects, reads proxy variables, keeps cookies or reuses
connections, and one deadline spans everything from the DNS to the last byte read.
"""

from __future__ import annotations

import contextlib
import ipaddress
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpcore
import httpx

from meetbot.errors import MeetbotError
from meetbot.settings import Network
from meetbot.webhooks.destinations import DEFAULT_PORTS, Address, Destination, check_destination, require_allowed

DEADLINE_SECONDS = 15.0
MAX_ANSWER_BYTES = 64 * 1024

_DNS_SECONDS = 5.0
_CONNECT_SECONDS = 5.0
_ADDRESSES_TRIED = 4

Resolver = Callable[[str, int, float], Sequence[Address]]


class OutboundFailed(MeetbotError):
    """The request did not get through. Never holds the URL.

    Codes: ``dns_failed``, ``connection_failed``, ``tls_failed``, ``timeout`` or ``protocol_error``.
    """


@dataclass(frozen=True, slots=True)
class EndpointAnswer:
    """What came back. The body is read, so that the peer can finish, and dropped."""

    status: int
    retry_after: str | None = None


def resolve(host: str, port: int, timeout: float) -> Sequence[Address]:
    """Return all addresses of a host, in the order of preference. Raises `OutboundFailed`.

    The system's resolver knows no deadline, so it works in a thread that we stop waiting for.
    """
    found: queue.SimpleQueue[list[Any] | OSError | UnicodeError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            found.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.put(error)

    threading.Thread(target=look_up, name="resolve", daemon=True).start()
    try:
        answer = found.get(timeout=max(timeout, 0.0))
    except queue.Empty:
        raise OutboundFailed("dns_failed", "the name was not resolved in time") from None
    if not isinstance(answer, list):
        raise OutboundFailed("dns_failed", "the name does not resolve")
    return tuple(dict.fromkeys(ipaddress.ip_address(sockaddr[0]) for *_, sockaddr in answer))


@dataclass(frozen=True, slots=True)
class Outbound:
    """The settings for sending to customers: allowed networks, trust and limits.

    Safe to share between threads.
    """

    allow: Sequence[Network] = ()
    trust: ssl.SSLContext = field(default_factory=httpx.create_ssl_context)
    resolver: Resolver = resolve
    clock: Callable[[], float] = time.monotonic
    deadline_seconds: float = DEADLINE_SECONDS

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> EndpointAnswer:
        """Send one request, without any retry.

        Raises `DestinationRefused` before anything is dialled, or `OutboundFailed`.
        """
        destination = check_destination(url, self.allow)
        deadline = _Deadline(self.clock, self.clock() + self.deadline_seconds)
        backend = _GuardedBackend(self, destination, deadline)
        with httpcore.ConnectionPool(ssl_context=self.trust, max_connections=1, network_backend=backend) as pool:
            return _exchange(pool, destination, body, headers)


def _exchange(
    pool: httpcore.ConnectionPool, destination: Destination, body: bytes, headers: Mapping[str, str]
) -> EndpointAnswer:
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
    sent.update(headers.items())
    try:
        with pool.stream("POST", url, headers=sent, content=body) as response:
            answer = EndpointAnswer(response.status, _header(response.headers, b"retry-after"))
            _drain(response)
            return answer
    except httpcore.TimeoutException:
        raise OutboundFailed("timeout", "the exchange took too long") from None
    except httpcore.NetworkError:
        raise OutboundFailed("connection_failed", "the connection failed") from None
    except httpcore.ProtocolError:
        raise OutboundFailed("protocol_error", "the answer is not HTTP") from None


def _host_header(destination: Destination) -> str:
    host = f"[{destination.host}]" if ":" in destination.host else destination.host
    return host if destination.port == DEFAULT_PORTS[destination.scheme] else f"{host}:{destination.port}"


def _drain(response: httpcore.Response) -> None:
    """Read a little, so that the peer is not cut off in the middle of its answer.

    The rest of the answer does not matter: the status is known.
    """
    read = 0
    with contextlib.suppress(httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        for chunk in response.iter_stream():
            read += len(chunk)
            if read >= MAX_ANSWER_BYTES:
                return


def _header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in headers if key.lower() == name), None)


@dataclass(frozen=True, slots=True)
class _Deadline:
    clock: Callable[[], float]
    at: float

    def remaining(self, error: type[httpcore.TimeoutException]) -> float:
        """Return the seconds left, more than 0. Raises `error` if none are."""
        seconds = self.at - self.clock()
        if seconds <= 0:
            raise error("deadline")
        return seconds


class _GuardedBackend(httpcore.NetworkBackend):
    """Dials only addresses that were judged."""

    def __init__(self, outbound: Outbound, destination: Destination, deadline: _Deadline) -> None:
        self._outbound = outbound
        self._destination = destination
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        dns_seconds = min(_DNS_SECONDS, self._deadline.remaining(httpcore.ConnectTimeout))
        addresses = self._outbound.resolver(host, port, dns_seconds)
        require_allowed(self._destination, addresses, self._outbound.allow)
        return _DeadlineStream(self._first_to_connect(addresses[:_ADDRESSES_TRIED], port), self._deadline)

    def _first_to_connect(self, addresses: Sequence[Address], port: int) -> socket.socket:
        for address in addresses:
            seconds = min(_CONNECT_SECONDS, self._deadline.remaining(httpcore.ConnectTimeout))
            try:
                connected = socket.create_connection((str(address), port), timeout=seconds)
            except OSError:
                continue
            return self._judged_again(connected, address)
        raise OutboundFailed("connection_failed", "no address of the host takes connections")

    def _judged_again(self, connected: socket.socket, dialled: Address) -> socket.socket:
        try:
            peer = ipaddress.ip_address(connected.getpeername()[0])
            if peer != dialled:
                raise OutboundFailed("connection_failed", "another address answered than was dialled")
            require_allowed(self._destination, (peer,), self._outbound.allow)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            connected.close()
            raise
        return connected


class _DeadlineStream(httpcore.NetworkStream):
    """A socket on which every step gets only what is left of the one deadline.

    So a peer cannot stretch the deadline by sending single bytes.
    """

    def __init__(self, connected: socket.socket, deadline: _Deadline) -> None:
        self._socket = connected
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._socket.settimeout(self._deadline.remaining(httpcore.ReadTimeout))
        try:
            return self._socket.recv(max_bytes)
        except TimeoutError:
            raise httpcore.ReadTimeout("read") from None
        except OSError:
            raise httpcore.ReadError("read") from None

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        rest = memoryview(buffer)
        while rest:
            self._socket.settimeout(self._deadline.remaining(httpcore.WriteTimeout))
            try:
                rest = rest[self._socket.send(rest) :]
            except TimeoutError:
                raise httpcore.WriteTimeout("write") from None
            except OSError:
                raise httpcore.WriteError("write") from None

    def close(self) -> None:
        self._socket.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        try:
            self._socket.settimeout(self._deadline.remaining(httpcore.ConnectTimeout))
            secured = ssl_context.wrap_socket(self._socket, server_hostname=server_hostname)
        except TimeoutError:
            self.close()
            raise httpcore.ConnectTimeout("tls") from None
        except OSError:
            self.close()
            raise OutboundFailed("tls_failed", "no trusted TLS connection to this host name") from None
        return _DeadlineStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return None
