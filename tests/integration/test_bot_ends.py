"""How a bot's end is reported, however late or out of order the news of it comes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from activities.recall import RecallActivity
from meetbot.backends.base import BackendBot, BotRequest
from meetbot.domain.bot_state import BotState
from meetbot.domain.dispatch_state import DispatchState
from meetbot.errors import BackendUnavailable
from meetbot.storage.tables import Dispatch
from meetbot.temporal.messages import NextStep, StepKind, SyncScope
from tests.integration.meetings import connected_with_meeting, dispatch, dispatched, report, scheduled
from tests.integration.slow_backend import SlowBackend, lose_the_answer, told_of_the_bot
from tests.rig import Rig

pytestmark = pytest.mark.stack

_JOBS = "/backend/api/v1/jobs"


def states(rig: Rig) -> list[str]:
    return [bot.state for bot in rig.bots()]


def colleagues(rig: Rig) -> tuple[str, str, str, NextStep, dict[str, object]]:
    """Ada and Bob both want their meeting recorded; its bot was scheduled for Ada's copy."""
    ada, bob = rig.sandbox.account("ada@acme.test"), rig.sandbox.account("bob@acme.test")
    first, second = rig.connect(ada), rig.connect(bob)
    event = rig.sandbox.event(ada, attendees=[bob], duration_minutes=30)
    key, step = scheduled(rig, first)
    rig.sync(second)
    rig.bot_activities.reconcile(rig.ref(key))
    return first, second, key, step, event


def given_up(rig: Rig) -> tuple[str, dict[str, object], str, NextStep]:
    """A meeting that ended before the backend's answer came, and what is left to be done.

    The fixture gives the calendar user, the meeting, its key and the actions left.
    """
    user, event = connected_with_meeting(rig, duration_minutes=30)
    key, step = scheduled(rig, user)
    lose_the_answer(rig, key, step)
    rig.clock.offset += timedelta(minutes=95)
    return user, event, key, rig.bot_activities.reconcile(rig.ref(key))


# In any order


def test_a_late_report_takes_nothing_of_the_recording_back(rig: Rig) -> None:
    dispatched(rig)
    report(rig, "job.finalized", "completed", delivery="dlv_1", recordedSeconds=1800)
    report(rig, "job.status_changed", "recording", delivery="dlv_2", recordedSeconds=0)
    assert [(bot.state, bot.recorded_seconds) for bot in rig.bots()] == [("completed", 1800)]


def test_a_bot_first_reported_at_its_end_is_announced_as_joined_first(rig: Rig) -> None:
    dispatched(rig)
    report(rig, "job.finalized", "completed")
    assert told_of_the_bot(rig) == ["bot.scheduled", "bot.dispatched", "bot.joined", "bot.completed"]
    told = {kind: data for kind, data in rig.webhook_events() if kind.startswith("bot.")}
    assert (told["bot.joined"]["state"], told["bot.completed"]["state"]) == ("in_call", "completed")
    assert told["bot.joined"]["sequence"] < told["bot.completed"]["sequence"]


def test_a_job_cancelled_at_the_backend_is_not_announced_as_finalized(rig: Rig) -> None:
    _, _, key, _ = dispatched(rig)
    (job,) = rig.sandbox.jobs()
    rig.services.backend.cancel(job["id"])
    rig.bot_activities.follow(rig.ref(key))
    told = [kind for kind, _ in rig.webhook_events()]
    assert states(rig) == ["failed"]
    assert "job.status_changed" in told
    assert "job.finalized" not in told


# Missed


def test_a_recording_given_up_as_missed_is_announced_when_its_backend_reports_it(rig: Rig) -> None:
    given_up(rig)
    assert states(rig) == ["missed"]
    report(rig, "job.finalized", "completed", recordedSeconds=1800)
    assert [(bot.state, bot.outcome, bot.recorded_seconds) for bot in rig.bots()] == [("completed", "completed", 1800)]


def test_a_missed_bot_that_its_backend_may_have_is_announced_at_once_and_recalled(rig: Rig) -> None:
    _, _, key, left = given_up(rig)
    assert left.kind is StepKind.RECALL
    assert states(rig) == ["missed"]
    assert rig.recall_activity.recall(rig.ref(key)).kind is StepKind.CLOSE
    assert [job["status"] for job in rig.sandbox.jobs()] == ["cancelled"]
    assert [kind for kind, _ in rig.webhook_events()].count("recording.missed") == 1


def test_a_missed_meeting_whose_bot_is_found_in_the_call_is_left_to_it(rig: Rig) -> None:
    key = given_up(rig)[2]

    class Recording(SlowBackend):
        def look_up(self, request: BotRequest) -> BackendBot | None:
            found = super().look_up(request)
            return replace(found, state=BotState.RECORDING) if found else None

    services = replace(rig.services, backend=Recording(rig, lambda: None))
    assert RecallActivity(services).recall(rig.ref(key)).kind is StepKind.FOLLOW
    assert states(rig) == ["recording"]
    assert [job["status"] for job in rig.sandbox.jobs()] != ["cancelled"]


def test_a_meeting_missed_after_its_first_claim_was_released_is_announced_as_missed(rig: Rig) -> None:
    first, _, key, _, _ = colleagues(rig)
    rig.put_rules(first, {"rules": []})
    rig.sync(first, SyncScope.DECISIONS)
    rig.bot_activities.reconcile(rig.ref(key))
    rig.clock.offset += timedelta(minutes=95)
    rig.bot_activities.reconcile(rig.ref(key))
    assert states(rig) == ["missed"]


