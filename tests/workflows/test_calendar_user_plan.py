"""The calendar user's workflow and its plan: bots, alone and shared with others."""

from __future__ import annotations

from typing import Any

from meetbot.domain.bot_lifecycle import ObservedState
from meetbot.domain.bot_state import BotState
from meetbot.domain.plan import PlanEntry, Target
from meetbot.temporal.messages import SyncResult
from tests.workflows.calendar_runs import HOUR, LINK, MINUTE, SOON, connected_until, lasting_half_an_hour, run
from tests.workflows.fake_activities import Call, Harness
from tests.workflows.histories import children_in, history_of, signals_in
from tests.workflows.simulation import LEAD, Simulation
from tests.workflows.virtual_time import VirtualTime

# The plan


def test_a_plan_is_sent_to_the_workflow_only_until_it_is_settled(virtual_time: VirtualTime) -> None:
    simulation, start = Simulation(), virtual_time.now()
    simulation.put("cu_1", "mtg_1", lasting_half_an_hour(start + 3 * HOUR))
    connected_until(simulation, start + HOUR)
    plans: list[tuple[PlanEntry, ...] | None] = []

    async def noted(call: Call) -> Any:
        answer = await simulation.answer(call)
        if isinstance(answer, SyncResult):
            plans.append(answer.plan)
        return answer

    async def whole(harness: Harness) -> None:
        await harness.end_of(await harness.connect())

    virtual_time.run(noted, whole)

    assert [plan is None for plan in plans[:-1]] == [False, False] + [True] * (len(plans) - 3)


def test_a_claim_whose_acknowledgement_got_lost_is_made_again(virtual_time: VirtualTime) -> None:
    simulation, start = Simulation(lost_acknowledgements=1), virtual_time.now()
    simulation.put("cu_1", "mtg_1", lasting_half_an_hour(start + 3 * HOUR))
    connected_until(simulation, start + 30 * MINUTE)

    async def wait_for_the_bot(harness: Harness) -> None:
        await harness.end_of(harness.calendar())
        signals.extend(signals_in(await history_of(harness.bot())))

    signals: list[str] = []
    run(virtual_time, simulation, wait_for_the_bot)

    assert signals[0] == "claim"
    assert simulation.acknowledged[("cu_1", "mtg_1")] == lasting_half_an_hour(start + 3 * HOUR).digest


def test_a_bot_terminated_before_it_accepted_the_claim_is_started_again(virtual_time: VirtualTime) -> None:
    simulation, start = Simulation(lost_acknowledgements=1), virtual_time.now()
    simulation.put("cu_1", "mtg_1", lasting_half_an_hour(start + 30 * MINUTE))
    connected_until(simulation, start + 50 * MINUTE)

    async def terminate(harness: Harness) -> None:
        await virtual_time.wait(MINUTE)
        await harness.bot().terminate()

    run(virtual_time, simulation, terminate)

    assert [one.meeting_key for one in simulation.dispatched] == ["mtg_1"]


def test_a_moved_meetings_bot_is_told_and_not_started_again(virtual_time: VirtualTime) -> None:
    simulation, start = Simulation(), virtual_time.now()
    simulation.put("cu_1", "mtg_1", lasting_half_an_hour(start + HOUR))
    simulation.at(start + 20 * MINUTE, lambda: simulation.move("mtg_1", HOUR))
    connected_until(simulation, start + 150 * MINUTE)

    async def watch(harness: Harness) -> None:
        await harness.end_of(harness.calendar())
        children.extend(children_in(await history_of(harness.calendar())))
        signals.extend(signals_in(await history_of(harness.bot())))

    children: list[str] = []
    signals: list[str] = []
    harness = run(virtual_time, simulation, watch)

    assert children == [f"bot/{harness.tenant_id}/mtg_1"]
    assert signals == ["reschedule"]
    assert [one.target.join_at for one in simulation.dispatched] == [start + 2 * HOUR]


def test_a_meeting_that_moved_on_after_it_had_its_bot_gets_its_next_one(virtual_time: VirtualTime) -> None:
    simulation, start = Simulation(), virtual_time.now()
    simulation.put("cu_1", "mtg_1", lasting_half_an_hour(start + 20 * MINUTE))
    simulation.at(start + 30 * MINUTE, lambda: simulation.move("mtg_1", HOUR))
    simulation.at(start + 30 * MINUTE, lambda: simulation.bots.update(mtg_1=ended_early))
    ended_early = observed(lasting_half_an_hour(start + 20 * MINUTE), BotState.COMPLETED)
    connected_until(simulation, start + 2 * HOUR)

    run(virtual_time, simulation)

    assert [one.target.join_at for one in simulation.dispatched] == [start + 20 * MINUTE, start + 80 * MINUTE]


