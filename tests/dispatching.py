"""The dispatch of one bot at a time, for tests that move the clock instead of sleeping."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from activities.dispatch import CHANGED, TRIES, Asked, DispatchSteps
from activities.services import Services
from meetbot.bots.launch_batches import Intended
from meetbot.temporal.messages import DispatchOutcome, DispatchRequest, DispatchResult


class SingleDispatch:
    """Takes one bot through all steps in the caller's thread.

    ``sleep_until`` blocks until an instant.
    """

    def __init__(self, services: Services, *, sleep_until: Callable[[datetime], None]) -> None:
        self._services = services
        self._steps = DispatchSteps(services)
        self._sleep_until = sleep_until

    def dispatch(self, request: DispatchRequest) -> DispatchResult:
        """Re-check with the provider, wait for the very instant, and ask the backend.

        Safe to repeat at any point. Raises `BackendUnavailable` if asking again may help.
        """
        for _ in range(TRIES):
            result = self._try_to_dispatch(request)
            if result.outcome is not DispatchOutcome.CHANGED or not self._steps.is_still_due(request):
                return result
        return CHANGED

    def _try_to_dispatch(self, request: DispatchRequest) -> DispatchResult:
        armed = self._steps.arm(request)
        if isinstance(armed, DispatchResult):
            return armed
        if self._services.clock() < armed.due.second_look_at:
            self._sleep_until(armed.due.second_look_at)
            if (stopped := self._steps.look_again(armed)) is not None:
                return stopped
        self._sleep_until(armed.due.dispatch_at)
        (intended,) = self._steps.write_intents(request.tenant_id, [armed])
        return CHANGED if intended is None else self._steps.record(asyncio.run(self._ask(intended)))

    async def _ask(self, intended: Intended) -> Asked:
        try:
            return await self._steps.ask(intended)
        finally:
            await self._steps.close()
