"""One supervisor per state directory. The kernel drops the lock with its process, so none is ever left behind."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from meetbot.dev.errors import AlreadyRunning

_LOCK_FILE = "lock"


@contextmanager
def exclusive(state_directory: Path) -> Iterator[None]:
    """Hold the state directory. Raises `AlreadyRunning` at once where somebody else does."""
    descriptor = os.open(state_directory / _LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _try_lock(descriptor):
            holder = os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
            raise AlreadyRunning(
                "already_running",
                f"meetbot dev is already running in {state_directory} (process {holder})",
                next_step="use that one, stop it, or give this one another state directory",
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def is_held(state_directory: Path) -> bool:
    """Whether a supervisor runs in this state directory at this moment."""
    try:
        descriptor = os.open(state_directory / _LOCK_FILE, os.O_RDWR)
    except OSError:
        return False
    try:
        return not _try_lock(descriptor)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
