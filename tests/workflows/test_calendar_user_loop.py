"""The calendar user's loop: when it syncs, how it fails, what operators see."""

from __future__ import annotations

from datetime import datetime

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import CancelledError

from meetbot.domain.bot_state import BotState
from meetbot.domain.calendar_user import CalendarUserStatus
from meetbot.domain.sync_slots import next_slot, sync_phase
from meetbot.errors import OperatorRequired, RetryLater
from meetbot.temporal.messages import SyncResult
from tests.workflows.calendar_runs import (
    DAY,
    FIVE_MINUTES,
    GONE,
    HOUR,
    LINK,
    MINUTE,
    NOTHING_PLANNED,
    QUIET,
    SECOND,
    SOON,
    connected_until,
    lasting_half_an_hour,
    run,
)
from tests.workflows.fake_activities import Call, Harness, Script, details_of
from tests.workflows.histories import history_of, states_shown, timers_in
from tests.workflows.simulation import LEAD, Simulation
from tests.workflows.virtual_time import VirtualTime

# The loop


def test_a_day_has_a_sync_every_five_minutes_and_each_bot_goes_at_its_time(virtual_time: VirtualTime) -> None:
    simulation, start = Simulation(), virtual_time.now()
    plain = lasting_half_an_hour(start + 15 * HOUR)
    moved, moved_to = lasting_half_an_hour(start + 14 * HOUR), lasting_half_an_hour(start + 17 * HOUR)
    for key, target in (
        ("mtg_plain", plain),
        ("mtg_moved", moved),
        ("mtg_cancelled", lasting_half_an_hour(start + 16 * HOUR)),
    ):
        simulation.put("cu_1", key, target)
    noon = start + 12 * HOUR
    simulation.at(noon, lambda: simulation.move("mtg_moved", 3 * HOUR))
    simulation.at(noon, lambda: simulation.cancel("mtg_cancelled"))
    connected_until(simulation, start + DAY)

    harness = run(virtual_time, simulation)

    # One comes at once, 288 fall into the day, and the last one finds the user gone.
    assert len(harness.called("calendar.sync")) == 290
    assert [(one.meeting_key, one.target) for one in simulation.dispatched] == [
        ("mtg_plain", plain),
        ("mtg_moved", moved_to),
    ]
    for one in simulation.dispatched:
        assert one.target.join_at - LEAD <= one.at <= one.target.join_at - LEAD + SOON
    assert {key: bot.state for key, bot in simulation.bots.items()} == {
        "mtg_plain": BotState.COMPLETED,
        "mtg_moved": BotState.COMPLETED,
        "mtg_cancelled": BotState.CANCELLED,
    }


def test_it_waits_for_its_own_slot_however_long_the_sync_took(virtual_time: VirtualTime) -> None:
    async def whole(harness: Harness) -> list[datetime]:
        handle = await harness.connect("cu_slots")
        await harness.end_of(handle)
        return [timer.due for timer in timers_in(await history_of(handle))]

    async def slow(call: Call) -> SyncResult:
        await virtual_time.wait(9 * SECOND)
        return QUIET

    due = virtual_time.run(Script(sync=[NOTHING_PLANNED, slow, QUIET, QUIET, GONE]).answer, whole)

    phase = sync_phase("cu_slots", FIVE_MINUTES)
    first = next_slot(due[0] - MINUTE, FIVE_MINUTES, phase)
    assert [abs(one - first - number * FIVE_MINUTES) < SECOND / 100 for number, one in enumerate(due)] == [True] * 4


def test_a_user_who_is_gone_ends_the_loop(virtual_time: VirtualTime) -> None:
    async def whole(harness: Harness) -> list[str]:
        handle = await harness.connect()
        await harness.end_of(handle)
        return states_shown(await history_of(handle))

    assert virtual_time.run(Script(sync=[GONE]).answer, whole) == ["gone"]


# Failures


def test_a_sync_that_fails_does_not_stop_the_loop_and_is_shown(virtual_time: VirtualTime) -> None:
    refused = OperatorRequired("client_rejected", "the words of the provider")

    async def whole(harness: Harness) -> tuple[str, str]:
        handle = await harness.connect("cu_1", interval_seconds=3600)
        while len(harness.calls) < 4:
            await virtual_time.wait(10 * SECOND)
        await virtual_time.wait(SECOND)
        failing = await details_of(handle)
        await virtual_time.wait(HOUR)
        return failing, await details_of(handle)

    failing, recovered = virtual_time.run(Script(sync=[*[refused] * 4, QUIET, QUIET]).answer, whole)

    assert "last error: client_rejected" in failing
    assert "never synced" in failing
    assert "words of the provider" not in failing
    assert "last error: none" in recovered


def test_a_failing_sync_is_tried_four_times_and_then_at_the_next_slot(virtual_time: VirtualTime) -> None:
    outage = RetryLater("provider_unavailable", "down")

    async def whole(harness: Harness) -> int:
        await harness.end_of(await harness.connect())
        return len(harness.called("calendar.sync"))

    assert virtual_time.run(Script(sync=[*[outage] * 8, GONE]).answer, whole) == 9


def test_a_lost_grant_is_shown_and_the_loop_goes_on(virtual_time: VirtualTime) -> None:
    lost = SyncResult(CalendarUserStatus.NEEDS_RECONNECT, "d_none", None, error="invalid_grant")

    async def whole(harness: Harness) -> tuple[str, list[str]]:
        handle = await harness.connect()
        await virtual_time.wait(SECOND)
        details = await details_of(handle)
        await harness.end_of(handle)
        return details, states_shown(await history_of(handle))

    details, states = virtual_time.run(Script(sync=[lost, QUIET, GONE]).answer, whole)

    assert "is **needs_reconnect**" in details
    assert "last error: invalid_grant" in details
    assert states == ["needs_reconnect", "active", "gone"]


def test_an_operator_can_cancel_the_loop_during_a_sync(virtual_time: VirtualTime) -> None:
    harnesses: list[Harness] = []

    async def cancel_meanwhile(call: Call) -> SyncResult:
        await harnesses[0].calendar().cancel()
        raise RetryLater("provider_unavailable", "down")

    async def whole(harness: Harness) -> WorkflowExecutionStatus | None:
        harnesses.append(harness)
        handle = await harness.connect()
        with pytest.raises(WorkflowFailureError) as failure:
            await harness.end_of(handle)
        assert isinstance(failure.value.cause, CancelledError)
        return (await handle.describe()).status

    script = Script(sync=[cancel_meanwhile, QUIET, GONE])

    assert virtual_time.run(script.answer, whole) is WorkflowExecutionStatus.CANCELED


# What an operator sees


def test_the_details_list_the_meetings_to_come_and_nothing_about_them(virtual_time: VirtualTime) -> None:
    simulation, start = Simulation(), virtual_time.now()
    target = lasting_half_an_hour(start + 3 * HOUR)
    simulation.put("cu_1", "mtg_1", target)

    async def look(harness: Harness) -> tuple[str, str]:
        handle = await harness.connect()
        await virtual_time.wait(MINUTE)
        return await details_of(handle), harness.tenant_id

    details, tenant_id = virtual_time.run(simulation.answer, look)

    assert "**cu_1** (google) is **active**" in details
    assert "last error: none" in details
    assert "meetings to be recorded, under way or near: 1" in details
    assert f"- {target.join_at:%Y-%m-%d %H:%M} UTC `bot/{tenant_id}/mtg_1`" in details
    assert LINK not in details
