"""What the calendar user's workflow does with each signal."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from meetbot.domain.bot_state import BotState
from meetbot.errors import RetryLater
from meetbot.temporal.messages import CalendarUserSignal, SyncResult, SyncScope
from tests.workflows.calendar_runs import (
    GONE,
    HOUR,
    MINUTE,
    NOTHING_PLANNED,
    QUIET,
    SECOND,
    SOON,
    connected_until,
    lasting_half_an_hour,
    run,
)
from tests.workflows.fake_activities import Call, Harness, Script
from tests.workflows.histories import history_of, signals_in
from tests.workflows.simulation import Simulation
from tests.workflows.virtual_time import VirtualTime


async def signalled(virtual_time: VirtualTime, harness: Harness, *signals: CalendarUserSignal) -> None:
    await virtual_time.wait(SECOND)
    for signal in signals:
        await harness.calendar().signal(signal)


@pytest.mark.parametrize(
    ("signal", "scope"),
    [
        (CalendarUserSignal.SYNC_NOW, SyncScope.CALENDAR),
        (CalendarUserSignal.RECONNECTED, SyncScope.CALENDAR),
        (CalendarUserSignal.RULES_CHANGED, SyncScope.DECISIONS),
    ],
)
def test_a_signal_brings_the_sync_it_is_for(
    virtual_time: VirtualTime, signal: CalendarUserSignal, scope: SyncScope
) -> None:
    async def whole(harness: Harness) -> list[SyncScope]:
        handle = await harness.connect()
        await signalled(virtual_time, harness, signal)
        await harness.end_of(handle)
        return [call.request.scope for call in harness.called("calendar.sync")]

    assert virtual_time.run(Script(sync=[NOTHING_PLANNED, GONE]).answer, whole) == [SyncScope.CALENDAR, scope]


def test_changed_rules_are_applied_while_a_sync_hangs_and_once_more_after_it(virtual_time: VirtualTime) -> None:
    harnesses: list[Harness] = []
    applied = asyncio.Event()
    decisions = iter([NOTHING_PLANNED, GONE])

    async def hang_until_the_rules_are_applied(call: Call) -> SyncResult:
        await harnesses[0].calendar().signal(CalendarUserSignal.RULES_CHANGED)
        await asyncio.wait_for(applied.wait(), timeout=30)
        return NOTHING_PLANNED

    async def answer(call: Call) -> SyncResult:
        if call.request.scope is SyncScope.CALENDAR:
            return await hang_until_the_rules_are_applied(call)
        applied.set()
        return next(decisions)

    async def whole(harness: Harness) -> list[SyncScope]:
        harnesses.append(harness)
        handle = await harness.connect()
        await harness.end_of(handle)
        return [call.request.scope for call in harness.called("calendar.sync")]

    assert virtual_time.run(answer, whole) == [SyncScope.CALENDAR, SyncScope.DECISIONS, SyncScope.DECISIONS]


def test_signals_that_come_together_bring_one_sync_that_serves_them_all(virtual_time: VirtualTime) -> None:
    harnesses: list[Harness] = []

    async def signals_meanwhile(call: Call) -> SyncResult:
        for signal in (CalendarUserSignal.SYNC_NOW, CalendarUserSignal.RECONNECTED, CalendarUserSignal.SYNC_NOW):
            await harnesses[0].calendar().signal(signal)
        return NOTHING_PLANNED

    async def whole(harness: Harness) -> list[SyncScope]:
        harnesses.append(harness)
        await harness.end_of(await harness.connect())
        return [call.request.scope for call in harness.called("calendar.sync")]

    script = Script(sync=[signals_meanwhile, GONE])

    assert virtual_time.run(script.answer, whole) == [SyncScope.CALENDAR, SyncScope.CALENDAR]


def test_a_sync_asked_for_while_changed_rules_are_applied_serves_both(virtual_time: VirtualTime) -> None:
    harnesses: list[Harness] = []
    applied = asyncio.Event()

    async def hang(call: Call) -> SyncResult:
        for signal in (CalendarUserSignal.SYNC_NOW, CalendarUserSignal.RULES_CHANGED):
            await harnesses[0].calendar().signal(signal)
        await applied.wait()
        return NOTHING_PLANNED

    def apply(call: Call) -> SyncResult:
        applied.set()
        return QUIET

    async def whole(harness: Harness) -> list[tuple[SyncScope, str]]:
        harnesses.append(harness)
        await harness.end_of(await harness.connect())
        return [(call.request.scope, call.request.plan_digest) for call in harness.called("calendar.sync")]

    # The last one is to see the whole plan: the hanging one may have decided by the earlier rules.
    assert virtual_time.run(Script(sync=[hang, apply, GONE]).answer, whole) == [
        (SyncScope.CALENDAR, ""),
        (SyncScope.DECISIONS, ""),
        (SyncScope.CALENDAR, ""),
    ]


def test_changed_rules_withdraw_the_bot_without_asking_the_provider(virtual_time: VirtualTime) -> None:
    simulation, start = Simulation(), virtual_time.now()
    simulation.put("cu_1", "mtg_1", lasting_half_an_hour(start + HOUR))
    connected_until(simulation, start + 20 * MINUTE)

    async def change_rules(harness: Harness) -> None:
        await virtual_time.wait(MINUTE)
        simulation.skipped.add("mtg_1")
        await harness.calendar().signal(CalendarUserSignal.RULES_CHANGED)
        await harness.end_of(harness.bot())

    harness = run(virtual_time, simulation, change_rules)

    assert SyncScope.DECISIONS in {call.request.scope for call in harness.called("calendar.sync")}
    assert simulation.bots["mtg_1"].state is BotState.CANCELLED
    assert simulation.dispatched == []


def test_disconnecting_releases_every_meeting_and_ends(virtual_time: VirtualTime) -> None:
    simulation, start = Simulation(), virtual_time.now()
    for number in range(5):
        simulation.put("cu_1", f"mtg_{number}", lasting_half_an_hour(start + HOUR))

    async def disconnect(harness: Harness) -> list[list[str]]:
        await virtual_time.wait(MINUTE)
        simulation.gone.add("cu_1")
        await harness.calendar().signal(CalendarUserSignal.DISCONNECT)
        await harness.end_of(harness.calendar())
        for number in range(5):
            await harness.end_of(harness.bot(f"mtg_{number}"))
        signals.extend([signals_in(await history_of(harness.bot(f"mtg_{number}"))) for number in range(5)])
        return signals

    signals: list[list[str]] = []
    run(virtual_time, simulation, disconnect)

    assert signals == [["release"]] * 5
    assert {bot.state for bot in simulation.bots.values()} == {BotState.CANCELLED}


def test_disconnecting_does_not_wait_for_a_sync_that_is_being_retried(virtual_time: VirtualTime) -> None:
    async def whole(harness: Harness) -> timedelta:
        handle = await harness.connect()
        await virtual_time.wait(SECOND)
        sent = virtual_time.server_now
        before = await sent()
        await handle.signal(CalendarUserSignal.DISCONNECT)
        await harness.end_of(handle)
        closed = (await history_of(handle)).events[-1].event_time.ToDatetime(tzinfo=before.tzinfo)
        return closed - before

    in_ten_minutes = RetryLater("provider_unavailable", "down", retry_after=10 * MINUTE)

    assert virtual_time.run(Script(sync=[in_ten_minutes, QUIET]).answer, whole) < SOON
