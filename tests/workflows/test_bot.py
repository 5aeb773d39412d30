"""The bot's workflow as clock and conductor: what the activities answer is scripted, what it does next is not."""

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
    BotOrder,
    BotSignal,
    BotStep,
    ClaimChange,
    DispatchOutcome,
    DispatchRequest,
    DispatchResult,
)
from meetbot.temporal.search_attributes import MEETBOT_STATE
from tests.workflows.conftest import Theatre
from tests.workflows.histories import history_of, states_shown, timers_in
from tests.workflows.stage import WITHOUT_END, Call, Handle, Script, Stage, details_of

HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
ARMING = timedelta(seconds=102)
CHANGE = ClaimChange("cu_1")

DISPATCHED = DispatchResult(DispatchOutcome.DISPATCHED)
CHANGED = DispatchResult(DispatchOutcome.CHANGED)
HOLD = DispatchResult(DispatchOutcome.HOLD)
REFUSED = DispatchResult(DispatchOutcome.REFUSED, "not_found")
NO_BOT = BotOrder(BotStep.CLOSE)
OUTAGE = BackendUnavailable("backend_unavailable", "down")


@dataclass(frozen=True, slots=True)
class Meeting:
    """A meeting and the orders that taking stock of it may come to."""

    join_at: datetime
    lasts: timedelta = 30 * MINUTE

    @property
    def arm_at(self) -> datetime:
        return self.join_at - ARMING

    @property
    def end_at(self) -> datetime:
        return self.join_at + self.lasts

    @property
    def waiting(self) -> BotOrder:
        return self._order(BotStep.WAIT, "scheduled")

    @property
    def following(self) -> BotOrder:
        return self._order(BotStep.FOLLOW, "recording")

    @property
    def leaving(self) -> BotOrder:
        return self._order(BotStep.LEAVE, "recording")

    def closed(self, state: str = "completed") -> BotOrder:
        return self._order(BotStep.CLOSE, state)

    def _order(self, step: BotStep, state: str) -> BotOrder:
        return BotOrder(step, "bot_1", 1, state, self.arm_at, self.join_at, self.end_at)


@dataclass(frozen=True, slots=True)
class Played:
    stage: Stage
    history: WorkflowHistory

    @property
    def steps(self) -> list[str]:
        return self.stage.bot_steps

    @property
    def dispatches(self) -> list[DispatchRequest]:
        return [call.request for call in self.stage.called("bot.dispatch")]

    @property
    def waits(self) -> list[datetime]:
        """Until when it waited, to the millisecond."""
        return [timer.due for timer in timers_in(self.history)]


async def to_the_end(stage: Stage, handle: Handle) -> None:
    await stage.end_of(handle)


def play(
    theatre: Theatre,
    script: Script,
    scene: Callable[[Stage, Handle], Awaitable[Any]] = to_the_end,
    *,
    rounds_per_run: int = WITHOUT_END,
) -> Played:
    async def whole(stage: Stage) -> Played:
        handle = await stage.start_bot(rounds_per_run=rounds_per_run)
        await scene(stage, handle)
        return Played(stage, await history_of(handle))

    return theatre.play(script.answer, whole)


@pytest.fixture
def meeting(theatre: Theatre) -> Meeting:
    return Meeting(theatre.now() + 2 * HOUR)


def test_a_meeting_nobody_claims_is_closed_at_once(theatre: Theatre) -> None:
    played = play(theatre, Script(schedule=[NO_BOT]))

    assert played.steps == ["schedule"]


def test_it_waits_until_the_very_instant_to_arm_and_then_dispatches(theatre: Theatre, meeting: Meeting) -> None:
    played = play(theatre, Script(schedule=[meeting.waiting, meeting.closed()], dispatch=[DISPATCHED]))

    assert played.steps == ["schedule", "dispatch", "schedule"]
    assert played.waits == [meeting.arm_at]
    assert played.stage.called("bot.dispatch")[0].at >= meeting.arm_at
    assert played.dispatches == [DispatchRequest(played.stage.tenant_id, "mtg_1", "bot_1", 1, hold_over=False)]


def test_a_meeting_whose_time_to_arm_has_passed_is_dispatched_at_once(theatre: Theatre) -> None:
    running = Meeting(theatre.now() - MINUTE)

    played = play(theatre, Script(schedule=[running.waiting, running.closed()], dispatch=[DISPATCHED]))

    assert played.steps == ["schedule", "dispatch", "schedule"]
    assert played.waits == []


