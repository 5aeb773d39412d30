"""Workflows run in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TypeVar

from temporalio.api.testservice.v1 import LockTimeSkippingRequest, UnlockTimeSkippingRequest
from temporalio.testing import WorkflowEnvironment

from tests.workflows.fake_activities import Answer, Harness, running_workers

# Only ends a run that hangs; no test depends on how long one takes.
_SECONDS_PER_RUN = 100.0
_T = TypeVar("_T")


class VirtualTime:
    """Runs workflows in virtual time."""

    def __init__(self, runner: asyncio.Runner, environment: WorkflowEnvironment) -> None:
        self._runner = runner
        self._environment = environment
        self.server_now = environment.get_current_time

    def now(self) -> datetime:
        """Return the server's time, to the next full second."""
        present = self._runner.run(self._environment.get_current_time())
        return present.replace(microsecond=0) + timedelta(seconds=1)

    async def wait(self, duration: timedelta) -> None:
        """Let the server's time pass."""
        await self._environment.sleep(duration)

    @asynccontextmanager
    async def _skipping(self) -> AsyncIterator[None]:
        server = self._environment.client.service_client.test_service
        await server.unlock_time_skipping(UnlockTimeSkippingRequest())
        try:
            yield
        finally:
            await server.lock_time_skipping(LockTimeSkippingRequest())

    def run(self, answer: Answer, scenario: Callable[[Harness], Awaitable[_T]]) -> _T:
        """Return what the scenario returns, with ``answer`` for all activities."""

        async def whole() -> _T:
            async with (
                asyncio.timeout(_SECONDS_PER_RUN),
                running_workers(self._environment.client, answer, skipping=self._skipping) as harness,
            ):
                return await harness.run(scenario)

        return self._runner.run(whole())
