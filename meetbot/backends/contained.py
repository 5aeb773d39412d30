"""A bot backend whose own faults are outages.

Whatever goes wrong in an adapter once a request may have been sent counts as a lost answer: it is noted, tried again, and ends
when the bot's time is up.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from meetbot.backends.base import BackendBot, BotBackend, BotRequest
from meetbot.errors import BackendError, BackendUnavailable

_log = structlog.get_logger(__name__)


class ContainedBackend:
    """A `BotBackend` that turns an unexpected error into ``backend_adapter_failed``."""

    def __init__(self, backend: BotBackend) -> None:
        self._backend = backend
        self.name = backend.name
        self.idempotency = backend.idempotency

    def create(self, request: BotRequest) -> BackendBot:
        """Make the bot, or return the one that was made for the same external id."""
        with _contained():
            return self._backend.create(request)

    async def create_async(self, request: BotRequest) -> BackendBot:
        """Do what `create` does on the event loop, for bots that go out together."""
        with _contained():
            return await self._backend.create_async(request)

    async def warm(self, connections: int) -> None:
        """Prepare for so many calls of `create_async`. A fault is none."""
        try:
            await self._backend.warm(connections)
        except Exception as error:
            _log.warning("backend.not_warmed", code=type(error).__name__)

    def look_up(self, request: BotRequest) -> BackendBot | None:
        """Return the bot of an earlier `create` whose answer was lost, or None if there is none."""
        with _contained():
            return self._backend.look_up(request)

    def cancel(self, backend_bot_id: str) -> None:
        """Take the bot back, or out of the meeting."""
        with _contained():
            self._backend.cancel(backend_bot_id)

    async def progress_async(self, backend_bot_id: str) -> BackendBot:
        """Do what `progress` does on the event loop."""
        with _contained():
            return await self._backend.progress_async(backend_bot_id)

    def progress(self, backend_bot_id: str) -> BackendBot:
        """Return the bot as it is now."""
        with _contained():
            return self._backend.progress(backend_bot_id)


@contextmanager
def _contained() -> Iterator[None]:
    try:
        yield
    except BackendError:
        raise
    except Exception as error:
        _log.error("backend.adapter_failed", code=type(error).__name__)
        # Whether anything was done is not known.
        raise BackendUnavailable("backend_adapter_failed", f"a fault of ours ({type(error).__name__})") from error
