"""Meetings in one room, sent in one instant, while processes die or bots are recalled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from activities.dispatch import Armed, Asked, DispatchSteps
from meetbot.bots.launch_batches import Intended
from meetbot.errors import BackendUnavailable
from meetbot.storage.bot_reads import meetings_to_cancel, suppress_meeting
from meetbot.storage.tables import Bot
from meetbot.temporal.messages import DispatchOutcome, DispatchRequest, StepKind
from tests.integration.rooms import Booking, book, live_jobs
from tests.rig import Rig

pytestmark = pytest.mark.stack

_JOBS = "/backend/api/v1/jobs"


def armed(booking: Booking, steps: DispatchSteps) -> Armed:
    step = booking.reconcile()
    request = DispatchRequest(booking.rig.tenant_id, booking.key, step.bot_id, step.generation)
    one = steps.arm(request)
    assert isinstance(one, Armed)
    return one


def test_of_two_meetings_in_one_batch_one_is_sent(rig: Rig) -> None:
    first, other, steps = book(rig, "ada"), book(rig, "grace"), DispatchSteps(rig.services)
    sent, shared = steps.write_intents(rig.tenant_id, [armed(first, steps), armed(other, steps)])
    assert sent is not None
    assert shared is None
    assert other.reconcile().bot_id == sent.request.bot_id


async def asked(steps: DispatchSteps, intended: Intended) -> Asked:
    try:
        return await steps.ask(intended)
    finally:
        await steps.close()


def test_of_many_sent_in_one_instant_by_several_processes_one_is_sent(rig: Rig) -> None:
    bookings = [book(rig, name, starts=60) for name in ("ada", "grace", "mary", "joan")]
    processes = [DispatchSteps(rig.services) for _ in bookings]
    ready = [armed(booking, steps) for booking, steps in zip(bookings, processes, strict=True)]
    together = Barrier(len(bookings))

    def send(steps: DispatchSteps, one: Armed) -> bool:
        together.wait(timeout=30)
        (intended,) = steps.write_intents(rig.tenant_id, [one])
        if intended is not None:
            steps.record(asyncio.run(asked(steps, intended)))
        return intended is not None

    with ThreadPoolExecutor(len(bookings)) as pool:
        went = list(pool.map(send, processes, ready))

    assert sum(went) == 1
    assert len(rig.sandbox.jobs()) == 1
    assert [booking.reconcile().kind for booking in bookings] == [StepKind.FOLLOW] * len(bookings)


def test_a_process_that_dies_before_it_asks_leaves_one_bot_for_both(rig: Rig) -> None:
    first, other, steps = book(rig, "ada"), book(rig, "grace", starts=75), DispatchSteps(rig.services)
    # The intent is stored, and nothing after it happens.
    assert steps.write_intents(rig.tenant_id, [armed(first, steps)]) != [None]
    assert other.dispatch().outcome is DispatchOutcome.CHANGED
    assert rig.sandbox.jobs() == []
    assert first.dispatch().outcome is DispatchOutcome.DISPATCHED
    assert other.reconcile().kind is StepKind.FOLLOW
    assert len(rig.sandbox.jobs()) == 1


def test_a_process_that_dies_before_the_answer_leaves_one_bot_for_both(rig: Rig) -> None:
    first, other = book(rig, "ada"), book(rig, "grace", starts=75)
    rig.sandbox.fault(path=_JOBS, when="after", times=1, drop=True)
    with pytest.raises(BackendUnavailable):
        first.dispatch()
    assert other.dispatch().outcome is DispatchOutcome.CHANGED
    assert first.dispatch().outcome is DispatchOutcome.DISPATCHED
    assert len(rig.sandbox.jobs()) == 1


def test_a_bot_whose_answer_is_lost_is_recalled_and_the_other_meeting_gets_its_own(rig: Rig) -> None:
    first, other = book(rig, "ada"), book(rig, "grace", starts=75)
    rig.sandbox.fault(path=_JOBS, when="after", times=1, drop=True)
    with pytest.raises(BackendUnavailable):
        first.dispatch()
    other.dispatch()
    rig.sandbox.cancel(first.event)
    first.sync()
    assert first.recall().to_wake == (other.key,)
    assert other.dispatch().outcome is DispatchOutcome.DISPATCHED
    assert len(live_jobs(rig)) == 1


def test_while_a_bot_is_being_recalled_no_second_one_joins_it(rig: Rig) -> None:
    first, other = book(rig, "ada"), book(rig, "grace", starts=75)
    first.dispatch()
    rig.sandbox.cancel(first.event)
    first.sync()
    rig.sandbox.fault(path=_JOBS, times=1, status=503)
    with pytest.raises(BackendUnavailable):
        first.recall()
    assert other.dispatch().outcome is DispatchOutcome.CHANGED
    assert len(rig.sandbox.jobs()) == 1
    assert first.recall().to_wake == (other.key,)
    assert other.dispatch().outcome is DispatchOutcome.DISPATCHED
    assert len(live_jobs(rig)) == 1


def test_a_bot_given_on_is_asked_about_and_recalled_by_the_id_it_went_with(rig: Rig) -> None:
    first, other = book(rig, "ada"), book(rig, "grace", starts=75)
    first.dispatch()
    other.dispatch()
    rig.sandbox.cancel(first.event)
    first.sync()
    first.recall()
    rig.bot_activities.follow(rig.ref(other.key))
    (job,) = rig.sandbox.jobs()
    (bot,) = [bot for bot in other.bots() if bot.state != "cancelled"]
    assert job["externalId"] == f"{bot.id}.1"
    assert bot.backend_bot_id == job["id"]


def cancelled_by_hand(rig: Rig, bot: Bot) -> list[str]:
    """Cancel a bot as the route does; return the meetings that get none."""
    with rig.database.transaction(rig.tenant_id) as session:
        keys = meetings_to_cancel(session, session.get_one(Bot, (rig.tenant_id, bot.id)))
        for key in keys:
            suppress_meeting(session, rig.tenant_id, key, suppressed_by="key", now=rig.clock())
    return keys


@pytest.mark.parametrize("order", [reversed, iter], ids=["the other looks first", "its own looks first"])
def test_a_person_who_cancels_a_shared_bot_sees_none_come_in_its_place(
    rig: Rig, order: Callable[[list[Booking]], object]
) -> None:
    first, other = book(rig, "ada"), book(rig, "grace", starts=75)
    first.dispatch()
    other.dispatch()
    assert set(cancelled_by_hand(rig, first.bots()[0])) == {first.key, other.key}
    for booking in list(order([first, other])):  # type: ignore[call-overload]
        if booking.reconcile().kind is StepKind.RECALL:
            booking.recall()
    assert first.reconcile().kind is other.reconcile().kind is StepKind.CLOSE
    assert live_jobs(rig) == []


def test_cancelling_the_bot_that_was_not_sent_is_about_its_own_meeting(rig: Rig) -> None:
    first, other = book(rig, "ada"), book(rig, "grace", starts=75)
    first.dispatch()
    other.dispatch()
    assert cancelled_by_hand(rig, other.bots()[0]) == [other.key]
    assert other.reconcile().kind is StepKind.CLOSE
    assert other.bots()[0].outcome == "cancelled_by_hand"
    assert first.reconcile().kind is StepKind.FOLLOW
    assert len(live_jobs(rig)) == 1