@pytest.mark.parametrize("signal", [BotSignal.RESCHEDULE, BotSignal.CLAIM, BotSignal.RELEASE])
def test_a_change_while_it_waits_makes_it_take_stock_and_wait_for_the_new_time(
    theatre: Theatre, meeting: Meeting, signal: BotSignal
) -> None:
    later = Meeting(meeting.join_at + HOUR)

    async def move_after_an_hour(stage: Stage, handle: Handle) -> None:
        await theatre.wait(HOUR)
        await handle.signal(signal, CHANGE)
        await stage.end_of(handle)

    script = Script(schedule=[meeting.waiting, later.waiting, later.closed()], dispatch=[DISPATCHED])
    played = play(theatre, script, move_after_an_hour)

    assert played.steps == ["schedule", "schedule", "dispatch", "schedule"]
    assert played.waits == [meeting.arm_at, later.arm_at]


def test_a_meeting_moved_close_is_dispatched_as_soon_as_it_hears(theatre: Theatre, meeting: Meeting) -> None:
    sooner = Meeting(theatre.now() + MINUTE)

    async def move(stage: Stage, handle: Handle) -> None:
        await theatre.wait(MINUTE)
        await handle.signal(BotSignal.RESCHEDULE, CHANGE)
        await stage.end_of(handle)

    script = Script(schedule=[meeting.waiting, sooner.waiting, sooner.closed()], dispatch=[DISPATCHED])
    played = play(theatre, script, move)

    assert played.steps == ["schedule", "schedule", "dispatch", "schedule"]
    assert played.waits == [meeting.arm_at]


def test_a_bot_cancelled_while_it_waits_is_closed_without_a_dispatch(theatre: Theatre, meeting: Meeting) -> None:
    async def cancel(stage: Stage, handle: Handle) -> None:
        await theatre.wait(MINUTE)
        await handle.signal(BotSignal.CANCEL)
        await stage.end_of(handle)

    played = play(theatre, Script(schedule=[meeting.waiting, meeting.closed("cancelled")]), cancel)

    assert played.steps == ["schedule", "schedule"]
    assert states_shown(played.history) == ["cancelled"]


# What the dispatch may come to


def test_a_recheck_that_found_a_change_is_followed_by_taking_stock(theatre: Theatre, meeting: Meeting) -> None:
    later = Meeting(meeting.join_at + HOUR)
    script = Script(schedule=[meeting.waiting, later.waiting, later.closed()], dispatch=[CHANGED, DISPATCHED])

    played = play(theatre, script)

    assert played.steps == ["schedule", "dispatch", "schedule", "dispatch", "schedule"]
    assert played.waits == [meeting.arm_at, later.arm_at]


def test_a_calendar_that_never_rests_is_asked_more_slowly(theatre: Theatre, meeting: Meeting) -> None:
    script = Script(
        schedule=[*[meeting.waiting] * 9, meeting.closed()],
        dispatch=[*[CHANGED] * 8, DISPATCHED],
    )

    played = play(theatre, script)

    pauses = [timer.length for timer in timers_in(played.history)][1:]
    assert pauses == [2 * SECOND] * 3


def test_one_change_after_a_quiet_dispatch_is_not_slowed_down(theatre: Theatre, meeting: Meeting) -> None:
    script = Script(
        schedule=[*[meeting.waiting] * 9, meeting.closed()],
        dispatch=[*[CHANGED] * 5, DISPATCHED, CHANGED, CHANGED, DISPATCHED],
    )

    played = play(theatre, script)

    assert played.waits == [meeting.arm_at]


def test_with_nothing_fresh_known_it_holds_until_the_start_and_then_goes(theatre: Theatre, meeting: Meeting) -> None:
    script = Script(schedule=[meeting.waiting, meeting.waiting, meeting.closed()], dispatch=[HOLD, DISPATCHED])

    played = play(theatre, script)

    assert played.waits == [meeting.arm_at, meeting.join_at]
    assert [request.hold_over for request in played.dispatches] == [False, True]


@pytest.mark.parametrize("signal", [BotSignal.RESCHEDULE, BotSignal.CLAIM])
def test_a_claim_that_arrives_while_it_holds_is_checked_at_once(
    theatre: Theatre, meeting: Meeting, signal: BotSignal
) -> None:
    """The newcomer's calendar may well be reachable."""
    before = theatre.now()

    async def claim(stage: Stage, handle: Handle) -> None:
        await theatre.wait(meeting.arm_at - before + 10 * SECOND)
        await handle.signal(signal, CHANGE)
        await stage.end_of(handle)

    script = Script(schedule=[*[meeting.waiting] * 3, meeting.closed()], dispatch=[HOLD, DISPATCHED])
    played = play(theatre, script, claim)

    assert played.steps == ["schedule", "dispatch", "schedule", "schedule", "dispatch", "schedule"]
    assert [request.hold_over for request in played.dispatches] == [False, False]


