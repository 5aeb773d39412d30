"""The bot's workflow up to the dispatch, with scripted answers of its activities."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from meetbot.temporal.messages import BotSignal, DispatchRequest, DispatchResult, NextStep
from tests.workflows.bot_runs import (
    CHANGE,
    CHANGED,
    DISPATCHED,
    HOUR,
    MINUTE,
    NO_BOT,
    OUTAGE,
    REFUSED,
    SECOND,
    WAIT_FOR_START,
    Meeting,
    run,
)
from tests.workflows.fake_activities import Call, Handle, Harness, Script
from tests.workflows.histories import states_shown, timers_in
from tests.workflows.virtual_time import VirtualTime


def test_a_meeting_nobody_claims_is_closed_at_once(virtual_time: VirtualTime) -> None:
    ran = run(virtual_time, Script(reconcile=[NO_BOT]))

    assert ran.steps == ["reconcile"]


def test_it_waits_until_the_re_check_begins_and_then_dispatches(virtual_time: VirtualTime, meeting: Meeting) -> None:
    ran = run(
        virtual_time, Script(reconcile=[meeting.waiting, meeting.closed()], dispatch=[DISPATCHED], follow=[NO_BOT])
    )

    assert ran.steps == ["reconcile", "dispatch", "follow", "reconcile"]
    assert ran.waits == [meeting.recheck_at]
    assert ran.harness.called("bot.dispatch")[0].at >= meeting.recheck_at
    assert ran.dispatches == [DispatchRequest(ran.harness.tenant_id, "mtg_1", "bot_1", 1, wait_is_over=False)]


def test_a_meeting_whose_re_check_is_overdue_is_dispatched_at_once(virtual_time: VirtualTime) -> None:
    running = Meeting(virtual_time.now() - MINUTE)

    ran = run(
        virtual_time, Script(reconcile=[running.waiting, running.closed()], dispatch=[DISPATCHED], follow=[NO_BOT])
    )

    assert ran.steps == ["reconcile", "dispatch", "follow", "reconcile"]
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

    script = Script(reconcile=[meeting.waiting, later.waiting, later.closed()], dispatch=[DISPATCHED], follow=[NO_BOT])
    ran = run(virtual_time, script, move_after_an_hour)

    assert ran.steps == ["reconcile", "reconcile", "dispatch", "follow", "reconcile"]
    assert ran.waits == [meeting.recheck_at, later.recheck_at]


def test_a_meeting_moved_close_is_dispatched_as_soon_as_it_is_notified(
    virtual_time: VirtualTime, meeting: Meeting
) -> None:
    sooner = Meeting(virtual_time.now() + MINUTE)

    async def move(harness: Harness, handle: Handle) -> None:
        await virtual_time.wait(MINUTE)
        await handle.signal(BotSignal.RESCHEDULE, CHANGE)
        await harness.end_of(handle)

    script = Script(
        reconcile=[meeting.waiting, sooner.waiting, sooner.closed()], dispatch=[DISPATCHED], follow=[NO_BOT]
    )
    ran = run(virtual_time, script, move)

    assert ran.steps == ["reconcile", "reconcile", "dispatch", "follow", "reconcile"]
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


def test_a_signal_while_the_bot_is_held_is_reconciled_at_once(virtual_time: VirtualTime, meeting: Meeting) -> None:
    reconciled, order = asyncio.Event(), []

    async def held(call: Call) -> DispatchResult:
        await reconciled.wait()
        order.append("dispatch ends")
        return CHANGED

    def cancelled(call: Call) -> NextStep:
        order.append("reconcile")
        reconciled.set()
        return meeting.closed("cancelled")

    async def cancel(harness: Harness, handle: Handle) -> None:
        async with harness.skipping():
            while not harness.called("bot.dispatch"):  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)
        await handle.signal(BotSignal.CANCEL)
        await harness.end_of(handle)

    script = Script(reconcile=[meeting.waiting, cancelled, meeting.closed("cancelled")], dispatch=[held])
    ran = run(virtual_time, script, cancel)

    assert order == ["reconcile", "dispatch ends"]
    assert ran.steps == ["reconcile", "dispatch", "reconcile", "reconcile"]


# What the dispatch may come to


def test_a_re_check_that_found_a_change_is_followed_by_reconciling(virtual_time: VirtualTime, meeting: Meeting) -> None:
    later = Meeting(meeting.join_at + HOUR)
    script = Script(
        reconcile=[meeting.waiting, later.waiting, later.closed()], dispatch=[CHANGED, DISPATCHED], follow=[NO_BOT]
    )

    ran = run(virtual_time, script)

    assert ran.steps == ["reconcile", "dispatch", "reconcile", "dispatch", "follow", "reconcile"]
    assert ran.waits == [meeting.recheck_at, later.recheck_at]


def test_a_calendar_that_never_rests_is_asked_more_slowly(virtual_time: VirtualTime, meeting: Meeting) -> None:
    script = Script(
        reconcile=[*[meeting.waiting] * 9, meeting.closed()],
        dispatch=[*[CHANGED] * 8, DISPATCHED],
        follow=[NO_BOT],
    )

    ran = run(virtual_time, script)

    pauses = [timer.length for timer in timers_in(ran.history)][1:-1]
    assert pauses == [2 * SECOND] * 3


def test_one_change_after_a_quiet_dispatch_is_not_slowed_down(virtual_time: VirtualTime, meeting: Meeting) -> None:
    script = Script(
        reconcile=[*[meeting.waiting] * 9, meeting.closed()],
        dispatch=[*[CHANGED] * 5, DISPATCHED, CHANGED, CHANGED, DISPATCHED],
        follow=[NO_BOT] * 2,
    )

    ran = run(virtual_time, script)

    assert 2 * SECOND not in [timer.length for timer in timers_in(ran.history)]


def test_if_nothing_fresh_is_known_it_waits_for_the_start_and_then_goes(
    virtual_time: VirtualTime, meeting: Meeting
) -> None:
    script = Script(
        reconcile=[meeting.waiting, meeting.waiting, meeting.closed()],
        dispatch=[WAIT_FOR_START, DISPATCHED],
        follow=[NO_BOT],
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

    script = Script(
        reconcile=[*[meeting.waiting] * 3, meeting.closed()], dispatch=[WAIT_FOR_START, DISPATCHED], follow=[NO_BOT]
    )
    ran = run(virtual_time, script, claim)

    assert ran.steps == ["reconcile", "dispatch", "reconcile", "reconcile", "dispatch", "follow", "reconcile"]
    assert [request.wait_is_over for request in ran.dispatches] == [False, False]


def test_a_meeting_moved_while_it_waits_for_the_start_is_re_checked_at_its_new_time(
    virtual_time: VirtualTime, meeting: Meeting
) -> None:
    later = Meeting(meeting.join_at + HOUR)
    script = Script(
        reconcile=[meeting.waiting, later.waiting, later.closed()],
        dispatch=[WAIT_FOR_START, DISPATCHED],
        follow=[NO_BOT],
    )

    ran = run(virtual_time, script)

    assert ran.waits == [meeting.recheck_at, later.recheck_at]
    assert [request.wait_is_over for request in ran.dispatches] == [False, False]


def test_a_refusal_for_good_closes_it(virtual_time: VirtualTime, meeting: Meeting) -> None:
    ran = run(virtual_time, Script(reconcile=[meeting.waiting, meeting.closed("failed")], dispatch=[REFUSED]))

    assert ran.steps == ["reconcile", "dispatch", "reconcile"]
    assert states_shown(ran.history) == ["failed"]


def test_a_backend_that_is_back_before_the_end_is_sent_the_bot(virtual_time: VirtualTime, meeting: Meeting) -> None:
    script = Script(
        reconcile=[meeting.waiting, meeting.closed()], dispatch=[OUTAGE, OUTAGE, OUTAGE, DISPATCHED], follow=[NO_BOT]
    )

    ran = run(virtual_time, script)

    assert ran.steps == ["reconcile", *["dispatch"] * 4, "follow", "reconcile"]


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
        reconcile=[short.waiting, longer.waiting, longer.closed()],
        dispatch=[back_after_the_first_end] * 1000,
        follow=[NO_BOT],
    )
    ran = run(virtual_time, script)

    assert [step for step in ran.steps if step == "reconcile"] == ["reconcile"] * 3
    assert ran.steps[-3:] == ["dispatch", "follow", "reconcile"]
