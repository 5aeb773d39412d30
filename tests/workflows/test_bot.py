"""The bot's workflow: what the activities answer is scripted, what it does next is not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHistory
from temporalio.exceptions import CancelledError

from meetbot.errors import BackendUnavailable
from meetbot.temporal.messages import (
    BotSignal,
    ClaimChange,
    DispatchOutcome,
    DispatchRequest,
    DispatchResult,
    NextStep,
    StepKind,
)
from meetbot.temporal.search_attributes import MEETBOT_STATE
from tests.workflows.conftest import VirtualTime
from tests.workflows.fake_activities import WITHOUT_END, Call, Handle, Harness, Script, details_of
from tests.workflows.histories import history_of, states_shown, timers_in

HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
RECHECK_AHEAD = timedelta(seconds=102)
CHANGE = ClaimChange("cu_1")

DISPATCHED = DispatchResult(DispatchOutcome.DISPATCHED)
CHANGED = DispatchResult(DispatchOutcome.CHANGED)
WAIT_FOR_START = DispatchResult(DispatchOutcome.WAIT_FOR_START)
REFUSED = DispatchResult(DispatchOutcome.REFUSED, "not_found")
NO_BOT = NextStep(StepKind.CLOSE)
OUTAGE = BackendUnavailable("backend_unavailable", "down")


@dataclass(frozen=True, slots=True)
class Meeting:
    """A meeting and the next steps that reconciling it may come to."""

    join_at: datetime
    lasts: timedelta = 30 * MINUTE

    @property
    def recheck_at(self) -> datetime:
        return self.join_at - RECHECK_AHEAD

    @property
    def end_at(self) -> datetime:
        return self.join_at + self.lasts

    @property
    def waiting(self) -> NextStep:
        return self._step(StepKind.WAIT, "scheduled")

    @property
    def following(self) -> NextStep:
        return self._step(StepKind.FOLLOW, "recording")

    @property
    def recalling(self) -> NextStep:
        return self._step(StepKind.RECALL, "recording")

    def closed(self, state: str = "completed") -> NextStep:
        return self._step(StepKind.CLOSE, state)

    def _step(self, step: StepKind, state: str) -> NextStep:
        return NextStep(step, "bot_1", 1, state, self.recheck_at, self.join_at, self.end_at)


@dataclass(frozen=True, slots=True)
class Ran:
    harness: Harness
    history: WorkflowHistory

    @property
    def steps(self) -> list[str]:
        return self.harness.bot_steps

    @property
    def dispatches(self) -> list[DispatchRequest]:
        return [call.request for call in self.harness.called("bot.dispatch")]

    @property
    def waits(self) -> list[datetime]:
        """Until when it waited, to the millisecond."""
        return [timer.due for timer in timers_in(self.history)]


async def to_the_end(harness: Harness, handle: Handle) -> None:
    await harness.end_of(handle)


def run(
    virtual_time: VirtualTime,
    script: Script,
    scenario: Callable[[Harness, Handle], Awaitable[Any]] = to_the_end,
    *,
    rounds_per_run: int = WITHOUT_END,
) -> Ran:
    async def whole(harness: Harness) -> Ran:
        handle = await harness.start_bot(rounds_per_run=rounds_per_run)
        await scenario(harness, handle)
        return Ran(harness, await history_of(handle))

    return virtual_time.run(script.answer, whole)


@pytest.fixture
def meeting(virtual_time: VirtualTime) -> Meeting:
    return Meeting(virtual_time.now() + 2 * HOUR)


def test_a_meeting_nobody_claims_is_closed_at_once(virtual_time: VirtualTime) -> None:
    ran = run(virtual_time, Script(reconcile=[NO_BOT]))

    assert ran.steps == ["reconcile"]


def test_it_waits_until_the_re_check_begins_and_then_dispatches(virtual_time: VirtualTime, meeting: Meeting) -> None:
    ran = run(virtual_time, Script(reconcile=[meeting.waiting, meeting.closed()], dispatch=[DISPATCHED]))

    assert ran.steps == ["reconcile", "dispatch", "reconcile"]
    assert ran.waits == [meeting.recheck_at]
    assert ran.harness.called("bot.dispatch")[0].at >= meeting.recheck_at
    assert ran.dispatches == [DispatchRequest(ran.harness.tenant_id, "mtg_1", "bot_1", 1, wait_is_over=False)]


def test_a_meeting_whose_re_check_is_overdue_is_dispatched_at_once(virtual_time: VirtualTime) -> None:
    running = Meeting(virtual_time.now() - MINUTE)

    ran = run(virtual_time, Script(reconcile=[running.waiting, running.closed()], dispatch=[DISPATCHED]))

    assert ran.steps == ["reconcile", "dispatch", "reconcile"]
    assert ran.waits == []


@pytest.mark.parametrize("signal", [BotSignal.RESCHEDULE, BotSignal.CLAIM, BotSignal.RELEASE])
def test_a_change_while_it_waits_makes_it_reconcile_and_wait_for_the_new_time(
    virtual_time: VirtualTime, meeting: Meeting, signal: BotSignal
) -> None:
    later = Meeting(meeting.join_at + HOUR)

    async def move_after_an_hour(harness: Harness, handle: Handle) -> None:
        await virtual_time.wait(HOUR)
        await handle.signal(signal, CHANGE)
        await harness.end_of(handle)

    script = Script(reconcile=[meeting.waiting, later.waiting, later.closed()], dispatch=[DISPATCHED])
    ran = run(virtual_time, script, move_after_an_hour)

    assert ran.steps == ["reconcile", "reconcile", "dispatch", "reconcile"]
    assert ran.waits == [meeting.recheck_at, later.recheck_at]


def test_a_meeting_moved_close_is_dispatched_as_soon_as_it_is_notified(
    virtual_time: VirtualTime, meeting: Meeting
) -> None:
    sooner = Meeting(virtual_time.now() + MINUTE)

    async def move(harness: Harness, handle: Handle) -> None:
        await virtual_time.wait(MINUTE)
        await handle.signal(BotSignal.RESCHEDULE, CHANGE)
        await harness.end_of(handle)

    script = Script(reconcile=[meeting.waiting, sooner.waiting, sooner.closed()], dispatch=[DISPATCHED])
    ran = run(virtual_time, script, move)

    assert ran.steps == ["reconcile", "reconcile", "dispatch", "reconcile"]
    assert ran.waits == [meeting.recheck_at]


def test_a_bot_cancelled_while_it_waits_is_closed_without_a_dispatch(
    virtual_time: VirtualTime, meeting: Meeting
) -> None:
    async def cancel(harness: Harness, handle: Handle) -> None:
        await virtual_time.wait(MINUTE)
        await handle.signal(BotSignal.CANCEL)
        await harness.end_of(handle)

    ran = run(virtual_time, Script(reconcile=[meeting.waiting, meeting.closed("cancelled")]), cancel)

    assert ran.steps == ["reconcile", "reconcile"]
    assert states_shown(ran.history) == ["cancelled"]


# What the dispatch may come to


def test_a_re_check_that_found_a_change_is_followed_by_reconciling(virtual_time: VirtualTime, meeting: Meeting) -> None:
    later = Meeting(meeting.join_at + HOUR)
    script = Script(reconcile=[meeting.waiting, later.waiting, later.closed()], dispatch=[CHANGED, DISPATCHED])

    ran = run(virtual_time, script)

    assert ran.steps == ["reconcile", "dispatch", "reconcile", "dispatch", "reconcile"]
    assert ran.waits == [meeting.recheck_at, later.recheck_at]


def test_a_calendar_that_never_rests_is_asked_more_slowly(virtual_time: VirtualTime, meeting: Meeting) -> None:
    script = Script(
        reconcile=[*[meeting.waiting] * 9, meeting.closed()],
        dispatch=[*[CHANGED] * 8, DISPATCHED],
    )

    ran = run(virtual_time, script)

    pauses = [timer.length for timer in timers_in(ran.history)][1:]
    assert pauses == [2 * SECOND] * 3


def test_one_change_after_a_quiet_dispatch_is_not_slowed_down(virtual_time: VirtualTime, meeting: Meeting) -> None:
    script = Script(
        reconcile=[*[meeting.waiting] * 9, meeting.closed()],
        dispatch=[*[CHANGED] * 5, DISPATCHED, CHANGED, CHANGED, DISPATCHED],
    )

    ran = run(virtual_time, script)

    assert ran.waits == [meeting.recheck_at]


def test_if_nothing_fresh_is_known_it_waits_for_the_start_and_then_goes(
    virtual_time: VirtualTime, meeting: Meeting
) -> None:
    script = Script(
        reconcile=[meeting.waiting, meeting.waiting, meeting.closed()], dispatch=[WAIT_FOR_START, DISPATCHED]
    )

    ran = run(virtual_time, script)

    assert ran.waits == [meeting.recheck_at, meeting.join_at]
    assert [request.wait_is_over for request in ran.dispatches] == [False, True]


@pytest.mark.parametrize("signal", [BotSignal.RESCHEDULE, BotSignal.CLAIM])
def test_a_claim_that_arrives_while_it_waits_for_the_start_is_checked_at_once(
    virtual_time: VirtualTime, meeting: Meeting, signal: BotSignal
) -> None:
    """The newcomer's calendar may well be reachable."""
    before = virtual_time.now()

    async def claim(harness: Harness, handle: Handle) -> None:
        await virtual_time.wait(meeting.recheck_at - before + 10 * SECOND)
        await handle.signal(signal, CHANGE)
        await harness.end_of(handle)

    script = Script(reconcile=[*[meeting.waiting] * 3, meeting.closed()], dispatch=[WAIT_FOR_START, DISPATCHED])
    ran = run(virtual_time, script, claim)

    assert ran.steps == ["reconcile", "dispatch", "reconcile", "reconcile", "dispatch", "reconcile"]
    assert [request.wait_is_over for request in ran.dispatches] == [False, False]


