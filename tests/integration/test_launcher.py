"""The launcher: bots held until their instant without a thread, and sent together.

Real time, since its waits are on the event loop. PostgreSQL is real, the sandbox is provider and backend.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import select
from temporalio.exceptions import ApplicationError

from activities.dispatch import Armed, Asked, DispatchSteps
from activities.launcher import Launcher
from bench.harness import Meter
from meetbot.backends.base import BackendBot
from meetbot.domain.bot_state import BotState
from meetbot.storage.tables import LaunchHold, Meeting
from meetbot.temporal.messages import DispatchOutcome, DispatchRequest, DispatchResult
from tests.integration.meetings import report
from tests.rig import Rig

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]

_PATIENCE_SECONDS = 40
# From the start of a test to the instant of its bots, on top of the lead of 90 seconds.
_AHEAD_SECONDS = 6.0


class Told:
    """What activities were completed with, by their tokens."""

    def __init__(self) -> None:
        self.outcomes: dict[bytes, DispatchResult | ApplicationError] = {}

    async def complete(self, task_token: bytes, outcome: DispatchResult | ApplicationError) -> None:
        assert task_token not in self.outcomes
        self.outcomes[task_token] = outcome

    def result(self, task_token: bytes) -> DispatchOutcome:
        outcome = self.outcomes[task_token]
        assert isinstance(outcome, DispatchResult)
        return outcome.outcome


@asynccontextmanager
async def running(rig: Rig, told: Told) -> AsyncIterator[Launcher]:
    launcher, stop = Launcher(rig.services.database, DispatchSteps(rig.services), rig.clock), asyncio.Event()
    loop = asyncio.create_task(launcher.run(told, stop))
    try:
        yield launcher
    finally:
        stop.set()
        await loop


async def until(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not await asyncio.to_thread(look):  # noqa: ASYNC110 - what changes is in the database
            await asyncio.sleep(0.1)


def due(rig: Rig, count: int = 1, ahead: float = _AHEAD_SECONDS) -> list[DispatchRequest]:
    """Bots that are due in some seconds, as their workflows hand them over."""
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    for number in range(count):
        rig.sandbox.event(ada, title=f"Meeting {number}", starts_in_minutes=(90 + ahead) / 60)
    steps = [
        (entry.meeting_key, rig.bot_activities.reconcile(rig.ref(entry.meeting_key))) for entry in rig.planned(user)
    ]
    return [DispatchRequest(rig.tenant_id, key, step.bot_id, step.generation) for key, step in steps]


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await scenario()

    asyncio.run(whole())


def test_bots_that_are_held_together_go_once_each_and_none_before_its_instant(rig: Rig) -> None:
    requests, told = due(rig, 12), Told()

    async def scenario() -> None:
        async with running(rig, told) as launcher:
            await asyncio.gather(*(launcher.hold(one, one.bot_id.encode()) for one in requests))
            await until(lambda: len(told.outcomes) == len(requests))

    run(scenario)

    assert {told.result(one.bot_id.encode()) for one in requests} == {DispatchOutcome.DISPATCHED}
    assert len(rig.sandbox.jobs()) == len({job["externalId"] for job in rig.sandbox.jobs()}) == len(requests)
    assert all(bot.dispatched_at and bot.dispatched_at >= bot.dispatch_at for bot in rig.bots())
    assert [event for event, _ in rig.webhook_events()].count("bot.dispatched") == len(requests)
    with rig.read() as session:
        assert session.exec(select(LaunchHold)).all() == []


def test_a_batch_of_intents_and_answers_takes_no_statements_per_bot(rig: Rig) -> None:
    steps, meter = DispatchSteps(rig.services), Meter()
    armed = [one for one in map(steps.arm, due(rig, 12)) if isinstance(one, Armed)]
    meter.watch(rig.services.database)

    def launch(some: list[Armed]) -> None:
        intended = [one for one in steps.write_intents(rig.tenant_id, some) if one is not None]
        answer = BackendBot("job", BotState.DISPATCHED, None, None, {})
        asked = [Asked(one, replace(answer, id=f"job_{one.request.bot_id}"), rig.clock()) for one in intended]
        assert len(steps.record_all(rig.tenant_id, asked)) == len(some)

    few, many = meter.measure(lambda: launch(armed[:2])), meter.measure(lambda: launch(armed[2:]))
    assert few.statements == many.statements <= 20


def test_a_meeting_cancelled_by_hand_while_its_bot_is_held_gets_none(rig: Rig) -> None:
    (request,), told = due(rig, ahead=20), Told()

    async def scenario() -> None:
        async with running(rig, told) as launcher:
            await launcher.hold(request, b"token")
            await until(lambda: rig.sandbox.counts("/google/calendar/v3/calendars/primary/events") > 0)
            with rig.database.transaction(rig.tenant_id) as session:
                session.get_one(Meeting, (rig.tenant_id, request.meeting_key)).suppressed_at = rig.clock()
            await until(lambda: bool(told.outcomes))

    run(scenario)

    assert told.result(b"token") is DispatchOutcome.CHANGED
    assert rig.clock() < rig.bots()[0].dispatch_at, "it ends as soon as it is known"
    assert rig.sandbox.jobs() == []


def test_a_change_at_the_provider_in_the_last_second_but_one_counts(rig: Rig) -> None:
    (request,), told = due(rig), Told()
    (event,) = rig.sandbox.http.get("/control/accounts/ada@acme.test/events").json()

    async def scenario() -> None:
        async with running(rig, told) as launcher:
            await launcher.hold(request, b"token")
            instant = rig.bots()[0].dispatch_at - timedelta(seconds=1.1)
            await asyncio.sleep((instant - rig.clock()).total_seconds())
            await asyncio.to_thread(rig.sandbox.cancel, event)
            await until(lambda: bool(told.outcomes))

    run(scenario)

    assert told.result(b"token") is DispatchOutcome.CHANGED
    assert rig.sandbox.jobs() == []


def test_a_lost_answer_fails_the_activity_and_the_next_one_makes_no_second_bot(rig: Rig) -> None:
    (request,), told = due(rig, ahead=2), Told()
    rig.sandbox.fault(path="/backend/api/v1/jobs", when="after", times=1, drop=True)

    async def scenario() -> None:
        async with running(rig, told) as launcher:
            await launcher.hold(request, b"first")
            await until(lambda: b"first" in told.outcomes)
            await launcher.hold(request, b"second")
            await until(lambda: b"second" in told.outcomes)

    run(scenario)

    assert isinstance(told.outcomes[b"first"], ApplicationError)
    assert told.result(b"second") is DispatchOutcome.DISPATCHED
    assert len(rig.sandbox.jobs()) == 1


def test_a_bot_of_a_dead_process_is_taken_over_and_its_activity_completed(rig: Rig) -> None:
    (request,), dead, alive = due(rig), Told(), Told()

    async def scenario() -> None:
        victim = Launcher(rig.services.database, DispatchSteps(rig.services), rig.clock)
        # Its pulse never began: as for one whose connection the kernel has closed.
        await victim.hold(request, b"token")
        await victim._let_go()
        async with running(rig, alive):
            await until(lambda: bool(alive.outcomes))

    run(scenario)

    assert dead.outcomes == {}
    assert alive.result(b"token") is DispatchOutcome.DISPATCHED
    assert len(rig.sandbox.jobs()) == 1


def test_two_launchers_share_the_rows_and_hold_no_bot_twice(rig: Rig) -> None:
    requests, first, second = due(rig, 4), Told(), Told()

    async def scenario() -> None:
        async with running(rig, first) as one, running(rig, second) as other:
            await asyncio.gather(*(one.hold(request, request.bot_id.encode()) for request in requests))
            # An attempt that comes to another process: the first one holds the bot, and completes the newer attempt.
            await other.hold(requests[0], b"newer")
            await until(lambda: len(first.outcomes) == len(requests))

    run(scenario)

    assert second.outcomes == {}
    assert b"newer" in first.outcomes
    assert len(rig.sandbox.jobs()) == len(requests)


def test_a_bot_that_no_activity_hands_over_goes_in_time_all_the_same(rig: Rig) -> None:
    (request,), told = due(rig, ahead=8), Told()

    async def scenario() -> None:
        async with running(rig, told) as launcher:
            await until(lambda: len(rig.sandbox.jobs()) == 1)
            # Its activity comes late, and learns that the meeting has to be looked at again.
            await launcher.hold(request, b"late")
            await until(lambda: bool(told.outcomes))

    run(scenario)

    assert told.result(b"late") in (DispatchOutcome.DISPATCHED, DispatchOutcome.CHANGED)
    assert rig.bots()[0].state == "dispatched"
    report(rig, "job.status_changed", "in_call")
    assert rig.bots()[0].state == "in_call"
