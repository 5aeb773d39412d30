"""What an operator sees of the bot's workflow, and how they end it."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import CancelledError

from tests.workflows.bot_runs import DISPATCHED, MINUTE, NO_BOT, OUTAGE, WAIT_FOR_START, Meeting, run
from tests.workflows.fake_activities import Call, Harness, Script, details_of
from tests.workflows.histories import states_shown
from tests.workflows.virtual_time import VirtualTime


def test_the_details_tell_which_bot_and_what_is_next(virtual_time: VirtualTime, meeting: Meeting) -> None:
    async def look(harness: Harness) -> str:
        handle = await harness.start_bot()
        await virtual_time.wait(MINUTE)
        return await details_of(handle)

    details = virtual_time.run(Script(reconcile=[meeting.waiting]).answer, look)

    assert "**bot_1** (dispatch 1) is **scheduled**" in details
    assert "- next: wait" in details
    assert f"{meeting.join_at:%Y-%m-%d %H:%M:%S} to {meeting.end_at:%H:%M:%S} UTC" in details


def test_the_details_tell_that_it_waits_for_the_start(virtual_time: VirtualTime) -> None:
    near = Meeting(virtual_time.now() + 10 * MINUTE)

    async def look(harness: Harness) -> str:
        handle = await harness.start_bot()
        await virtual_time.wait(9 * MINUTE)
        return await details_of(handle)

    script = Script(reconcile=[near.waiting, near.waiting], dispatch=[WAIT_FOR_START])

    assert "the provider could not be asked" in virtual_time.run(script.answer, look)


def test_the_details_tell_if_there_is_no_bot(virtual_time: VirtualTime) -> None:
    async def look(harness: Harness) -> str:
        handle = await harness.start_bot()
        await harness.end_of(handle)
        return await details_of(handle)

    assert virtual_time.run(Script(reconcile=[NO_BOT]).answer, look).startswith("No bot")


def test_the_state_is_shown_once_per_change(virtual_time: VirtualTime) -> None:
    running = Meeting(virtual_time.now() - MINUTE)
    script = Script(
        reconcile=[running.waiting, *[running.following] * 3, running.closed()],
        dispatch=[DISPATCHED],
        follow=[running.following] * 4,
    )

    assert states_shown(run(virtual_time, script).history) == ["dispatched", "recording", "completed"]


@pytest.mark.parametrize("during", ["wait", "dispatch", "follow", "recall"])
def test_an_operator_can_cancel_the_workflow_at_any_point(
    virtual_time: VirtualTime, meeting: Meeting, during: str
) -> None:
    async def cancel_meanwhile(call: Call) -> Any:
        await harnesses[0].bot().cancel()
        raise OUTAGE

    running = Meeting(virtual_time.now() - MINUTE)
    harnesses: list[Harness] = []
    first = {
        "wait": meeting.waiting,
        "dispatch": running.waiting,
        "follow": running.following,
        "recall": running.recalling,
    }

    async def whole(harness: Harness) -> WorkflowExecutionStatus | None:
        harnesses.append(harness)
        handle = await harness.start_bot()
        if during == "wait":
            await virtual_time.wait(MINUTE)
            await handle.cancel()
        with pytest.raises(WorkflowFailureError) as failure:
            await harness.end_of(handle)
        assert isinstance(failure.value.cause, CancelledError)
        return (await handle.describe()).status

    script = Script(reconcile=[first[during]], **{during: [cancel_meanwhile, OUTAGE]})

    assert virtual_time.run(script.answer, whole) is WorkflowExecutionStatus.CANCELED