def test_a_meeting_moved_while_its_dispatch_held_is_rechecked_at_its_new_time(
    theatre: Theatre, meeting: Meeting
) -> None:
    later = Meeting(meeting.join_at + HOUR)
    script = Script(schedule=[meeting.waiting, later.waiting, later.closed()], dispatch=[HOLD, DISPATCHED])

    played = play(theatre, script)

    assert played.waits == [meeting.arm_at, later.arm_at]
    assert [request.hold_over for request in played.dispatches] == [False, False]


def test_a_refusal_for_good_closes_it(theatre: Theatre, meeting: Meeting) -> None:
    played = play(theatre, Script(schedule=[meeting.waiting, meeting.closed("failed")], dispatch=[REFUSED]))

    assert played.steps == ["schedule", "dispatch", "schedule"]
    assert states_shown(played.history) == ["failed"]


def test_a_backend_that_is_back_before_the_end_is_sent_the_bot(theatre: Theatre, meeting: Meeting) -> None:
    script = Script(schedule=[meeting.waiting, meeting.closed()], dispatch=[OUTAGE, OUTAGE, OUTAGE, DISPATCHED])

    played = play(theatre, script)

    assert played.steps == ["schedule", *["dispatch"] * 4, "schedule"]


def test_a_backend_that_is_down_is_tried_until_the_meetings_end_and_then_given_up(theatre: Theatre) -> None:
    short = Meeting(theatre.now() + 5 * MINUTE, lasts=5 * MINUTE)

    def stock(call: Call) -> BotOrder:
        return short.waiting if call.at < short.end_at else short.closed("missed")

    played = play(theatre, Script(schedule=[stock] * 100, dispatch=[OUTAGE] * 1000))

    attempts = [call.at for call in played.stage.called("bot.dispatch")]
    assert short.end_at - MINUTE < attempts[-1] < played.stage.calls[-1].at <= short.end_at + MINUTE
    assert max(later - earlier for earlier, later in pairwise(attempts)) < 20 * SECOND
    assert len(attempts) < 60
    assert states_shown(played.history) == ["missed"]


def test_a_meeting_prolonged_while_the_backend_was_down_is_tried_on(theatre: Theatre) -> None:
    short = Meeting(theatre.now() + 5 * MINUTE, lasts=2 * MINUTE)
    longer = Meeting(short.join_at, lasts=30 * MINUTE)

    def back_after_the_first_end(call: Call) -> DispatchResult:
        if call.at < short.end_at:
            raise OUTAGE
        return DISPATCHED

    script = Script(
        schedule=[short.waiting, longer.waiting, longer.closed()], dispatch=[back_after_the_first_end] * 1000
    )
    played = play(theatre, script)

    assert [step for step in played.steps if step == "schedule"] == ["schedule"] * 3
    assert played.steps[-2:] == ["dispatch", "schedule"]


# In the meeting


def test_in_the_meeting_it_asks_every_minute_how_the_bot_is_doing(theatre: Theatre) -> None:
    running = Meeting(theatre.now() - MINUTE)
    script = Script(schedule=[*[running.following] * 4, running.closed()], follow=[running.following] * 4)

    played = play(theatre, script)

    assert played.steps == ["schedule", *["follow", "schedule"] * 4]
    assert [timer.length for timer in timers_in(played.history)] == [MINUTE] * 4


def test_a_report_of_the_backend_is_taken_in_without_asking(theatre: Theatre) -> None:
    running = Meeting(theatre.now() - MINUTE)

    async def report(stage: Stage, handle: Handle) -> None:
        await theatre.wait(10 * SECOND)
        await handle.signal(BotSignal.BACKEND_REPORTED)
        await stage.end_of(handle)

    played = play(theatre, Script(schedule=[running.following, running.closed()]), report)

    assert played.steps == ["schedule", "schedule"]


def test_a_backend_that_cannot_be_asked_is_asked_again_a_minute_later(theatre: Theatre) -> None:
    running = Meeting(theatre.now() - MINUTE)
    script = Script(schedule=[*[running.following] * 2, running.closed()], follow=[OUTAGE, OUTAGE, running.following])

    played = play(theatre, script)

    assert played.steps == ["schedule", "follow", "follow", "schedule", "follow", "schedule"]


