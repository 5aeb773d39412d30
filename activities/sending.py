"""Ask the backend for many bots at once.

Their answers wait while others are on their way.
"""

from __future__ import annotations

import asyncio

from activities.dispatch import Asked, DispatchSteps
from meetbot.bots.launch_batches import Intended

_MANY = 10
_LONGEST_SECONDS = 1.0
_PAUSE_SECONDS = 0.05


class Sending:
    """The requests for bots that are on their way from this process."""

    def __init__(self, steps: DispatchSteps) -> None:
        self._steps = steps
        self._on_their_way = 0

    async def ask(self, intended: Intended) -> Asked:
        """Ask the backend for a bot; return what came of it.

        It returns once few others are on their way, or a second later: noting it would take the CPU time that they need. If
        this process dies meanwhile, they are asked for again under the same external ids.
        """
        self._on_their_way += 1
        try:
            asked = await self._steps.ask(intended)
        finally:
            self._on_their_way -= 1
        ends_at = asyncio.get_running_loop().time() + _LONGEST_SECONDS
        while self._on_their_way >= _MANY and asyncio.get_running_loop().time() < ends_at:  # noqa: ASYNC110 - few at once
            await asyncio.sleep(_PAUSE_SECONDS)
        return asked
