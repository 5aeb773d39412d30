"""Open connections shortly before the bots of a second need them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

# It takes a second at most, and what was opened is kept for some seconds.
_AHEAD = timedelta(seconds=1.5)


class Warming:
    """Prepares once for all bots of a second: ``warm`` is called with it, as seconds since 1970."""

    def __init__(self, clock: Callable[[], datetime], warm: Callable[[int], Awaitable[None]]) -> None:
        self._clock, self._warm = clock, warm
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def expect(self, at: datetime) -> None:
        """Note that a bot goes at that instant; for one that is too near nothing is prepared."""
        second = int(at.timestamp())
        if second in self._tasks or self._clock() > at - _AHEAD:
            return
        task = self._tasks[second] = asyncio.create_task(self._prepare(at))
        task.add_done_callback(lambda _: self._tasks.pop(second, None))

    async def stop(self) -> None:
        """Prepare nothing more."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _prepare(self, at: datetime) -> None:
        while (seconds := (at - _AHEAD - self._clock()).total_seconds()) > 0:  # noqa: ASYNC110 - not the loop's clock
            await asyncio.sleep(seconds)
        await self._warm(int(at.timestamp()))
