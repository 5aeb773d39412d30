"""Polling a calendar by an activity that fails until there is something to tell."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from activities.interceptors import ErrorCodes, Heartbeats
from activities.watch import WatchActivity
from meetbot.clock import utc_now
from meetbot.domain.calendar_user import CalendarUserStatus
from meetbot.errors import RetryLater
from meetbot.temporal.client import connect
from meetbot.temporal.messages import (
    ActivityName,
    CalendarUserSignal,
    CalendarUserState,
    SyncRequest,
    SyncResult,
    SyncScope,
    TaskQueue,
    WorkflowName,
)
from workflows.calendar_user import CalendarUserWorkflow

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]

_PATIENCE_SECONDS = 60
_QUIET = SyncResult(CalendarUserStatus.ACTIVE, "d_none", None)
_CHANGED = SyncResult(CalendarUserStatus.ACTIVE, "d_none", (), changed=1)
_HOUR = 3600


@dataclass(slots=True)
class Calendar:
    """What syncs find, one after the other; nothing new after the last."""

    answers: list[SyncResult | Exception] = field(default_factory=list)
    polls: int = 0
    decisions: int = 0
    under_way: int = 0
    most_under_way: int = 0
    during: Callable[[], object] = lambda: None

    def sync(self, request: SyncRequest) -> SyncResult:
        self.polls += 1
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            self.during()
            answer = self.answers.pop(0) if self.answers else _QUIET
        finally:
            self.under_way -= 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    @activity.defn(name=ActivityName.CALENDAR_SYNC)
    def decide(self, request: SyncRequest) -> SyncResult:
        assert request.scope is SyncScope.DECISIONS
        self.decisions += 1
        return _QUIET


@dataclass(frozen=True, slots=True)
class Loop:
    handle: WorkflowHandle[Any, Any]

    async def signal(self, signal: CalendarUserSignal) -> None:
        await self.handle.signal(signal)

    async def events(self) -> int:
        return len((await self.handle.fetch_history()).events)

    async def pending(self) -> Any:
        description = await self.handle.describe()
        return description.raw_description.pending_activities[0]


async def until(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not look():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.05)


def run(
    temporal_address: str, calendar: Calendar, scenario: Callable[[Loop], Awaitable[None]], *, interval_seconds: int
) -> None:
    async def whole() -> None:
        client: Client = await connect(temporal_address)
        watching = WatchActivity(calendar.sync, utc_now)
        with ThreadPoolExecutor(4) as pool:
            async with (
                Worker(client, task_queue=TaskQueue.CALENDAR_USERS, workflows=[CalendarUserWorkflow]),
                Worker(
                    client,
                    task_queue=TaskQueue.SYNC,
                    activities=[watching.watch, calendar.decide],
                    activity_executor=pool,
                    max_concurrent_activities=4,
                    interceptors=[ErrorCodes(), Heartbeats()],
                ),
            ):
                state = CalendarUserState("tnt_1", "cu_1", "google", interval_seconds, watches=True)
                handle = await client.start_workflow(
                    WorkflowName.CALENDAR_USER, state, id="calendar", task_queue=TaskQueue.CALENDAR_USERS
                )
                await scenario(Loop(handle))
                await handle.signal(CalendarUserSignal.DISCONNECT)
                await asyncio.wait_for(handle.result(), _PATIENCE_SECONDS)

    asyncio.run(whole())


def test_a_poll_that_finds_nothing_adds_no_event_and_says_when_the_next_one_is(temporal_address: str) -> None:
    calendar = Calendar([_CHANGED])

    async def scenario(loop: Loop) -> None:
        await until(lambda: calendar.polls >= 3)
        before, polls = await loop.events(), calendar.polls
        await until(lambda: calendar.polls >= polls + 3)
        assert await loop.events() == before
        said = (await loop.pending()).last_failure.message
        assert said.startswith("nothing new at 20")
        assert ", next poll at " in said

    run(temporal_address, calendar, scenario, interval_seconds=1)


@pytest.mark.parametrize("signal", [CalendarUserSignal.SYNC_NOW, CalendarUserSignal.RECONNECTED])
def test_a_signal_between_two_slots_has_the_calendar_polled_at_once(
    temporal_address: str, signal: CalendarUserSignal
) -> None:
    calendar = Calendar([_CHANGED])

    async def scenario(loop: Loop) -> None:
        await until(lambda: calendar.polls == 1)
        for polls in range(2, 5):
            await loop.signal(signal)
            await until(lambda polls=polls: calendar.polls == polls)  # type: ignore[misc]

    run(temporal_address, calendar, scenario, interval_seconds=_HOUR)


def test_signals_during_a_poll_bring_another_one_and_never_two_at_once(temporal_address: str) -> None:
    slow = asyncio.Event()
    calendar = Calendar([_CHANGED])

    async def scenario(loop: Loop) -> None:
        await until(lambda: calendar.polls == 1)
        running = asyncio.get_running_loop()
        calendar.during = lambda: asyncio.run_coroutine_threadsafe(slow.wait(), running).result(_PATIENCE_SECONDS)
        await loop.signal(CalendarUserSignal.SYNC_NOW)
        await until(lambda: calendar.polls == 2)
        await loop.signal(CalendarUserSignal.SYNC_NOW)
        slow.set()
        await until(lambda: calendar.polls >= 3)

    run(temporal_address, calendar, scenario, interval_seconds=_HOUR)

    assert calendar.most_under_way == 1


def test_changed_rules_are_applied_at_once_without_asking_the_provider(temporal_address: str) -> None:
    calendar = Calendar([_CHANGED, _CHANGED])

    async def scenario(loop: Loop) -> None:
        await until(lambda: calendar.polls == 1)
        await loop.signal(CalendarUserSignal.RULES_CHANGED)
        await until(lambda: calendar.decisions == 1)

    run(temporal_address, calendar, scenario, interval_seconds=_HOUR)

    assert calendar.polls == 1


def test_a_provider_that_fails_is_tried_three_times_more_and_its_code_is_shown(temporal_address: str) -> None:
    outage = RetryLater("provider_unavailable", "the words of the provider", retry_after=timedelta(milliseconds=10))
    calendar = Calendar([_CHANGED, *[outage] * 4])

    async def scenario(loop: Loop) -> None:
        await until(lambda: calendar.polls == 1)
        await loop.signal(CalendarUserSignal.SYNC_NOW)
        await until(lambda: calendar.polls == 5)
        failure = (await loop.pending()).last_failure
        assert (failure.message, failure.application_failure_info.type) == ("provider_unavailable",) * 2
        await loop.signal(CalendarUserSignal.SYNC_NOW)
        await until(lambda: calendar.polls == 6)

    run(temporal_address, calendar, scenario, interval_seconds=_HOUR)