def test_a_meeting_moved_while_it_waits_for_the_start_is_re_checked_at_its_new_time(
    virtual_time: VirtualTime, meeting: Meeting
) -> None:
    later = Meeting(meeting.join_at + HOUR)
    script = Script(reconcile=[meeting.waiting, later.waiting, later.closed()], dispatch=[WAIT_FOR_START, DISPATCHED])

    ran = run(virtual_time, script)

    assert ran.waits == [meeting.recheck_at, later.recheck_at]
    assert [request.wait_is_over for request in ran.dispatches] == [False, False]


def test_a_refusal_for_good_closes_it(virtual_time: VirtualTime, meeting: Meeting) -> None:
    ran = run(virtual_time, Script(reconcile=[meeting.waiting, meeting.closed("failed")], dispatch=[REFUSED]))

    assert ran.steps == ["reconcile", "dispatch", "reconcile"]
    assert states_shown(ran.history) == ["failed"]


def test_a_backend_that_is_back_before_the_end_is_sent_the_bot(virtual_time: VirtualTime, meeting: Meeting) -> None:
    script = Script(reconcile=[meeting.waiting, meeting.closed()], dispatch=[OUTAGE, OUTAGE, OUTAGE, DISPATCHED])

    ran = run(virtual_time, script)

    assert ran.steps == ["reconcile", *["dispatch"] * 4, "reconcile"]


