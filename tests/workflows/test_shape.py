"""Loops that continue as new and children that outlive them, on the real server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from temporalio import activity

from meetbot.domain.bot_state import BotState
from meetbot.domain.plan import Target
from meetbot.temporal.client import connect
from meetbot.temporal.messages import CalendarUserSignal, SyncScope
from tests.workflows.fake_activities import Answer, Call, Harness, running_workers
from tests.workflows.histories import children_in, signals_in
from tests.workflows.simulation import Simulation

pytestmark = pytest.mark.stack

SECOND = timedelta(seconds=1)
_SECONDS_PER_RUN = 60.0
_T = TypeVar("_T")


def run(runner: asyncio.Runner, address: str, answer: Answer, scenario: Callable[[Harness], Awaitable[_T]]) -> _T:
    async def whole() -> _T:
        client = await connect(address)
        async with asyncio.timeout(_SECONDS_PER_RUN), running_workers(client, answer) as harness:
            return await harness.run(scenario)

    return runner.run(whole())


def test_bots_outlive_the_run_that_started_them_and_later_runs_reach_them(
    runner: asyncio.Runner, temporal_address: str
) -> None:
    now = datetime.now(UTC)
    simulation = Simulation(lead=SECOND)
    joined, cancelled = (Target(now + 3 * SECOND, now + 3600 * SECOND, url) for url in ("a", "b"))
    simulation.put("cu_1", "mtg_joined", joined)
    simulation.put("cu_1", "mtg_cancelled", Target(now + 600 * SECOND, now + 3600 * SECOND, cancelled.meeting_url))
    runs: list[str | None] = []

    async def by_the_number_of_runs(call: Call) -> object:
        if call.name == "calendar.sync":
            runs.append(activity.info().workflow_run_id)
            if len(set(runs)) > 1 and "mtg_cancelled" in simulation.bots:
                simulation.cancel("mtg_cancelled")
            # Not with the sync that brought the news: a later run reaches the bots too.
            if len(set(runs)) > 2 and simulation.dispatched and "mtg_cancelled" not in simulation.calendars["cu_1"]:
                simulation.gone.add("cu_1")
        return await simulation.answer(call)

    async def scenario(harness: Harness) -> list[list[str]]:
        handle = await harness.connect(interval_seconds=1, rounds_per_run=3)
        await handle.result()
        meetings = [harness.bot("mtg_joined"), harness.bot("mtg_cancelled")]
        for meeting in meetings:
            await meeting.result()
        return [signals_in(await meeting.fetch_history()) for meeting in meetings]

    signals = run(runner, temporal_address, by_the_number_of_runs, scenario)

    assert len(set(runs)) > 2
    assert [one.meeting_key for one in simulation.dispatched] == ["mtg_joined"]
    assert [heard[-1] for heard in signals] == ["release", "release"]
    assert simulation.recalled == ["mtg_joined"]
    assert {bot.state for bot in simulation.bots.values()} == {BotState.CANCELLED}


def test_none_of_fifty_signals_is_lost_while_the_loop_continues_as_new(
    runner: asyncio.Runner, temporal_address: str
) -> None:
    """Each sync after the first is owed to a signal, and brings the next one.

    No slot comes within the hour.
    """
    simulation = Simulation()
    sending: set[asyncio.Task[None]] = set()
    harnesses: list[Harness] = []
    syncs = 0

    async def signal_after(delay: float) -> None:
        await asyncio.sleep(delay)
        await harnesses[0].calendar().signal(CalendarUserSignal.SYNC_NOW)

    async def each_sync_brings_a_signal(call: Call) -> object:
        nonlocal syncs
        syncs += 1
        if syncs > 50:
            simulation.gone.add("cu_1")
        elif syncs % 3 == 0:
            await signal_after(0)
        else:
            # At various points of the workflow's next steps, continuing as new among them.
            task = asyncio.create_task(signal_after(syncs % 7 * 0.005))
            sending.add(task)
        return await simulation.answer(call)

    async def scenario(harness: Harness) -> tuple[int, int]:
        harnesses.append(harness)
        handle = await harness.connect(interval_seconds=3600, rounds_per_run=6)
        await handle.result()
        await asyncio.gather(*sending)
        return syncs, await runs_of(harness)

    answered, runs = run(runner, temporal_address, each_sync_brings_a_signal, scenario)

    assert answered == 51
    assert runs == 9


def test_changed_rules_ask_no_provider_even_across_continue_as_new(
    runner: asyncio.Runner, temporal_address: str
) -> None:
    simulation = Simulation()
    scopes: list[SyncScope] = []
    harnesses: list[Harness] = []

    async def each_round_is_a_run(call: Call) -> object:
        scopes.append(call.request.scope)
        if len(scopes) == 3:
            simulation.gone.add("cu_1")
        else:
            await harnesses[0].calendar().signal(CalendarUserSignal.RULES_CHANGED)
        return await simulation.answer(call)

    async def scenario(harness: Harness) -> int:
        harnesses.append(harness)
        handle = await harness.connect(interval_seconds=3600, rounds_per_run=1)
        await handle.result()
        return await runs_of(harness)

    assert run(runner, temporal_address, each_round_is_a_run, scenario) > 1
    assert scopes[0] is SyncScope.CALENDAR
    assert SyncScope.CALENDAR not in scopes[1:]


def test_many_meetings_get_bots_in_batches_and_signals_are_handled_in_between(
    runner: asyncio.Runner, temporal_address: str
) -> None:
    now, simulation = datetime.now(UTC), Simulation()
    numbers = [f"{number:03}" for number in range(120)]
    for number in numbers:
        start = now + timedelta(hours=5) - timedelta(minutes=int(number))
        simulation.put("cu_1", f"mtg_{number}", Target(start, start + timedelta(minutes=30), "a"))
    scopes: list[SyncScope] = []
    harnesses: list[Harness] = []
    there: set[str] = set()
    all_there = asyncio.Event()

    async def a_sync_is_asked_for_meanwhile(call: Call) -> object:
        if call.name == "calendar.sync":
            scopes.append(call.request.scope)
            if len(scopes) == 2:
                await harnesses[0].calendar().signal(CalendarUserSignal.SYNC_NOW)
            if all_there.is_set():
                simulation.gone.add("cu_1")
        elif call.name == "bot.reconcile":
            there.add(call.request.meeting_key)
            if len(there) == len(numbers):
                all_there.set()
        return await simulation.answer(call)

    async def scenario(harness: Harness) -> list[str]:
        harnesses.append(harness)
        handle = await harness.connect(interval_seconds=3600, children_per_batch=50)
        await all_there.wait()
        await handle.signal(CalendarUserSignal.SYNC_NOW)
        await handle.result()
        return [one.rpartition("_")[2] for one in children_in(await handle.fetch_history())]

    started = run(runner, temporal_address, a_sync_is_asked_for_meanwhile, scenario)

    nearest_first = sorted(numbers, reverse=True)
    assert [set(started[at : at + 50]) for at in (0, 50, 100)] == [
        set(nearest_first[:50]),
        set(nearest_first[50:100]),
        set(nearest_first[100:]),
    ]
    assert scopes[:3] == [SyncScope.CALENDAR, SyncScope.DECISIONS, SyncScope.CALENDAR]


async def runs_of(harness: Harness) -> int:
    """How many runs the calendar user's workflow went through, counted back from the last."""
    runs, handle = 1, harness.calendar()
    while True:
        started = (await handle.fetch_history()).events[0].workflow_execution_started_event_attributes
        if not started.continued_execution_run_id:
            return runs
        runs += 1
        handle = harness.client.get_workflow_handle(handle.id, run_id=started.continued_execution_run_id)