def test_a_meeting_that_was_shortened_while_nothing_of_ours_ran_was_missed(rig: Rig) -> None:
    user, event = connected_with_meeting(rig, duration_minutes=60)
    key, _ = scheduled(rig, user)
    rig.sandbox.change(event, duration_minutes=30)
    rig.clock.offset += timedelta(minutes=100)
    rig.sync(user)
    rig.bot_activities.reconcile(rig.ref(key))
    assert states(rig) == ["missed"]


def test_a_meeting_that_was_shortened_by_mistake_gets_its_bot_all_the_same(rig: Rig) -> None:
    user, event = connected_with_meeting(rig, duration_minutes=60)
    key, _ = scheduled(rig, user)
    rig.clock.offset += timedelta(minutes=100)
    rig.sandbox.change(event, duration_minutes=30)
    rig.sync(user)
    rig.bot_activities.reconcile(rig.ref(key))
    rig.sandbox.change(event, duration_minutes=60)
    rig.sync(user)
    assert rig.bot_activities.reconcile(rig.ref(key)).kind is StepKind.WAIT
    assert states(rig) == ["missed", "scheduled"]


def test_a_meeting_that_was_moved_into_the_past_before_its_bot_went_was_not_missed(rig: Rig) -> None:
    user, event = connected_with_meeting(rig, duration_minutes=30)
    key, _ = scheduled(rig, user)
    rig.sandbox.change(event, shift_minutes=-360)
    rig.sync(user)
    rig.bot_activities.reconcile(rig.ref(key))
    assert states(rig) == ["cancelled"]


def test_a_bot_is_recalled_from_a_meeting_that_was_moved_into_the_past(rig: Rig) -> None:
    user, event, key, _ = dispatched(rig, duration_minutes=30)
    report(rig, "job.status_changed", "in_call")
    rig.sandbox.change(event, shift_minutes=-360)
    rig.sync(user)
    assert rig.bot_activities.reconcile(rig.ref(key)).kind is StepKind.RECALL


def test_a_missed_bot_is_not_revived_beside_the_one_that_the_meeting_has_now(rig: Rig) -> None:
    user, event, key, _ = given_up(rig)
    rig.recall_activity.recall(rig.ref(key))
    rig.sandbox.change(event, shift_minutes=180)
    rig.sync(user)
    rig.bot_activities.reconcile(rig.ref(key))
    with rig.database.transaction(rig.tenant_id) as session:
        # What a late answer to the first asking leaves behind.
        session.get_one(Dispatch, (rig.tenant_id, key, 1)).state = DispatchState.INTENDED
    report(rig, "job.finalized", "completed")
    assert states(rig) == ["missed", "scheduled"]


def test_a_meeting_that_passed_while_its_bot_could_not_be_recalled_was_missed(rig: Rig) -> None:
    user, event, key, _ = dispatched(rig, duration_minutes=30)
    rig.sandbox.change(event, shift_minutes=10)
    rig.sync(user)
    rig.sandbox.fault(path=_JOBS, status=503)
    with pytest.raises(BackendUnavailable):
        rig.recall_activity.recall(rig.ref(key))
    rig.sandbox.clear_faults()
    rig.clock.offset += timedelta(minutes=120)
    rig.recall_activity.recall(rig.ref(key))
    assert "bot.cancelled" not in told_of_the_bot(rig)


def test_a_meeting_cancelled_while_the_backend_was_down_was_not_missed(rig: Rig) -> None:
    user, event = connected_with_meeting(rig, duration_minutes=30)
    key, step = scheduled(rig, user)
    rig.sandbox.fault(path=_JOBS, times=1, status=503)
    with pytest.raises(BackendUnavailable):
        dispatch(rig, key, step)
    rig.sandbox.cancel(event)
    rig.clock.offset += timedelta(minutes=95)
    rig.sync(user)
    assert rig.bot_activities.reconcile(rig.ref(key)).kind is StepKind.RECALL
    rig.recall_activity.recall(rig.ref(key))
    assert states(rig) == ["cancelled"]


# In the meeting


def test_changed_rules_recall_no_bot_after_the_first_claim_was_released(rig: Rig) -> None:
    first, second, key, _, event = colleagues(rig)
    rig.sandbox.respond(event, "ada@acme.test", "declined")
    rig.sync(first)
    rig.sync(second)
    dispatch(rig, key, rig.bot_activities.reconcile(rig.ref(key)))
    report(rig, "job.status_changed", "recording")
    rig.put_rules(second, {"rules": []})
    rig.sync(second, SyncScope.DECISIONS)
    assert rig.bot_activities.reconcile(rig.ref(key)).kind is StepKind.FOLLOW


def test_a_bot_stays_in_a_meeting_whose_end_was_moved_to_before_now(rig: Rig) -> None:
    user, event, key, _ = dispatched(rig, duration_minutes=60)
    report(rig, "job.status_changed", "recording")
    rig.clock.offset = timedelta(minutes=91)
    rig.sandbox.change(event, duration_minutes=30)
    rig.sync(user)
    assert rig.bot_activities.reconcile(rig.ref(key)).kind is StepKind.FOLLOW