def test_a_backend_that_is_down_is_tried_until_the_meetings_end_and_then_given_up(virtual_time: VirtualTime) -> None:
    short = Meeting(virtual_time.now() + 5 * MINUTE, lasts=5 * MINUTE)

    def until_the_end(call: Call) -> NextStep:
        return short.waiting if call.at < short.end_at else short.closed("missed")

    ran = run(virtual_time, Script(reconcile=[until_the_end] * 100, dispatch=[OUTAGE] * 1000))

    attempts = [call.at for call in ran.harness.called("bot.dispatch")]
    assert short.end_at - MINUTE < attempts[-1] < ran.harness.calls[-1].at <= short.end_at + MINUTE
    assert max(later - earlier for earlier, later in pairwise(attempts)) < 20 * SECOND
    assert len(attempts) < 60
    assert states_shown(ran.history) == ["missed"]


def test_a_meeting_prolonged_while_the_backend_was_down_is_tried_on(virtual_time: VirtualTime) -> None:
    short = Meeting(virtual_time.now() + 5 * MINUTE, lasts=2 * MINUTE)
    longer = Meeting(short.join_at, lasts=30 * MINUTE)

    def back_after_the_first_end(call: Call) -> DispatchResult:
        if call.at < short.end_at:
            raise OUTAGE
        return DISPATCHED

    script = Script(
        reconcile=[short.waiting, longer.waiting, longer.closed()], dispatch=[back_after_the_first_end] * 1000
    )
    ran = run(virtual_time, script)

    assert [step for step in ran.steps if step == "reconcile"] == ["reconcile"] * 3
    assert ran.steps[-2:] == ["dispatch", "reconcile"]


# In the meeting


def test_in_the_meeting_it_asks_every_minute_how_the_bot_is_doing(virtual_time: VirtualTime) -> None:
    running = Meeting(virtual_time.now() - MINUTE)
    script = Script(reconcile=[*[running.following] * 4, running.closed()], follow=[running.following] * 4)

    ran = run(virtual_time, script)

    assert ran.steps == ["reconcile", *["follow", "reconcile"] * 4]
    assert [timer.length for timer in timers_in(ran.history)] == [MINUTE] * 4


