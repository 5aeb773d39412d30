"""The calendar user's loop: its syncs, its use of the plan, and its failures."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import CancelledError

from meetbot.domain.bot_lifecycle import ObservedState
from meetbot.domain.bot_state import BotState
from meetbot.domain.calendar_user import CalendarUserStatus
from meetbot.domain.plan import PlanEntry, Target
from meetbot.domain.sync_slots import next_slot, sync_phase
from meetbot.errors import OperatorRequired, RetryLater
from meetbot.temporal.messages import CalendarUserSignal, SyncResult, SyncScope
from tests.workflows.conftest import VirtualTime as Theatre
from tests.workflows.fake_activities import Call, Script, details_of
from tests.workflows.fake_activities import Harness as Stage
from tests.workflows.histories import children_in, history_of, signals_in, states_shown, timers_in
from tests.workflows.simulation import LEAD
from tests.workflows.simulation import Simulation as Truth

DAY, HOUR, MINUTE, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
FIVE_MINUTES = timedelta(minutes=5)
LINK = "https://meet.example/a"
# Virtual time does not stand still while an activity is carried out.
SOON = 30 * SECOND

QUIET = SyncResult(CalendarUserStatus.ACTIVE, "d_none", None)
NOTHING_PLANNED = SyncResult(CalendarUserStatus.ACTIVE, "d_none", ())
GONE = SyncResult(CalendarUserStatus.GONE, "", ())


def lasting_half_an_hour(start: datetime, url: str = LINK) -> Target:
    return Target(start, start + 30 * MINUTE, url)


def lives(truth: Truth, until: datetime, *users: str) -> None:
    """These users are there until then; the first sync after it ends their workflows."""
    for user in users or ("cu_1",):
        truth.at(until, lambda user=user: truth.gone.add(user))  # type: ignore[misc]


def play(theatre: Theatre, truth: Truth, scene: Callable[[Stage], Awaitable[Any]] | None = None) -> Stage:
    async def whole(stage: Stage) -> Stage:
        await stage.connect()
        if scene is not None:
            await scene(stage)
        await stage.end_of(stage.calendar())
        return stage

    return theatre.play(truth.answer, whole)


# The loop


def test_a_day_has_a_sync_every_five_minutes_and_each_bot_goes_at_its_time(theatre: Theatre) -> None:
    truth, start = Truth(), theatre.now()
    plain = lasting_half_an_hour(start + 15 * HOUR)
    moved, moved_to = lasting_half_an_hour(start + 14 * HOUR), lasting_half_an_hour(start + 17 * HOUR)
    for key, target in (
        ("mtg_plain", plain),
        ("mtg_moved", moved),
        ("mtg_cancelled", lasting_half_an_hour(start + 16 * HOUR)),
    ):
        truth.put("cu_1", key, target)
    noon = start + 12 * HOUR
    truth.at(noon, lambda: truth.move("mtg_moved", 3 * HOUR))
    truth.at(noon, lambda: truth.cancel("mtg_cancelled"))
    lives(truth, start + DAY)

    stage = play(theatre, truth)

    # One comes at once, 288 fall into the day, and the last one finds the user gone.
    assert len(stage.called("calendar.sync")) == 290
    assert [(one.meeting_key, one.target) for one in truth.dispatched] == [
        ("mtg_plain", plain),
        ("mtg_moved", moved_to),
    ]
    for one in truth.dispatched:
        assert one.target.join_at - LEAD <= one.at <= one.target.join_at - LEAD + SOON
    assert {key: bot.state for key, bot in truth.bots.items()} == {
        "mtg_plain": BotState.COMPLETED,
        "mtg_moved": BotState.COMPLETED,
        "mtg_cancelled": BotState.CANCELLED,
    }


def test_it_waits_for_its_own_slot_however_long_the_sync_took(theatre: Theatre) -> None:
    async def whole(stage: Stage) -> list[datetime]:
        handle = await stage.connect("cu_slots")
        await stage.end_of(handle)
        return [timer.due for timer in timers_in(await history_of(handle))]

    async def slow(call: Call) -> SyncResult:
        await theatre.wait(9 * SECOND)
        return QUIET

    due = theatre.play(Script(sync=[NOTHING_PLANNED, slow, QUIET, QUIET, GONE]).answer, whole)

    phase = sync_phase("cu_slots", FIVE_MINUTES)
    first = next_slot(due[0] - MINUTE, FIVE_MINUTES, phase)
    assert [abs(one - first - number * FIVE_MINUTES) < SECOND / 100 for number, one in enumerate(due)] == [True] * 4


def test_a_user_who_is_gone_ends_the_loop(theatre: Theatre) -> None:
    async def whole(stage: Stage) -> list[str]:
        handle = await stage.connect()
        await stage.end_of(handle)
        return states_shown(await history_of(handle))

    assert theatre.play(Script(sync=[GONE]).answer, whole) == ["gone"]


# Signals


async def signalled(theatre: Theatre, stage: Stage, *signals: CalendarUserSignal) -> None:
    await theatre.wait(SECOND)
    for signal in signals:
        await stage.calendar().signal(signal)


@pytest.mark.parametrize(
    ("signal", "scope"),
    [
        (CalendarUserSignal.SYNC_NOW, SyncScope.CALENDAR),
        (CalendarUserSignal.RECONNECTED, SyncScope.CALENDAR),
        (CalendarUserSignal.RULES_CHANGED, SyncScope.DECISIONS),
    ],
)
def test_a_signal_brings_the_sync_it_is_for(theatre: Theatre, signal: CalendarUserSignal, scope: SyncScope) -> None:
    async def whole(stage: Stage) -> list[SyncScope]:
        handle = await stage.connect()
        await signalled(theatre, stage, signal)
        await stage.end_of(handle)
        return [call.request.scope for call in stage.called("calendar.sync")]

    assert theatre.play(Script(sync=[NOTHING_PLANNED, GONE]).answer, whole) == [SyncScope.CALENDAR, scope]


def test_changed_rules_are_applied_while_a_sync_hangs_and_once_more_after_it(theatre: Theatre) -> None:
    stages: list[Stage] = []
    applied = asyncio.Event()
    decisions = iter([NOTHING_PLANNED, GONE])

    async def hang_until_the_rules_are_applied(call: Call) -> SyncResult:
        await stages[0].calendar().signal(CalendarUserSignal.RULES_CHANGED)
        await asyncio.wait_for(applied.wait(), timeout=30)
        return NOTHING_PLANNED

    async def answer(call: Call) -> SyncResult:
        if call.request.scope is SyncScope.CALENDAR:
            return await hang_until_the_rules_are_applied(call)
        applied.set()
        return next(decisions)

    async def whole(stage: Stage) -> list[SyncScope]:
        stages.append(stage)
        handle = await stage.connect()
        await stage.end_of(handle)
        return [call.request.scope for call in stage.called("calendar.sync")]

    assert theatre.play(answer, whole) == [SyncScope.CALENDAR, SyncScope.DECISIONS, SyncScope.DECISIONS]


def test_signals_that_come_together_bring_one_sync_that_serves_them_all(theatre: Theatre) -> None:
    stages: list[Stage] = []

    async def signals_meanwhile(call: Call) -> SyncResult:
        for signal in (CalendarUserSignal.SYNC_NOW, CalendarUserSignal.RECONNECTED, CalendarUserSignal.SYNC_NOW):
            await stages[0].calendar().signal(signal)
        return NOTHING_PLANNED

    async def whole(stage: Stage) -> list[SyncScope]:
        stages.append(stage)
        await stage.end_of(await stage.connect())
        return [call.request.scope for call in stage.called("calendar.sync")]

    script = Script(sync=[signals_meanwhile, GONE])

    assert theatre.play(script.answer, whole) == [SyncScope.CALENDAR, SyncScope.CALENDAR]


def test_a_sync_asked_for_while_changed_rules_are_applied_serves_both(theatre: Theatre) -> None:
    stages: list[Stage] = []
    applied = asyncio.Event()

    async def hang(call: Call) -> SyncResult:
        for signal in (CalendarUserSignal.SYNC_NOW, CalendarUserSignal.RULES_CHANGED):
            await stages[0].calendar().signal(signal)
        await applied.wait()
        return NOTHING_PLANNED

    def apply(call: Call) -> SyncResult:
        applied.set()
        return QUIET

    async def whole(stage: Stage) -> list[tuple[SyncScope, str]]:
        stages.append(stage)
        await stage.end_of(await stage.connect())
        return [(call.request.scope, call.request.plan_digest) for call in stage.called("calendar.sync")]

    # The last one is to see the whole plan: the hanging one may have decided by the earlier rules.
    assert theatre.play(Script(sync=[hang, apply, GONE]).answer, whole) == [
        (SyncScope.CALENDAR, ""),
        (SyncScope.DECISIONS, ""),
        (SyncScope.CALENDAR, ""),
    ]


def test_changed_rules_withdraw_the_bot_without_asking_the_provider(theatre: Theatre) -> None:
    truth, start = Truth(), theatre.now()
    truth.put("cu_1", "mtg_1", lasting_half_an_hour(start + HOUR))
    lives(truth, start + 20 * MINUTE)

    async def change_rules(stage: Stage) -> None:
        await theatre.wait(MINUTE)
        truth.skipped.add("mtg_1")
        await stage.calendar().signal(CalendarUserSignal.RULES_CHANGED)
        await stage.end_of(stage.bot())

    stage = play(theatre, truth, change_rules)

    assert SyncScope.DECISIONS in {call.request.scope for call in stage.called("calendar.sync")}
    assert truth.bots["mtg_1"].state is BotState.CANCELLED
    assert truth.dispatched == []


def test_disconnecting_releases_every_meeting_and_ends(theatre: Theatre) -> None:
    truth, start = Truth(), theatre.now()
    for number in range(5):
        truth.put("cu_1", f"mtg_{number}", lasting_half_an_hour(start + HOUR))

    async def disconnect(stage: Stage) -> list[list[str]]:
        await theatre.wait(MINUTE)
        truth.gone.add("cu_1")
        await stage.calendar().signal(CalendarUserSignal.DISCONNECT)
        await stage.end_of(stage.calendar())
        for number in range(5):
            await stage.end_of(stage.bot(f"mtg_{number}"))
        signals.extend([signals_in(await history_of(stage.bot(f"mtg_{number}"))) for number in range(5)])
        return signals

    signals: list[list[str]] = []
    play(theatre, truth, disconnect)

    assert signals == [["release"]] * 5
    assert {bot.state for bot in truth.bots.values()} == {BotState.CANCELLED}


def test_disconnecting_does_not_wait_for_a_sync_that_is_being_retried(theatre: Theatre) -> None:
    async def whole(stage: Stage) -> timedelta:
        handle = await stage.connect()
        await theatre.wait(SECOND)
        sent = theatre.server_now
        before = await sent()
        await handle.signal(CalendarUserSignal.DISCONNECT)
        await stage.end_of(handle)
        closed = (await history_of(handle)).events[-1].event_time.ToDatetime(tzinfo=before.tzinfo)
        return closed - before

    in_ten_minutes = RetryLater("provider_unavailable", "down", retry_after=10 * MINUTE)

    assert theatre.play(Script(sync=[in_ten_minutes, QUIET]).answer, whole) < SOON


# Failures


def test_a_sync_that_fails_does_not_stop_the_loop_and_is_shown(theatre: Theatre) -> None:
    refused = OperatorRequired("client_rejected", "the words of the provider")

    async def whole(stage: Stage) -> tuple[str, str]:
        handle = await stage.connect("cu_1", interval_seconds=3600)
        while len(stage.calls) < 4:
            await theatre.wait(10 * SECOND)
        await theatre.wait(SECOND)
        failing = await details_of(handle)
        await theatre.wait(HOUR)
        return failing, await details_of(handle)

    failing, recovered = theatre.play(Script(sync=[*[refused] * 4, QUIET, QUIET]).answer, whole)

    assert "last error: client_rejected" in failing
    assert "never synced" in failing
    assert "words of the provider" not in failing
    assert "last error: none" in recovered


def test_a_failing_sync_is_tried_four_times_and_then_at_the_next_slot(theatre: Theatre) -> None:
    outage = RetryLater("provider_unavailable", "down")

    async def whole(stage: Stage) -> int:
        await stage.end_of(await stage.connect())
        return len(stage.called("calendar.sync"))

    assert theatre.play(Script(sync=[*[outage] * 8, GONE]).answer, whole) == 9


def test_a_lost_grant_is_shown_and_the_loop_goes_on(theatre: Theatre) -> None:
    lost = SyncResult(CalendarUserStatus.NEEDS_RECONNECT, "d_none", None, error="invalid_grant")

    async def whole(stage: Stage) -> tuple[str, list[str]]:
        handle = await stage.connect()
        await theatre.wait(SECOND)
        details = await details_of(handle)
        await stage.end_of(handle)
        return details, states_shown(await history_of(handle))

    details, states = theatre.play(Script(sync=[lost, QUIET, GONE]).answer, whole)

    assert "is **needs_reconnect**" in details
    assert "last error: invalid_grant" in details
    assert states == ["needs_reconnect", "active", "gone"]


def test_an_operator_can_cancel_the_loop_during_a_sync(theatre: Theatre) -> None:
    stages: list[Stage] = []

    async def cancel_meanwhile(call: Call) -> SyncResult:
        await stages[0].calendar().cancel()
        raise RetryLater("provider_unavailable", "down")

    async def whole(stage: Stage) -> WorkflowExecutionStatus | None:
        stages.append(stage)
        handle = await stage.connect()
        with pytest.raises(WorkflowFailureError) as failure:
            await stage.end_of(handle)
        assert isinstance(failure.value.cause, CancelledError)
        return (await handle.describe()).status

    script = Script(sync=[cancel_meanwhile, QUIET, GONE])

    assert theatre.play(script.answer, whole) is WorkflowExecutionStatus.CANCELED


# The plan


def test_a_plan_is_sent_to_the_workflow_only_until_it_is_settled(theatre: Theatre) -> None:
    truth, start = Truth(), theatre.now()
    truth.put("cu_1", "mtg_1", lasting_half_an_hour(start + 3 * HOUR))
    lives(truth, start + HOUR)
    plans: list[tuple[PlanEntry, ...] | None] = []

    async def noted(call: Call) -> Any:
        answer = await truth.answer(call)
        if isinstance(answer, SyncResult):
            plans.append(answer.plan)
        return answer

    async def whole(stage: Stage) -> None:
        await stage.end_of(await stage.connect())

    theatre.play(noted, whole)

    assert [plan is None for plan in plans[:-1]] == [False, False] + [True] * (len(plans) - 3)


def test_a_claim_whose_acknowledgement_got_lost_is_made_again(theatre: Theatre) -> None:
    truth, start = Truth(lost_acknowledgements=1), theatre.now()
    truth.put("cu_1", "mtg_1", lasting_half_an_hour(start + 3 * HOUR))
    lives(truth, start + 30 * MINUTE)

    async def wait_for_the_bot(stage: Stage) -> None:
        await stage.end_of(stage.calendar())
        signals.extend(signals_in(await history_of(stage.bot())))

    signals: list[str] = []
    play(theatre, truth, wait_for_the_bot)

    assert signals[0] == "claim"
    assert truth.acknowledged[("cu_1", "mtg_1")] == lasting_half_an_hour(start + 3 * HOUR).digest


def test_a_bot_terminated_before_it_accepted_the_claim_is_started_again(theatre: Theatre) -> None:
    truth, start = Truth(lost_acknowledgements=1), theatre.now()
    truth.put("cu_1", "mtg_1", lasting_half_an_hour(start + 30 * MINUTE))
    lives(truth, start + 50 * MINUTE)

    async def terminate(stage: Stage) -> None:
        await theatre.wait(MINUTE)
        await stage.bot().terminate()

    play(theatre, truth, terminate)

    assert [one.meeting_key for one in truth.dispatched] == ["mtg_1"]


def test_a_moved_meetings_bot_is_told_and_not_started_again(theatre: Theatre) -> None:
    truth, start = Truth(), theatre.now()
    truth.put("cu_1", "mtg_1", lasting_half_an_hour(start + HOUR))
    truth.at(start + 20 * MINUTE, lambda: truth.move("mtg_1", HOUR))
    lives(truth, start + 150 * MINUTE)

    async def watch(stage: Stage) -> None:
        await stage.end_of(stage.calendar())
        children.extend(children_in(await history_of(stage.calendar())))
        signals.extend(signals_in(await history_of(stage.bot())))

    children: list[str] = []
    signals: list[str] = []
    stage = play(theatre, truth, watch)

    assert children == [f"bot/{stage.tenant_id}/mtg_1"]
    assert signals == ["reschedule"]
    assert [one.target.join_at for one in truth.dispatched] == [start + 2 * HOUR]


def test_a_meeting_that_moved_on_after_it_had_its_bot_gets_its_next_one(theatre: Theatre) -> None:
    truth, start = Truth(), theatre.now()
    truth.put("cu_1", "mtg_1", lasting_half_an_hour(start + 20 * MINUTE))
    truth.at(start + 30 * MINUTE, lambda: truth.move("mtg_1", HOUR))
    truth.at(start + 30 * MINUTE, lambda: truth.bots.update(mtg_1=ended_early))
    ended_early = _standing(lasting_half_an_hour(start + 20 * MINUTE), BotState.COMPLETED)
    lives(truth, start + 2 * HOUR)

    play(theatre, truth)

    assert [one.target.join_at for one in truth.dispatched] == [start + 20 * MINUTE, start + 80 * MINUTE]


def test_a_meeting_that_ended_is_forgotten_without_a_signal_to_its_bot(theatre: Theatre) -> None:
    truth, start = Truth(), theatre.now()
    truth.put("cu_1", "mtg_1", lasting_half_an_hour(start + 20 * MINUTE))
    lives(truth, start + 80 * MINUTE)

    async def watch(stage: Stage) -> None:
        await stage.end_of(stage.calendar())
        signals.extend(signals_in(await history_of(stage.bot())))

    signals: list[str] = []
    play(theatre, truth, watch)

    assert signals == []
    assert truth.recalled == []
    assert truth.bots["mtg_1"].state is BotState.COMPLETED


def test_a_meeting_cancelled_while_its_bot_is_in_it_recalls_the_bot(theatre: Theatre) -> None:
    truth, start = Truth(), theatre.now()
    truth.put("cu_1", "mtg_1", Target(start + 20 * MINUTE, start + HOUR, LINK))
    truth.at(start + 30 * MINUTE, lambda: truth.cancel("mtg_1"))
    lives(truth, start + 50 * MINUTE)

    play(theatre, truth)

    assert truth.recalled == ["mtg_1"]
    assert truth.bots["mtg_1"].state is BotState.CANCELLED


def test_a_far_meeting_gets_its_bot_once_it_comes_near(theatre: Theatre) -> None:
    truth, start = Truth(), theatre.now()
    truth.put("cu_1", "mtg_1", lasting_half_an_hour(start + 50 * HOUR))
    lives(truth, start + 3 * HOUR)

    async def watch(stage: Stage) -> None:
        await theatre.wait(HOUR)
        known.append(dict(truth.bots))
        await stage.end_of(stage.calendar())

    known: list[dict[str, Any]] = []
    play(theatre, truth, watch)

    assert known == [{}]
    assert list(truth.bots) == ["mtg_1"]


# Two users, one meeting


def test_two_users_in_one_meeting_share_one_bot_that_goes_with_the_last_claim(theatre: Theatre) -> None:
    truth, start = Truth(), theatre.now()
    for user in ("cu_1", "cu_2"):
        truth.put(user, "mtg_1", lasting_half_an_hour(start + 6 * HOUR))
    truth.at(start + 20 * MINUTE, lambda: truth.calendars["cu_1"].clear())
    truth.at(start + 60 * MINUTE, lambda: truth.calendars["cu_2"].clear())
    lives(truth, start + 90 * MINUTE, "cu_1", "cu_2")

    async def whole(stage: Stage) -> list[str]:
        await stage.connect("cu_1")
        await theatre.wait(SOON)
        await stage.connect("cu_2")
        await theatre.wait(40 * MINUTE)
        states.append(truth.bots["mtg_1"].state)
        for user in ("cu_1", "cu_2"):
            await stage.end_of(stage.calendar(user))
        return signals_in(await history_of(stage.bot()))

    states: list[BotState] = []
    signals = theatre.play(truth.answer, whole)

    assert signals == ["claim", "release", "release"]
    assert states == [BotState.SCHEDULED]
    assert truth.bots["mtg_1"].state is BotState.CANCELLED


def test_two_users_whose_calendars_sync_at_the_same_instant_start_one_bot(theatre: Theatre) -> None:
    truth, start = Truth(), theatre.now()
    users = [f"cu_{number}" for number in range(6)]
    for user in users:
        truth.put(user, "mtg_1", lasting_half_an_hour(start + 20 * MINUTE))
    lives(truth, start + 40 * MINUTE, *users)

    async def whole(stage: Stage) -> None:
        for user in users:
            await stage.connect(user)
        for user in users:
            await stage.end_of(stage.calendar(user))

    theatre.play(truth.answer, whole)

    assert [one.meeting_key for one in truth.dispatched] == ["mtg_1"]
    assert sorted(user for user, _ in truth.acknowledged) == users


# What an operator sees


def test_the_details_list_the_meetings_to_come_and_nothing_about_them(theatre: Theatre) -> None:
    truth, start = Truth(), theatre.now()
    target = lasting_half_an_hour(start + 3 * HOUR)
    truth.put("cu_1", "mtg_1", target)

    async def look(stage: Stage) -> tuple[str, str]:
        handle = await stage.connect()
        await theatre.wait(MINUTE)
        return await details_of(handle), stage.tenant_id

    details, tenant_id = theatre.play(truth.answer, look)

    assert "**cu_1** (google) is **active**" in details
    assert "last error: none" in details
    assert "meetings to be recorded, under way or near: 1" in details
    assert f"- {target.join_at:%Y-%m-%d %H:%M} UTC `bot/{tenant_id}/mtg_1`" in details
    assert LINK not in details


def _standing(target: Target, state: BotState) -> ObservedState:
    return ObservedState(state, target.join_at, target.end_at, target.join_at - LEAD, target.meeting_url)
