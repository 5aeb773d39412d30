"""What the calendar user's workflow does about push."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

from meetbot.errors import RetryLater
from meetbot.temporal.calendar_messages import PushRequest
from meetbot.temporal.messages import CalendarUserSignal
from tests.workflows.calendar_runs import GONE, HOUR, MINUTE, NOTHING_PLANNED, QUIET
from tests.workflows.fake_activities import Call, Harness, Script
from tests.workflows.virtual_time import VirtualTime

DUE = replace(NOTHING_PLANNED, push_due=True)


def test_push_is_seen_to_only_if_a_sync_says_so(virtual_time: VirtualTime) -> None:
    async def whole(harness: Harness) -> list[str]:
        await harness.end_of(await harness.connect())
        (ensured,) = harness.called("calendar.ensure_push")
        assert ensured.request == PushRequest(harness.tenant_id, "cu_1")
        return [call.name for call in harness.calls]

    script = Script(sync=[NOTHING_PLANNED, DUE, QUIET, GONE], ensure_push=[None])
    assert virtual_time.run(script.answer, whole) == [
        "calendar.sync",
        "calendar.sync",
        "calendar.ensure_push",
        "calendar.sync",
        "calendar.sync",
    ]


def test_push_that_fails_does_not_stop_the_loop(virtual_time: VirtualTime) -> None:
    async def whole(harness: Harness) -> int:
        await harness.end_of(await harness.connect())
        return len(harness.called("calendar.sync"))

    script = Script(sync=[DUE, QUIET, GONE], ensure_push=[RetryLater("provider_unavailable", "down")])
    assert virtual_time.run(script.answer, whole) == 3


def test_push_that_hangs_holds_nothing_back_and_is_not_begun_twice(virtual_time: VirtualTime) -> None:
    synced_thrice = asyncio.Event()

    async def hang(call: Call) -> None:
        await asyncio.wait_for(synced_thrice.wait(), timeout=30)

    def release(call: Call) -> object:
        synced_thrice.set()
        return GONE

    async def called(harness: Harness, name: str, times: int) -> None:
        while len(harness.called(name)) < times:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    async def whole(harness: Harness) -> tuple[int, int]:
        handle = await harness.connect()
        await called(harness, "calendar.ensure_push", 1)
        for times in (2, 3):
            await handle.signal(CalendarUserSignal.SYNC_NOW)
            await called(harness, "calendar.sync", times)
        await harness.end_of(handle)
        return len(harness.called("calendar.sync")), len(harness.called("calendar.ensure_push"))

    script = Script(sync=[DUE, DUE, release], ensure_push=[hang])
    assert virtual_time.run(script.answer, whole) == (3, 1)


def test_the_wait_is_as_long_as_the_last_sync_asks(virtual_time: VirtualTime) -> None:
    relaxed = replace(QUIET, wait_seconds=3600)

    async def whole(harness: Harness) -> list[float]:
        await harness.end_of(await harness.connect())
        at = [call.at for call in harness.called("calendar.sync")]
        return [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(at)]

    gaps = virtual_time.run(Script(sync=[NOTHING_PLANNED, relaxed, relaxed, QUIET, GONE]).answer, whole)
    assert gaps[2] > HOUR.total_seconds() - MINUTE.total_seconds()
    assert gaps[3] < 6 * MINUTE.total_seconds()
