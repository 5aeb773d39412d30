"""The bot's workflow while its bot is in the meeting, until the bot is recalled."""

from __future__ import annotations

from meetbot.temporal.messages import BotSignal
from tests.workflows.bot_runs import CHANGE, DISPATCHED, HOUR, MINUTE, NO_BOT, OUTAGE, SECOND, Meeting, run
from tests.workflows.fake_activities import Handle, Harness, Script
from tests.workflows.histories import states_shown, timers_in
from tests.workflows.virtual_time import VirtualTime


def test_it_asks_by_itself_only_when_the_meeting_should_be_over(virtual_time: VirtualTime) -> None:
    running = Meeting(virtual_time.now() - MINUTE, lasts=31 * MINUTE)
    script = Script(reconcile=[*[running.following] * 3, running.closed()], follow=[running.following] * 3)

    ran = run(virtual_time, script)

    assert ran.steps == ["reconcile", *["follow", "reconcile"] * 3]
    waits = [timer.length for timer in timers_in(ran.history)]
    assert ran.waits[0] == running.end_at + 5 * MINUTE
    assert waits[1:] == [HOUR, HOUR]


def test_a_bot_that_was_sent_is_followed_without_another_look(virtual_time: VirtualTime, meeting: Meeting) -> None:
    until_then = meeting.join_at - virtual_time.now() + 10 * MINUTE

    async def report(harness: Harness, handle: Handle) -> None:
        await virtual_time.wait(until_then)
        await handle.signal(BotSignal.BACKEND_REPORTED)
        await harness.end_of(handle)

    ran = run(virtual_time, Script(reconcile=[meeting.waiting, meeting.closed()], dispatch=[DISPATCHED]), report)

    assert ran.steps == ["reconcile", "dispatch", "reconcile"]
    assert states_shown(ran.history) == ["dispatched", "completed"]


def test_after_a_report_of_the_backend_it_does_not_ask(virtual_time: VirtualTime) -> None:
    running = Meeting(virtual_time.now() - MINUTE)

    async def report(harness: Harness, handle: Handle) -> None:
        await virtual_time.wait(10 * SECOND)
        await handle.signal(BotSignal.BACKEND_REPORTED)
        await harness.end_of(handle)

    ran = run(virtual_time, Script(reconcile=[running.following, running.closed()]), report)

    assert ran.steps == ["reconcile", "reconcile"]


def test_a_backend_that_cannot_be_asked_is_asked_again_later(virtual_time: VirtualTime) -> None:
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
        follow=[NO_BOT],
    )

    ran = run(virtual_time, script)

    assert ran.steps == ["reconcile", "recall", "reconcile", "dispatch", "follow", "reconcile"]
    assert ran.waits == [meeting.recheck_at]
