"""Virtual time for the tests of this folder."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest

from meetbot.domain.sync_slots import next_slot, sync_phase
from tests.workflows.bot_runs import HOUR, Meeting
from tests.workflows.fake_activities import start_time_skipping
from tests.workflows.virtual_time import VirtualTime

INTERVAL = timedelta(minutes=5)


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
def meeting(virtual_time: VirtualTime) -> Meeting:
    """A meeting in two hours."""
    return Meeting(virtual_time.now() + 2 * HOUR)