def test_a_meeting_that_ended_is_forgotten_without_a_signal_to_its_bot(virtual_time: VirtualTime) -> None:
    simulation, start = Simulation(), virtual_time.now()
    simulation.put("cu_1", "mtg_1", lasting_half_an_hour(start + 20 * MINUTE))
    connected_until(simulation, start + 80 * MINUTE)

    async def watch(harness: Harness) -> None:
        await harness.end_of(harness.calendar())
        signals.extend(signals_in(await history_of(harness.bot())))

    signals: list[str] = []
    run(virtual_time, simulation, watch)

    assert signals == []
    assert simulation.recalled == []
    assert simulation.bots["mtg_1"].state is BotState.COMPLETED


def test_a_meeting_cancelled_while_its_bot_is_in_it_recalls_the_bot(virtual_time: VirtualTime) -> None:
    simulation, start = Simulation(), virtual_time.now()
    simulation.put("cu_1", "mtg_1", Target(start + 20 * MINUTE, start + HOUR, LINK))
    simulation.at(start + 30 * MINUTE, lambda: simulation.cancel("mtg_1"))
    connected_until(simulation, start + 50 * MINUTE)

    run(virtual_time, simulation)

    assert simulation.recalled == ["mtg_1"]
    assert simulation.bots["mtg_1"].state is BotState.CANCELLED


def test_a_far_meeting_gets_its_bot_once_it_comes_near(virtual_time: VirtualTime) -> None:
    simulation, start = Simulation(), virtual_time.now()
    simulation.put("cu_1", "mtg_1", lasting_half_an_hour(start + 50 * HOUR))
    connected_until(simulation, start + 3 * HOUR)

    async def watch(harness: Harness) -> None:
        await virtual_time.wait(HOUR)
        known.append(dict(simulation.bots))
        await harness.end_of(harness.calendar())

    known: list[dict[str, Any]] = []
    run(virtual_time, simulation, watch)

    assert known == [{}]
    assert list(simulation.bots) == ["mtg_1"]


# Two users, one meeting


def test_two_users_in_one_meeting_share_one_bot_that_goes_with_the_last_claim(virtual_time: VirtualTime) -> None:
    simulation, start = Simulation(), virtual_time.now()
    for user in ("cu_1", "cu_2"):
        simulation.put(user, "mtg_1", lasting_half_an_hour(start + 6 * HOUR))
    simulation.at(start + 20 * MINUTE, lambda: simulation.calendars["cu_1"].clear())
    simulation.at(start + 60 * MINUTE, lambda: simulation.calendars["cu_2"].clear())
    connected_until(simulation, start + 90 * MINUTE, "cu_1", "cu_2")

    async def whole(harness: Harness) -> list[str]:
        await harness.connect("cu_1")
        await virtual_time.wait(SOON)
        await harness.connect("cu_2")
        await virtual_time.wait(40 * MINUTE)
        states.append(simulation.bots["mtg_1"].state)
        for user in ("cu_1", "cu_2"):
            await harness.end_of(harness.calendar(user))
        return signals_in(await history_of(harness.bot()))

    states: list[BotState] = []
    signals = virtual_time.run(simulation.answer, whole)

    assert signals == ["claim", "release", "release"]
    assert states == [BotState.SCHEDULED]
    assert simulation.bots["mtg_1"].state is BotState.CANCELLED


def test_two_users_whose_calendars_sync_at_the_same_instant_start_one_bot(virtual_time: VirtualTime) -> None:
    simulation, start = Simulation(), virtual_time.now()
    users = [f"cu_{number}" for number in range(6)]
    for user in users:
        simulation.put(user, "mtg_1", lasting_half_an_hour(start + 20 * MINUTE))
    connected_until(simulation, start + 40 * MINUTE, *users)

    async def whole(harness: Harness) -> None:
        for user in users:
            await harness.connect(user)
        for user in users:
            await harness.end_of(harness.calendar(user))

    virtual_time.run(simulation.answer, whole)

    assert [one.meeting_key for one in simulation.dispatched] == ["mtg_1"]
    assert sorted(user for user, _ in simulation.acknowledged) == users


def observed(target: Target, state: BotState) -> ObservedState:
    return ObservedState(state, target.join_at, target.end_at, target.join_at - LEAD, target.meeting_url)