def test_the_last_claim_gone_calls_the_bot_back(theatre: Theatre) -> None:
    running = Meeting(theatre.now() - MINUTE)

    async def release(stage: Stage, handle: Handle) -> None:
        await theatre.wait(10 * SECOND)
        await handle.signal(BotSignal.RELEASE, CHANGE)
        await stage.end_of(handle)

    script = Script(
        schedule=[running.following, running.leaving, running.closed("cancelled")], leave=[running.closed("cancelled")]
    )
    played = play(theatre, script, release)

    assert played.steps == ["schedule", "schedule", "leave", "schedule"]
    assert states_shown(played.history) == ["recording", "cancelled"]


def test_calling_back_goes_on_until_the_backend_hears_it(theatre: Theatre) -> None:
    running = Meeting(theatre.now() - MINUTE)
    closed = running.closed("cancelled")

    played = play(theatre, Script(schedule=[running.leaving, closed], leave=[*[OUTAGE] * 20, closed]))

    assert played.steps == ["schedule", *["leave"] * 21, "schedule"]


def test_a_relocated_bot_is_called_back_first_and_then_sent_again(theatre: Theatre, meeting: Meeting) -> None:
    script = Script(
        schedule=[meeting.leaving, meeting.waiting, meeting.closed()], leave=[meeting.waiting], dispatch=[DISPATCHED]
    )

    played = play(theatre, script)

    assert played.steps == ["schedule", "leave", "schedule", "dispatch", "schedule"]
    assert played.waits == [meeting.arm_at]


# Signals are never lost


@dataclass(slots=True)
class Meddler:
    """Answers an activity and, before it does, lets a signal arrive."""

    answer: Any
    signal: BotSignal
    stage: list[Stage] = field(default_factory=list)

    async def __call__(self, call: Call) -> Any:
        arguments = [] if self.signal in (BotSignal.CANCEL, BotSignal.BACKEND_REPORTED) else [CHANGE]
        await self.stage[0].bot().signal(self.signal, args=arguments)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize("signal", list(BotSignal))
def test_a_signal_that_arrives_while_it_closes_is_not_lost(
    theatre: Theatre, meeting: Meeting, signal: BotSignal
) -> None:
    closing = Meddler(meeting.closed("cancelled"), signal)

    async def whole(stage: Stage) -> list[str]:
        closing.stage.append(stage)
        handle = await stage.start_bot()
        await stage.end_of(handle)
        return stage.bot_steps

    script = Script(schedule=[closing, meeting.closed("cancelled")])

    assert theatre.play(script.answer, whole) == ["schedule", "schedule"]


def test_a_change_during_the_dispatch_is_looked_at_before_anything_else(theatre: Theatre, meeting: Meeting) -> None:
    dispatching = Meddler(DISPATCHED, BotSignal.RESCHEDULE)

    async def whole(stage: Stage) -> list[str]:
        dispatching.stage.append(stage)
        handle = await stage.start_bot()
        await stage.end_of(handle)
        return stage.bot_steps

    script = Script(
        schedule=[meeting.waiting, meeting.leaving, meeting.closed("cancelled")],
        dispatch=[dispatching],
        leave=[meeting.closed("cancelled")],
    )

    assert theatre.play(script.answer, whole) == ["schedule", "dispatch", "schedule", "leave", "schedule"]


def test_a_claim_during_a_dispatch_that_comes_to_holding_is_checked_at_once(theatre: Theatre, meeting: Meeting) -> None:
    dispatching = Meddler(HOLD, BotSignal.CLAIM)

    async def whole(stage: Stage) -> list[bool]:
        dispatching.stage.append(stage)
        handle = await stage.start_bot()
        await stage.end_of(handle)
        return [call.request.hold_over for call in stage.called("bot.dispatch")]

    script = Script(schedule=[meeting.waiting, meeting.waiting, meeting.closed()], dispatch=[dispatching, DISPATCHED])

    assert theatre.play(script.answer, whole) == [False, False]


# Long lives


def test_a_full_run_continues_as_a_new_one_and_goes_on(theatre: Theatre) -> None:
    running = Meeting(theatre.now() - MINUTE)
    script = Script(schedule=[*[running.following] * 7, running.closed()], follow=[running.following] * 7)

    async def whole(stage: Stage) -> tuple[list[str], set[str | None]]:
        handle = await stage.start_bot(rounds_per_run=3)
        await stage.end_of(handle)
        return stage.bot_steps, {handle.first_execution_run_id, (await stage.bot().describe()).run_id}

    steps, runs = theatre.play(script.answer, whole)

    assert steps == ["schedule", *["follow", "schedule"] * 7]
    assert len(runs) == 2


