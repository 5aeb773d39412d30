"""Heartbeats from beside a blocking activity, so that its worker's death is noticed within seconds."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from temporalio import activity

_PERIOD_SECONDS = 1.0


@contextmanager
def heartbeating() -> Iterator[None]:
    """Heartbeat every second until the block is left."""
    stop = threading.Event()
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(_beat, stop), name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _beat(stop: threading.Event) -> None:
    while not stop.is_set():
        activity.heartbeat()
        stop.wait(_PERIOD_SECONDS)
