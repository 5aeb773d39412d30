"""Recalling a bot while its backend, another attempt or our own death interferes.

There are never two bots, and never none.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import cast

import pytest

from activities.bots import BotActivities
from activities.recall import RecallActivity
from meetbot.backends.base import BackendBot, BotRequest
from meetbot.errors import BackendRefused, BackendUnavailable
from meetbot.storage.database import Database
from meetbot.temporal.messages import DispatchRequest, StepKind
from tests.dispatching import SingleDispatch
from tests.integration.meetings import connected_with_meeting, dispatch, dispatched, report, scheduled
from tests.integration.slow_backend import SlowBackend, SlowDatabase, lose_the_answer, told_of_the_bot
from tests.rig import Rig

pytestmark = pytest.mark.stack

_JOBS = "/backend/api/v1/jobs"
_OVER = ("cancelled", "completed", "failed")


class Died(BaseException):
    """What a killed worker does: nothing more."""


def live_jobs(rig: Rig) -> int:
    return sum(job["status"] not in _OVER for job in rig.sandbox.jobs())


def recall_with(rig: Rig, backend: SlowBackend) -> RecallActivity:
    return RecallActivity(replace(rig.services, backend=backend))


class TellsOfCancelling(SlowBackend):
    """Reports that the bot is cancelled before it answers our asking for that."""

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig, lambda: None)
        self._rig = rig

    def cancel(self, backend_bot_id: str) -> None:
        super().cancel(backend_bot_id)
        report(self._rig, "job.status_changed", "cancelled")


class Deadly(SlowBackend):
    def cancel(self, backend_bot_id: str) -> None:
        super().cancel(backend_bot_id)
        raise Died


def test_a_bot_moved_earlier_goes_again_though_its_cancellation_is_reported_first(rig: Rig) -> None:
    user, event, key, step = dispatched(rig, starts_in_minutes=120)
    rig.sandbox.change(event, shift_minutes=-30)
    rig.sync(user)
    renewed = recall_with(rig, TellsOfCancelling(rig)).recall(rig.ref(key))
    assert (renewed.kind, renewed.bot_id) == (StepKind.WAIT, step.bot_id)
    assert "bot.failed" not in told_of_the_bot(rig)


@pytest.mark.parametrize("shift_minutes", [-30, 60])
def test_a_worker_that_dies_after_recalling_a_moved_bot_loses_no_bot(rig: Rig, shift_minutes: int) -> None:
    user, event, key, step = dispatched(rig, starts_in_minutes=120)
    rig.sandbox.change(event, shift_minutes=shift_minutes)
    rig.sync(user)
    with pytest.raises(Died):
        recall_with(rig, Deadly(rig, lambda: None)).recall(rig.ref(key))
    report(rig, "job.status_changed", "cancelled")
    renewed = rig.recall_activity.recall(rig.ref(key))
    assert (renewed.kind, renewed.bot_id) == (StepKind.WAIT, step.bot_id)
    assert "bot.failed" not in told_of_the_bot(rig)


def test_a_bot_that_is_being_recalled_is_still_followed(rig: Rig) -> None:
    user, event, key, _ = dispatched(rig)
    rig.sandbox.change(event, shift_minutes=60)
    rig.sync(user)
    rig.sandbox.fault(path=_JOBS, status=503)
    with pytest.raises(BackendUnavailable):
        rig.recall_activity.recall(rig.ref(key))
    report(rig, "job.status_changed", "in_call")
    assert [bot.state for bot in rig.bots()] == ["in_call"]


def test_a_bot_that_never_went_is_announced_as_cancelled_and_not_as_dispatched(rig: Rig) -> None:
    user, event = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    rig.sandbox.fault(path=_JOBS, times=1, status=500)
    with pytest.raises(BackendUnavailable):
        dispatch(rig, key, step)
    rig.sandbox.cancel(event)
    rig.sync(user)
    recall_with(rig, TellsOfCancelling(rig)).recall(rig.ref(key))
    assert told_of_the_bot(rig) == ["bot.scheduled", "bot.cancelled"]


def test_a_recall_whose_report_comes_late_is_still_ours_and_the_bot_goes_again(rig: Rig) -> None:
    user, event, key, _ = dispatched(rig, starts_in_minutes=120, duration_minutes=120)
    rig.sandbox.change(event, shift_minutes=-30)
    rig.sync(user)
    with pytest.raises(Died):
        recall_with(rig, Deadly(rig, lambda: None)).recall(rig.ref(key))
    rig.clock.offset += timedelta(hours=1)
    report(rig, "job.status_changed", "cancelled")
    assert rig.recall_activity.recall(rig.ref(key)).kind is StepKind.WAIT
    assert "bot.failed" not in told_of_the_bot(rig)


def test_a_recall_that_has_begun_is_finished_though_the_meeting_moved_back(rig: Rig) -> None:
    user, event, key, _ = dispatched(rig)
    rig.sandbox.change(event, shift_minutes=60)
    rig.sync(user)
    with pytest.raises(Died):
        recall_with(rig, Deadly(rig, lambda: None)).recall(rig.ref(key))
    rig.sandbox.change(event, shift_minutes=-60)
    rig.sync(user)
    assert rig.bot_activities.reconcile(rig.ref(key)).kind is StepKind.RECALL
    dispatch(rig, key, rig.recall_activity.recall(rig.ref(key)))
    assert live_jobs(rig) == 1
    assert [bot.state for bot in rig.bots()] == ["dispatched"]


def test_a_recall_that_is_outdated_leaves_the_bot_where_it_is(rig: Rig) -> None:
    _, _, key, _ = dispatched(rig)
    assert rig.recall_activity.recall(rig.ref(key)).kind is StepKind.FOLLOW
    assert live_jobs(rig) == 1


def test_a_recall_that_told_no_backend_keeps_the_bot_that_was_sent_between(rig: Rig) -> None:
    user, event = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    rig.sandbox.fault(path=_JOBS, times=1, status=503)
    with pytest.raises(BackendUnavailable):
        dispatch(rig, key, step)
    rig.sandbox.change(event, shift_minutes=60)
    rig.sync(user)

    def back_and_sent() -> None:
        rig.sandbox.change(event, shift_minutes=-60)
        rig.sync(user)
        dispatch(rig, key, step)

    database = cast(Database, SlowDatabase(rig, back_and_sent))
    RecallActivity(replace(rig.services, database=database)).recall(rig.ref(key))
    assert [(bot.state, bot.generation) for bot in rig.bots()] == [("dispatched", 1)]
    assert live_jobs(rig) == 1


class Refusing(SlowBackend):
    """Refuses to take a bot back, once."""

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig, lambda: None)
        self._refusals = [BackendRefused("backend_refused_401", "no")]

    def cancel(self, backend_bot_id: str) -> None:
        while self._refusals:
            raise self._refusals.pop()
        super().cancel(backend_bot_id)


@pytest.mark.parametrize("change", [{"shift_minutes": 60}, {"platform": "zoom"}])
def test_a_bot_that_its_backend_refuses_to_take_back_is_joined_by_no_other(rig: Rig, change: dict[str, object]) -> None:
    user, event, key, _ = dispatched(rig)
    rig.sandbox.change(event, **change)
    rig.sync(user)
    activity = recall_with(rig, Refusing(rig))
    with pytest.raises(BackendUnavailable, match="backend_refused_401"):
        activity.recall(rig.ref(key))
    assert [(bot.state, bot.generation) for bot in rig.bots()] == [("dispatched", 1)]
    dispatch(rig, key, activity.recall(rig.ref(key)))
    assert live_jobs(rig) == 1


def test_a_cancelled_bot_that_its_backend_refused_to_take_back_is_told_again(rig: Rig) -> None:
    user, event, key, _ = dispatched(rig)
    rig.sandbox.cancel(event)
    rig.sync(user)
    activity = recall_with(rig, Refusing(rig))
    with pytest.raises(BackendUnavailable, match="backend_refused_401"):
        activity.recall(rig.ref(key))
    activity.recall(rig.ref(key))
    assert live_jobs(rig) == 0
    assert [bot.state for bot in rig.bots()] == ["cancelled"]


def test_a_bot_that_has_ended_when_its_recall_is_refused_counts_as_recalled(rig: Rig) -> None:
    user, event, key, _ = dispatched(rig)
    (job,) = rig.sandbox.jobs()
    rig.services.backend.cancel(job["id"])
    rig.sandbox.change(event, shift_minutes=60)
    rig.sync(user)
    assert recall_with(rig, Refusing(rig)).recall(rig.ref(key)).kind is StepKind.WAIT


def test_a_refused_attempt_that_was_overtaken_fails_no_bot_that_may_be_out(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    key, step = scheduled(rig, user)

    class Overtaken(SlowBackend):
        def create(self, request: BotRequest) -> BackendBot:
            lose_the_answer(rig, key, step)
            raise BackendRefused("backend_refused_402", "no")

    services = replace(rig.services, backend=Overtaken(rig, lambda: None))
    request = DispatchRequest(rig.tenant_id, key, step.bot_id, step.generation)
    with pytest.raises(BackendUnavailable):
        SingleDispatch(services, sleep_until=rig.clock.sleep_until).dispatch(request)
    assert [bot.state for bot in rig.bots()] == ["dispatching"]


def test_small_moves_of_a_bot_whose_answer_was_lost_add_up(rig: Rig) -> None:
    user, event = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    lose_the_answer(rig, key, step)
    for _ in range(4):
        rig.sandbox.change(event, shift_minutes=1)
        rig.sync(user)
        step = rig.bot_activities.reconcile(rig.ref(key))
        if step.kind is StepKind.RECALL:
            step = rig.recall_activity.recall(rig.ref(key))
    assert (step.kind, step.generation) == (StepKind.WAIT, 2)
    assert live_jobs(rig) == 0


def test_progress_of_a_bot_recalled_meanwhile_is_not_applied_to_the_next_one(rig: Rig) -> None:
    user, event, key, _ = dispatched(rig)

    class Stalled(SlowBackend):
        def progress(self, backend_bot_id: str) -> BackendBot:
            rig.sandbox.change(event, shift_minutes=60)
            rig.sync(user)
            again = rig.recall_activity.recall(rig.ref(key))
            said = super().progress(backend_bot_id)
            dispatch(rig, key, again)
            return said

    BotActivities(replace(rig.services, backend=Stalled(rig, lambda: None))).follow(rig.ref(key))
    (bot,) = rig.bots()
    assert (bot.state, bot.generation) == ("dispatched", 2)
    assert live_jobs(rig) == 1


def test_a_refusal_after_a_lost_answer_ends_no_bot_that_may_be_out(rig: Rig) -> None:
    user, event = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    lose_the_answer(rig, key, step)
    rig.sandbox.fault(path=_JOBS, times=1, status=402)
    with pytest.raises(BackendUnavailable, match="backend_refused_402"):
        dispatch(rig, key, step)
    rig.sandbox.change(event, shift_minutes=60)
    rig.sync(user)
    again = rig.recall_activity.recall(rig.ref(key))
    dispatch(rig, key, again)
    assert [bot.state for bot in rig.bots()] == ["dispatched"]
    assert live_jobs(rig) == 1


def test_a_failed_attempt_says_nothing_of_a_later_one_whose_answer_was_lost(rig: Rig) -> None:
    user, event = connected_with_meeting(rig)
    key, step = scheduled(rig, user)

    class Stalled(SlowBackend):
        def create(self, request: BotRequest) -> BackendBot:
            rig.sandbox.fault(path=_JOBS, times=1, status=503)
            try:
                return self._backend.create(request)
            except BackendUnavailable:
                lose_the_answer(rig, key, step)
                raise

    stalled = replace(rig.services, backend=Stalled(rig, lambda: None))
    with pytest.raises(BackendUnavailable):
        SingleDispatch(stalled, sleep_until=rig.clock.sleep_until).dispatch(
            DispatchRequest(rig.tenant_id, key, step.bot_id, step.generation)
        )
    assert live_jobs(rig) == 1
    rig.sandbox.cancel(event)
    rig.sync(user)
    assert rig.recall_activity.recall(rig.ref(key)).kind is StepKind.CLOSE
    assert live_jobs(rig) == 0


def test_an_unwanted_bot_is_recalled_again_if_the_first_time_failed(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    deaf = [True]

    class Deaf(SlowBackend):
        def cancel(self, backend_bot_id: str) -> None:
            if deaf:
                deaf.pop()
                raise BackendUnavailable("backend_answered_500", "no")
            super().cancel(backend_bot_id)

    def give_up() -> None:
        rig.clock.sleep_until(step.end_at or rig.clock())
        rig.bot_activities.reconcile(rig.ref(key))

    services = replace(rig.services, backend=Deaf(rig, give_up))
    activity = SingleDispatch(services, sleep_until=rig.clock.sleep_until)
    request = DispatchRequest(rig.tenant_id, key, step.bot_id, step.generation)
    with pytest.raises(BackendUnavailable):
        activity.dispatch(request)
    activity.dispatch(request)
    assert live_jobs(rig) == 0