def test_a_new_run_waits_on_for_the_same_instant(theatre: Theatre, meeting: Meeting) -> None:
    async def disturb(stage: Stage, handle: Handle) -> None:
        for _ in range(3):
            await theatre.wait(MINUTE)
            await stage.bot().signal(BotSignal.CLAIM, CHANGE)
        await stage.end_of(handle)

    script = Script(schedule=[*[meeting.waiting] * 4, meeting.closed()], dispatch=[DISPATCHED])
    played = play(theatre, script, disturb, rounds_per_run=2)

    assert played.steps == ["schedule"] * 4 + ["dispatch", "schedule"]


def test_a_bot_called_back_and_waiting_again_is_found_as_waiting_also_in_a_new_run(
    theatre: Theatre, meeting: Meeting
) -> None:
    async def whole(stage: Stage) -> str | None:
        handle = await stage.start_bot(rounds_per_run=1)
        while len(stage.bot_steps) < 3:
            await theatre.wait(SECOND)
        for _ in range(60):
            await theatre.wait(SECOND)
            state = (await handle.describe()).typed_search_attributes.get(MEETBOT_STATE)
            if state == "scheduled":
                break
        return state

    script = Script(schedule=[meeting.leaving, meeting.waiting], leave=[meeting.waiting])

    assert theatre.play(script.answer, whole) == "scheduled"


@pytest.mark.parametrize("during", ["wait", "dispatch", "follow", "leave"])
def test_an_operator_can_cancel_the_workflow_at_any_point(theatre: Theatre, meeting: Meeting, during: str) -> None:
    async def cancel_meanwhile(call: Call) -> Any:
        await stages[0].bot().cancel()
        raise OUTAGE

    running = Meeting(theatre.now() - MINUTE)
    stages: list[Stage] = []
    first = {
        "wait": meeting.waiting,
        "dispatch": running.waiting,
        "follow": running.following,
        "leave": running.leaving,
    }

    async def whole(stage: Stage) -> WorkflowExecutionStatus | None:
        stages.append(stage)
        handle = await stage.start_bot()
        if during == "wait":
            await theatre.wait(MINUTE)
            await handle.cancel()
        with pytest.raises(WorkflowFailureError) as failure:
            await stage.end_of(handle)
        assert isinstance(failure.value.cause, CancelledError)
        return (await handle.describe()).status

    script = Script(schedule=[first[during]], **{during: [cancel_meanwhile, OUTAGE]})

    assert theatre.play(script.answer, whole) is WorkflowExecutionStatus.CANCELED


# What an operator sees


def test_the_details_tell_which_bot_and_what_is_next(theatre: Theatre, meeting: Meeting) -> None:
    async def look(stage: Stage) -> str:
        handle = await stage.start_bot()
        await theatre.wait(MINUTE)
        return await details_of(handle)

    details = theatre.play(Script(schedule=[meeting.waiting]).answer, look)

    assert "**bot_1** (dispatch 1) is **scheduled**" in details
    assert "- next: wait" in details
    assert f"{meeting.join_at:%Y-%m-%d %H:%M:%S} to {meeting.end_at:%H:%M:%S} UTC" in details


def test_the_details_tell_that_it_holds(theatre: Theatre) -> None:
    near = Meeting(theatre.now() + 10 * MINUTE)

    async def look(stage: Stage) -> str:
        handle = await stage.start_bot()
        await theatre.wait(9 * MINUTE)
        return await details_of(handle)

    script = Script(schedule=[near.waiting, near.waiting], dispatch=[HOLD])

    assert "the provider could not be asked" in theatre.play(script.answer, look)


def test_the_details_tell_where_there_is_no_bot(theatre: Theatre) -> None:
    async def look(stage: Stage) -> str:
        handle = await stage.start_bot()
        await stage.end_of(handle)
        return await details_of(handle)

    assert theatre.play(Script(schedule=[NO_BOT]).answer, look).startswith("No bot")


def test_the_state_is_shown_once_per_change(theatre: Theatre) -> None:
    running = Meeting(theatre.now() - MINUTE)
    script = Script(
        schedule=[running.waiting, *[running.following] * 3, running.closed()],
        dispatch=[DISPATCHED],
        follow=[running.following] * 3,
    )

    assert states_shown(play(theatre, script).history) == ["recording", "completed"]
