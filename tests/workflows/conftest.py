"""Virtual time for the tests of this folder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TypeVar

import pytest
from temporalio.api.testservice.v1 import LockTimeSkippingRequest, UnlockTimeSkippingRequest
from temporalio.testing import WorkflowEnvironment

from meetbot.domain.sync_slots import next_slot, sync_phase
from tests.workflows.fake_activities import Answer, Harness, running_workers, start_time_skipping

# Only ends a run that hangs; no test depends on how long one takes.
_SECONDS_PER_RUN = 100.0
INTERVAL = timedelta(minutes=5)
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

    def play(self, answer: Answer, scenario: Callable[[Harness], Awaitable[_T]]) -> _T:
        """Do the same as `run`, under its earlier name."""
        return self.run(answer, scenario)

    def run(self, answer: Answer, scenario: Callable[[Harness], Awaitable[_T]]) -> _T:
        """Return what the scenario returns, with ``answer`` for all activities."""

        async def whole() -> _T:
            async with (
                asyncio.timeout(_SECONDS_PER_RUN),
                running_workers(self._environment.client, answer, skipping=self._skipping) as harness,
            ):
                return await harness.run(scenario)

        return self._runner.run(whole())


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def virtual_time(runner: asyncio.Runner) -> Iterator[VirtualTime]:
    """Virtual time on a server of the test's own.

    Ending a workflow lets the server jump ten years ahead, to the timeout of the ended run. Its present is just past a slot
    of the user ``cu_1``, so that no test depends on the time of day it is run at.
    """
    environment = runner.run(start_time_skipping())
    try:
        virtual_time = VirtualTime(runner, environment)
        present = virtual_time.now()
        slot = next_slot(present, INTERVAL, sync_phase("cu_1", INTERVAL))
        runner.run(virtual_time.wait(slot - present + timedelta(seconds=2)))
        yield virtual_time
    finally:
        runner.run(environment.shutdown())


@pytest.fixture
def theatre(virtual_time: VirtualTime) -> VirtualTime:
    """The fixture `virtual_time` under its earlier name."""
    return virtual_time
