"""Meetings that shared a bot are woken when it is out of the room."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from meetbot.temporal.messages import BotSignal, NextStep
from tests.workflows.bot_runs import MINUTE, Meeting, run
from tests.workflows.fake_activities import Call, Harness, Script
from tests.workflows.histories import history_of, signals_in, timers_in
from tests.workflows.virtual_time import VirtualTime

WOKEN = ("mtg_2", "mtg_nobody")


def ended(meeting: Meeting) -> list[NextStep]:
    return [replace(meeting.closed(), to_wake=WOKEN)]


def recalled(meeting: Meeting) -> list[NextStep]:
    return [meeting.recalling, replace(meeting.closed("cancelled"), to_wake=WOKEN), meeting.closed("cancelled")]


@pytest.mark.parametrize("steps_of_the_first", [ended, recalled])
def test_whoever_shared_a_bot_is_woken_when_it_ends(
    virtual_time: VirtualTime, meeting: Meeting, steps_of_the_first: object
) -> None:
    assert callable(steps_of_the_first)
    of_first: Iterator[NextStep] = iter(steps_of_the_first(meeting))
    of_other = iter([replace(meeting.following, state="shared"), meeting.closed()])

    async def answer(call: Call) -> NextStep:
        return next(of_first if call.request.meeting_key == "mtg_1" else of_other)

    async def whole(harness: Harness) -> list[str]:
        other = await harness.start_bot("mtg_2")
        await harness.end_of(await harness.start_bot("mtg_1"))
        await harness.end_of(other)
        return signals_in(await history_of(other))

    assert virtual_time.run(answer, whole) == [BotSignal.BACKEND_REPORTED]


def test_a_shared_bot_is_looked_at_every_minute(virtual_time: VirtualTime) -> None:
    running = Meeting(virtual_time.now() - MINUTE, lasts=31 * MINUTE)
    shared = replace(running.following, state="shared")

    ran = run(virtual_time, Script(reconcile=[shared, shared, running.closed()], follow=[shared] * 2))

    assert [timer.length for timer in timers_in(ran.history)] == [MINUTE, MINUTE]
