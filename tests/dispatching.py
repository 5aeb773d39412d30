"""The dispatch of one bot at a time, for tests that move the clock instead of sleeping."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

from activities.dispatch import CHANGED, TRIES, DispatchSteps
from activities.services import Services
from meetbot.temporal.messages import DispatchOutcome, DispatchRequest, DispatchResult

_T = TypeVar("_T")


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
            if not self._run(self._steps.is_settled(armed)):
                stopped = self._steps.look_again(armed)
                if stopped is not None:
                    return stopped
        self._sleep_until(armed.due.dispatch_at)
        (intended,) = self._steps.write_intents(request.tenant_id, [armed])
        return CHANGED if intended is None else self._steps.record(self._run(self._steps.ask(intended)))

    def _run(self, step: Awaitable[_T]) -> _T:
        async def whole() -> _T:
            try:
                return await step
            finally:
                await self._steps.close()

        return asyncio.run(whole())
