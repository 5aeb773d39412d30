"""Connections on which no wait outlasts the deadline, however the bytes are spread."""

from __future__ import annotations

import ipaddress
import queue
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import httpcore

from meetbot.outbound.deadline import StepSeconds
from meetbot.outbound.failures import OutboundFailed

Address = IPv4Address | IPv6Address
Resolver = Callable[[str, int, float], Sequence[Address]]
# Raises for addresses that must not be dialled.
Guard = Callable[[Sequence[Address]], None]

DNS_SECONDS = 5.0
ADDRESSES_TRIED = 4


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
        raise OutboundFailed("dns_failed", "the name was not resolved in time", unsent=True) from None
    if not isinstance(answer, list):
        raise OutboundFailed("dns_failed", "the name does not resolve", unsent=True)
    return tuple(dict.fromkeys(ipaddress.ip_address(sockaddr[0]) for *_, sockaddr in answer))


def allow_all(addresses: Sequence[Address]) -> None:
    """Judge no address: the guard for hosts that the operator has configured."""


class Dialler(httpcore.NetworkBackend):
    """Resolve a name once, have its addresses judged and dial only those.

    The peer is judged again once connected.
    """

    def __init__(self, *, guard: Guard = allow_all, resolver: Resolver = resolve) -> None:
        self._guard = guard
        self._resolver = resolver

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address that takes it.

        Raises `OutboundFailed` or what the guard raises.
        """
        seconds = _left(timeout, httpcore.ConnectTimeout)
        addresses = self._resolver(host, port, DNS_SECONDS if seconds is None else min(DNS_SECONDS, seconds))
        self._guard(addresses)
        for address in addresses[:ADDRESSES_TRIED]:
            try:
                seconds = _left(timeout, httpcore.ConnectTimeout)
                connected = socket.create_connection((str(address), port), timeout=seconds)
            except OSError:
                continue
            return DeadlineStream(self._judged_again(connected, address))
        raise OutboundFailed("connection_failed", "no address of the host takes connections", unsent=True)

    def _judged_again(self, connected: socket.socket, dialled: Address) -> socket.socket:
        try:
            peer = ipaddress.ip_address(connected.getpeername()[0])
            if peer != dialled:
                raise OutboundFailed("connection_failed", "another address answered than was dialled", unsent=True)
            self._guard((peer,))
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            connected.close()
            raise
        return connected


class DeadlineStream(httpcore.NetworkStream):
    """A socket on which every step gets only what is left of the exchange's deadline."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return the next bytes, none at the end."""
        self._socket.settimeout(_left(timeout, httpcore.ReadTimeout))
        try:
            return self._socket.recv(max_bytes)
        except TimeoutError:
            raise httpcore.ReadTimeout("read") from None
        except OSError:
            raise httpcore.ReadError("read") from None

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all bytes."""
        rest = memoryview(buffer)
        while rest:
            self._socket.settimeout(_left(timeout, httpcore.WriteTimeout))
            try:
                rest = rest[self._socket.send(rest) :]
            except TimeoutError:
                raise httpcore.WriteTimeout("write") from None
            except OSError:
                raise httpcore.WriteError("write") from None

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Secure the connection; Python's own deadline spans the whole handshake."""
        try:
            self._socket.settimeout(_left(timeout, httpcore.ConnectTimeout))
            secured = ssl_context.wrap_socket(self._socket, server_hostname=server_hostname)
        except TimeoutError:
            self.close()
            raise httpcore.ConnectTimeout("tls") from None
        except OSError:
            self.close()
            raise OutboundFailed("tls_failed", "no trusted TLS connection to this host name", unsent=True) from None
        return DeadlineStream(secured)

    def get_extra_info(self, info: str) -> Any:
        """Return whether something is to be read: it tells that an idle peer has hung up."""
        return _is_readable(self._socket) if info == "is_readable" else None


def _is_readable(connected: socket.socket) -> bool:
    if connected.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(connected, select.POLLIN)
    return bool(poll.poll(0))


def _left(timeout: float | None, error: type[httpcore.TimeoutException]) -> float | None:
    """The seconds for the next wait, more than 0. Raises `error` if none are left."""
    seconds = timeout.left() if isinstance(timeout, StepSeconds) else timeout
    if seconds is not None and seconds <= 0:
        raise error("deadline")
    return seconds
