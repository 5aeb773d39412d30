"""Ports on the loopback interface: the usual one where it is free, any free one otherwise."""

from __future__ import annotations

import socket

HOST = "127.0.0.1"


def free_port(usual: int = 0, *, taken: frozenset[int] | set[int] = frozenset()) -> int:
    """A port nobody listens on. ``usual`` 0 means any; ``taken`` are ports given away but not yet listened on."""
    if usual and usual not in taken and _can_bind(usual):
        return usual
    while True:
        port = _any_port()
        if port not in taken:
            return port


def is_listening(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((HOST, port)) == 0


def _can_bind(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Connections of an earlier run that linger in TIME_WAIT do not make the port taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return not is_listening(port)


def _any_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
