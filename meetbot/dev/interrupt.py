"""Ctrl-C and friends, as a flag that every waiting loop looks at. The second one means: now."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from meetbot.dev.errors import StopRequested

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupt:
    def __init__(self) -> None:
        self._requests = 0

    def request(self, _signal: int, _frame: FrameType | None) -> None:
        self._requests += 1

    def keep_going(self) -> None:
        """Raises `StopRequested` once a signal has come."""
        if self._requests:
            raise StopRequested("stop_requested", "asked to stop")

    def hurry(self) -> bool:
        return self._requests > 1


@contextmanager
def listening_for_signals() -> Iterator[Interrupt]:
    """Call it in the main thread; the signals' earlier meaning returns afterwards."""
    interrupt = Interrupt()
    earlier = {number: signal.signal(number, interrupt.request) for number in _SIGNALS}
    try:
        yield interrupt
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
