"""The bot's workflow loses no signal and no time, busy or between two runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from meetbot.temporal.messages import BotSignal, NextStep
from meetbot.temporal.search_attributes import MEETBOT_STATE
from tests.workflows.bot_runs import CHANGE, DISPATCHED, MINUTE, NO_BOT, SECOND, WAIT_FOR_START, Meeting, run
from tests.workflows.fake_activities import Call, Handle, Harness, Script
from tests.workflows.virtual_time import VirtualTime

# Signals are never lost


@dataclass(slots=True)
class SignalsFirst:
    """An answer that lets a signal arrive before it is given."""

    answer: Any
    signal: BotSignal
    harness: list[Harness] = field(default_factory=list)

    async def __call__(self, call: Call) -> Any:
        arguments = [] if self.signal in (BotSignal.CANCEL, BotSignal.BACKEND_REPORTED) else [CHANGE]
        await self.harness[0].bot().signal(self.signal, args=arguments)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize("signal", list(BotSignal))
def test_a_signal_that_arrives_while_it_closes_is_not_lost(
    virtual_time: VirtualTime, meeting: Meeting, signal: BotSignal
) -> None:
    closing = SignalsFirst(meeting.closed("cancelled"), signal)

    async def whole(harness: Harness) -> list[str]:
        closing.harness.append(harness)
        handle = await harness.start_bot()
        await harness.end_of(handle)
        return harness.bot_steps

    script = Script(reconcile=[closing, meeting.closed("cancelled")])

    assert virtual_time.run(script.answer, whole) == ["reconcile", "reconcile"]


def test_a_change_during_the_dispatch_is_looked_at_before_anything_else(
    virtual_time: VirtualTime, meeting: Meeting
) -> None:
    dispatching = SignalsFirst(DISPATCHED, BotSignal.RESCHEDULE)

    def sent(_call: Call) -> NextStep:
        steps = dispatching.harness[0].bot_steps
        return meeting.closed("cancelled") if "recall" in steps else meeting.recalling

    async def whole(harness: Harness) -> list[str]:
        dispatching.harness.append(harness)
        handle = await harness.start_bot()
        await harness.end_of(handle)
        return harness.bot_steps

    script = Script(
        reconcile=[meeting.waiting, *[sent] * 4], dispatch=[dispatching], recall=[meeting.closed("cancelled")]
    )
    steps = virtual_time.run(script.answer, whole)

    # Once more if the signal came in a workflow task of its own.
    begin, end = ["reconcile", "dispatch", "reconcile"], ["recall", "reconcile"]
    assert steps in ([*begin, *end], [*begin, "reconcile", *end])


def test_a_claim_during_a_dispatch_that_has_to_wait_is_checked_at_once(
    virtual_time: VirtualTime, meeting: Meeting
) -> None:
    dispatching = SignalsFirst(WAIT_FOR_START, BotSignal.CLAIM)

    def until_dispatched(_call: Call) -> NextStep:
        dispatches = dispatching.harness[0].called("bot.dispatch")
        return meeting.closed() if len(dispatches) > 1 else meeting.waiting

    async def whole(harness: Harness) -> list[bool]:
        dispatching.harness.append(harness)
        handle = await harness.start_bot()
        await harness.end_of(handle)
        return [call.request.wait_is_over for call in harness.called("bot.dispatch")]

    script = Script(
        reconcile=[meeting.waiting, *[until_dispatched] * 4], dispatch=[dispatching, DISPATCHED], follow=[NO_BOT]
    )

    assert virtual_time.run(script.answer, whole) == [False, False]


# Many rounds


def test_a_full_run_continues_as_a_new_one_and_goes_on(virtual_time: VirtualTime) -> None:
    running = Meeting(virtual_time.now() - MINUTE)
    script = Script(reconcile=[*[running.following] * 7, running.closed()], follow=[running.following] * 7)

    async def whole(harness: Harness) -> tuple[list[str], set[str | None]]:
        handle = await harness.start_bot(rounds_per_run=3)
        await harness.end_of(handle)
        return harness.bot_steps, {handle.first_execution_run_id, (await harness.bot().describe()).run_id}

    steps, runs = virtual_time.run(script.answer, whole)

    assert steps == ["reconcile", *["follow", "reconcile"] * 7]
    assert len(runs) == 2


def test_a_new_run_waits_on_for_the_same_instant(virtual_time: VirtualTime, meeting: Meeting) -> None:
    async def disturb(harness: Harness, handle: Handle) -> None:
        for _ in range(3):
            await virtual_time.wait(MINUTE)
            await harness.bot().signal(BotSignal.CLAIM, CHANGE)
        await harness.end_of(handle)

    script = Script(reconcile=[*[meeting.waiting] * 4, meeting.closed()], dispatch=[DISPATCHED], follow=[NO_BOT])
    ran = run(virtual_time, script, disturb, rounds_per_run=2)

    assert ran.steps == ["reconcile"] * 4 + ["dispatch", "follow", "reconcile"]


def test_a_recalled_bot_that_waits_again_is_shown_as_waiting_in_a_new_run_too(
    virtual_time: VirtualTime, meeting: Meeting
) -> None:
    async def whole(harness: Harness) -> str | None:
        handle = await harness.start_bot(rounds_per_run=1)
        while len(harness.bot_steps) < 3:
            await virtual_time.wait(SECOND)
        for _ in range(60):
            await virtual_time.wait(SECOND)
            state = (await handle.describe()).typed_search_attributes.get(MEETBOT_STATE)
            if state == "scheduled":
                break
        return state

    script = Script(reconcile=[meeting.recalling, meeting.waiting], recall=[meeting.waiting])

    assert virtual_time.run(script.answer, whole) == "scheduled"
