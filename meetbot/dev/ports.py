"""Ports on the loopback interface: the usual one where it is free, any free one otherwise."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import tempfile
from pathlib import Path

HOST = "127.0.0.1"

_TRIES = 200
# Below the ports that systems hand out themselves (RFC 6335 8.1.2, Linux from 32768): one of those may become the near end of
# anybody's connection before our server listens on it.
_CHOICE = range(20_000, 32_000)
# Open for as long as this process lives: with it goes the claim.
_claims: list[int] = []


def free_port(usual: int = 0) -> int:
    """A port nobody listens on, and which no other call, here or in another process of ours, is given meanwhile:
    between the choice of a port and the moment its server listens, seconds pass. ``usual`` 0 means any."""
    if usual and _can_bind(usual) and _claim(usual):
        return usual
    for _ in range(_TRIES):
        port = secrets.choice(_CHOICE)
        if _can_bind(port) and _claim(port):
            return port
    raise OSError(f"no free port on {HOST} in {_TRIES} tries")


def is_listening(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((HOST, port)) == 0


def _claim(port: int) -> bool:
    directory = Path(tempfile.gettempdir()) / f"meetbot-ports-{os.getuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(directory / str(port), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    _claims.append(descriptor)
    return True


def _can_bind(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Connections of an earlier run that linger in TIME_WAIT do not make the port taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return not is_listening(port)