def test_after_a_report_of_the_backend_it_does_not_ask(virtual_time: VirtualTime) -> None:
    running = Meeting(virtual_time.now() - MINUTE)

    async def report(harness: Harness, handle: Handle) -> None:
        await virtual_time.wait(10 * SECOND)
        await handle.signal(BotSignal.BACKEND_REPORTED)
        await harness.end_of(handle)

    ran = run(virtual_time, Script(reconcile=[running.following, running.closed()]), report)

    assert ran.steps == ["reconcile", "reconcile"]


def test_a_backend_that_cannot_be_asked_is_asked_again_a_minute_later(virtual_time: VirtualTime) -> None:
    running = Meeting(virtual_time.now() - MINUTE)
    script = Script(reconcile=[*[running.following] * 2, running.closed()], follow=[OUTAGE, OUTAGE, running.following])

    ran = run(virtual_time, script)

    assert ran.steps == ["reconcile", "follow", "follow", "reconcile", "follow", "reconcile"]


def test_a_bot_whose_last_claim_is_gone_is_recalled(virtual_time: VirtualTime) -> None:
    running = Meeting(virtual_time.now() - MINUTE)

    async def release(harness: Harness, handle: Handle) -> None:
        await virtual_time.wait(10 * SECOND)
        await handle.signal(BotSignal.RELEASE, CHANGE)
        await harness.end_of(handle)

    script = Script(
        reconcile=[running.following, running.recalling, running.closed("cancelled")],
        recall=[running.closed("cancelled")],
    )
    ran = run(virtual_time, script, release)

    assert ran.steps == ["reconcile", "reconcile", "recall", "reconcile"]
    assert states_shown(ran.history) == ["recording", "cancelled"]


def test_a_recall_is_tried_until_the_backend_accepts_it(virtual_time: VirtualTime) -> None:
    running = Meeting(virtual_time.now() - MINUTE)
    closed = running.closed("cancelled")

    ran = run(virtual_time, Script(reconcile=[running.recalling, closed], recall=[*[OUTAGE] * 20, closed]))

    assert ran.steps == ["reconcile", *["recall"] * 21, "reconcile"]


def test_a_relocated_bot_is_recalled_first_and_then_sent_again(virtual_time: VirtualTime, meeting: Meeting) -> None:
    script = Script(
        reconcile=[meeting.recalling, meeting.waiting, meeting.closed()],
        recall=[meeting.waiting],
        dispatch=[DISPATCHED],
    )

    ran = run(virtual_time, script)

    assert ran.steps == ["reconcile", "recall", "reconcile", "dispatch", "reconcile"]
    assert ran.waits == [meeting.recheck_at]


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

    async def whole(harness: Harness) -> list[str]:
        dispatching.harness.append(harness)
        handle = await harness.start_bot()
        await harness.end_of(handle)
        return harness.bot_steps

    script = Script(
        reconcile=[meeting.waiting, meeting.recalling, meeting.closed("cancelled")],
        dispatch=[dispatching],
        recall=[meeting.closed("cancelled")],
    )

    assert virtual_time.run(script.answer, whole) == ["reconcile", "dispatch", "reconcile", "recall", "reconcile"]


def test_a_claim_during_a_dispatch_that_has_to_wait_is_checked_at_once(
    virtual_time: VirtualTime, meeting: Meeting
) -> None:
    dispatching = SignalsFirst(WAIT_FOR_START, BotSignal.CLAIM)

    async def whole(harness: Harness) -> list[bool]:
        dispatching.harness.append(harness)
        handle = await harness.start_bot()
        await harness.end_of(handle)
        return [call.request.wait_is_over for call in harness.called("bot.dispatch")]

    script = Script(reconcile=[meeting.waiting, meeting.waiting, meeting.closed()], dispatch=[dispatching, DISPATCHED])

    assert virtual_time.run(script.answer, whole) == [False, False]


# Long lives


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

    script = Script(reconcile=[*[meeting.waiting] * 4, meeting.closed()], dispatch=[DISPATCHED])
    ran = run(virtual_time, script, disturb, rounds_per_run=2)

    assert ran.steps == ["reconcile"] * 4 + ["dispatch", "reconcile"]


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


# What an operator sees


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
        follow=[running.following] * 3,
    )

    assert states_shown(run(virtual_time, script).history) == ["recording", "completed"]
