"""A backend that refuses, loses answers or says nothing, and what its reports do to a bot."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import select

from activities.recall import RecallActivity
from meetbot.errors import BackendRefused, BackendUnavailable
from meetbot.storage.tables import BotClaim, Dispatch
from meetbot.temporal.messages import DispatchOutcome, DispatchRequest, StepKind
from tests.integration.meetings import connected_with_meeting, dispatch, report, scheduled
from tests.integration.slow_backend import SlowBackend, lose_the_answer, slowly, told_of_the_bot
from tests.rig import Rig

pytestmark = pytest.mark.stack


def test_a_meeting_cancelled_while_the_backend_is_down_makes_no_job_afterwards(rig: Rig) -> None:
    user, event = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    rig.sandbox.fault(path="/backend", status=503)
    with pytest.raises(BackendUnavailable):
        dispatch(rig, key, step)
    rig.sandbox.cancel(event)
    rig.sync(user)
    assert rig.bot_activities.reconcile(rig.ref(key)).kind is StepKind.RECALL
    assert rig.recall_activity.recall(rig.ref(key)).kind is StepKind.CLOSE
    assert [bot.state for bot in rig.bots()] == ["cancelled"]
    rig.sandbox.clear_faults()
    assert rig.sandbox.jobs() == []


@pytest.mark.parametrize("asked_again", [False, True])
def test_a_meeting_cancelled_after_an_answer_was_lost_has_its_bot_recalled(rig: Rig, asked_again: bool) -> None:
    user, event = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    lose_the_answer(rig, key, step)
    if asked_again:
        # That the backend turns this request away says nothing of the first one.
        rig.sandbox.fault(path="/backend/api/v1/jobs", times=1, status=503)
        with pytest.raises(BackendUnavailable):
            dispatch(rig, key, step)
    rig.sandbox.cancel(event)
    rig.sync(user)
    rig.bot_activities.reconcile(rig.ref(key))
    assert rig.recall_activity.recall(rig.ref(key)).kind is StepKind.CLOSE
    assert [job["status"] for job in rig.sandbox.jobs()] == ["cancelled"]


def test_a_bot_in_a_meeting_that_runs_long_is_not_recalled(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig, starts_in_minutes=5, duration_minutes=10)
    key, step = scheduled(rig, user)
    dispatch(rig, key, step)
    rig.clock.offset = timedelta(minutes=20)
    assert rig.sync(user).plan == ()
    assert rig.bot_activities.reconcile(rig.ref(key)).kind is StepKind.FOLLOW


def test_a_backend_that_refuses_for_good_fails_the_bot(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    rig.sandbox.fault(path="/backend/api/v1/jobs", status=422, body={"error": "no"})
    assert dispatch(rig, key, step).outcome is DispatchOutcome.REFUSED
    assert rig.bot_activities.reconcile(rig.ref(key)).kind is StepKind.CLOSE
    assert [(bot.state, bot.failure_code) for bot in rig.bots()] == [("failed", "backend_refused_422")]
    assert "bot.failed" in [event_type for event_type, _ in rig.webhook_events()]


def test_a_backend_that_never_accepted_the_bot_makes_a_missed_recording(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig, starts_in_minutes=5, duration_minutes=10)
    key, step = scheduled(rig, user)
    rig.sandbox.fault(path="/backend", status=503)
    with pytest.raises(BackendUnavailable):
        dispatch(rig, key, step)
    rig.clock.offset = timedelta(minutes=16)
    assert rig.bot_activities.reconcile(rig.ref(key)).kind is StepKind.CLOSE
    assert [(bot.state, bot.failure_code) for bot in rig.bots()] == [("missed", "backend_answered_503")]
    assert "recording.missed" in [event_type for event_type, _ in rig.webhook_events()]


def test_a_late_claim_of_a_recorded_meeting_sends_no_second_bot(rig: Rig) -> None:
    ada, bob = rig.sandbox.account("ada@acme.test"), rig.sandbox.account("bob@acme.test")
    first, second = rig.connect(ada), rig.connect(bob, rules={"rules": []})
    rig.sandbox.event(ada, attendees=[bob])
    key, step = scheduled(rig, first)
    dispatch(rig, key, step)
    report(rig, "job.finalized", "completed")
    rig.put_rules(second, {"rules": [{"name": "all", "action": "record", "when": {"attendee_count": {"gte": 0}}}]})
    _, late = scheduled(rig, second)
    assert late.kind is StepKind.CLOSE
    assert [bot.state for bot in rig.bots()] == ["completed"]


def test_reports_move_the_bot_on_and_are_relayed_once_with_its_users_and_events(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    dispatch(rig, key, step)
    report(rig, "job.status_changed", "in_call", delivery="dlv_1")
    report(rig, "job.finalized", "completed", delivery="dlv_2", recorded_seconds=1800)
    report(rig, "job.finalized", "completed", delivery="dlv_2", recorded_seconds=1800)
    (bot,) = rig.bots()
    assert (bot.state, bot.recorded_seconds) == ("completed", 1800)
    told = rig.webhook_events()
    assert [event_type for event_type, _ in told].count("job.finalized") == 1
    finalized = next(data for event_type, data in told if event_type == "job.finalized")
    assert finalized["meetbot_calendar_user_ids"] == [user]
    assert finalized["customer_user_ids"] == ["customer-ada@acme.test"]
    assert len(finalized["event_ids"]) == 1
    assert {"bot.joined", "bot.completed"} <= {event_type for event_type, _ in told}


def test_a_late_report_of_an_earlier_state_changes_nothing(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    dispatch(rig, key, step)
    report(rig, "job.status_changed", "recording", delivery="dlv_1")
    report(rig, "job.status_changed", "joining", delivery="dlv_2")
    assert [bot.state for bot in rig.bots()] == ["recording"]


def test_a_lost_final_report_is_replaced_by_asking(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    dispatch(rig, key, step)
    (job,) = rig.sandbox.jobs()
    for _ in range(6):
        rig.sandbox.http.post(f"/control/backend/jobs/{job['id']}/advance", json={})
    assert rig.bot_activities.follow(rig.ref(key)).kind is StepKind.CLOSE
    assert [bot.state for bot in rig.bots()] == ["completed"]
    assert "job.finalized" in [event_type for event_type, _ in rig.webhook_events()]


def test_a_backend_that_says_nothing_for_a_day_after_the_end_has_lost_the_bot(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    dispatch(rig, key, step)
    rig.sandbox.fault(path="/backend", status=503)
    with pytest.raises(BackendUnavailable):
        rig.bot_activities.follow(rig.ref(key))
    rig.clock.offset += timedelta(days=2)
    assert rig.bot_activities.follow(rig.ref(key)).kind is StepKind.CLOSE
    assert [(bot.state, bot.failure_code) for bot in rig.bots()] == [("failed", "backend_lost")]
    assert "bot.failed" in [event_type for event_type, _ in rig.webhook_events()]


def test_a_bot_that_could_not_be_recalled_by_a_day_after_the_end_is_lost(rig: Rig) -> None:
    user, event = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    dispatch(rig, key, step)
    rig.sandbox.cancel(event)
    rig.sync(user)
    rig.sandbox.fault(path="/backend", status=503)
    with pytest.raises(BackendUnavailable):
        rig.recall_activity.recall(rig.ref(key))
    rig.clock.offset += timedelta(days=2)
    assert rig.recall_activity.recall(rig.ref(key)).kind is StepKind.CLOSE
    assert [(bot.state, bot.failure_code) for bot in rig.bots()] == [("failed", "backend_lost")]


def test_intent_and_claim_rows_tell_what_was_done(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    dispatch(rig, key, step)
    with rig.read() as session:
        (intent,) = session.exec(select(Dispatch)).all()
        (claim,) = session.exec(select(BotClaim)).all()
    assert (intent.meeting_key, intent.generation, intent.state) == (key, 1, "accepted")
    assert (claim.calendar_user_id, claim.acknowledged_digest) == (user, claim.target_digest)


@pytest.mark.parametrize("reported", [["joining", "in_call"], ["in_call"]])
def test_a_bot_reported_before_its_answer_is_announced_as_dispatched_first(rig: Rig, reported: list[str]) -> None:
    user, _ = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    lose_the_answer(rig, key, step)
    for number, status in enumerate(reported):
        report(rig, "job.status_changed", status, delivery=f"dlv_{number}")
    assert told_of_the_bot(rig) == ["bot.scheduled", "bot.dispatched", "bot.joined"]
    (told,) = [data for event_type, data in rig.webhook_events() if event_type == "bot.dispatched"]
    assert told["state"] == "dispatched"


def test_a_report_that_overtakes_the_backends_answer_announces_the_dispatch_once(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    activity = slowly(rig, lambda: report(rig, "job.status_changed", "in_call"))
    result = activity.dispatch(DispatchRequest(rig.tenant_id, key, step.bot_id, step.generation))
    assert result.outcome is DispatchOutcome.DISPATCHED
    assert told_of_the_bot(rig) == ["bot.scheduled", "bot.dispatched", "bot.joined"]
    assert [bot.state for bot in rig.bots()] == ["in_call"]


def test_a_report_that_overtakes_the_answer_stores_what_was_accepted_and_when(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    lose_the_answer(rig, key, step)
    report(rig, "job.status_changed", "joining")
    (bot,), (job,) = rig.bots(), rig.sandbox.jobs()
    with rig.read() as session:
        (sent,) = session.exec(select(Dispatch)).all()
    assert (bot.backend_bot_id, sent.backend_bot_id, sent.state) == (job["id"], job["id"], "accepted")
    assert bot.dispatched_at is not None
    assert bot.dispatch_at <= bot.dispatched_at <= rig.clock()
    assert sent.accepted_at == bot.dispatched_at


def test_a_bot_moved_while_the_backend_was_being_asked_keeps_nothing_of_the_answer(rig: Rig) -> None:
    user, event = connected_with_meeting(rig)
    key, step = scheduled(rig, user)

    def move() -> None:
        rig.sandbox.change(event, shift_minutes=60)
        rig.sync(user)
        assert rig.recall_activity.recall(rig.ref(key)).generation == step.generation + 1

    activity = slowly(rig, move)
    result = activity.dispatch(DispatchRequest(rig.tenant_id, key, step.bot_id, step.generation))
    assert result.outcome is DispatchOutcome.CHANGED
    (bot,) = rig.bots()
    assert (bot.state, bot.backend_bot_id, bot.dispatched_at) == ("scheduled", None, None)
    assert "bot.dispatched" not in told_of_the_bot(rig)
    assert [job["status"] for job in rig.sandbox.jobs()] == ["cancelled"]


def test_a_bot_accepted_after_it_was_given_up_is_recalled(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig, starts_in_minutes=5, duration_minutes=10)
    key, step = scheduled(rig, user)

    def give_up() -> None:
        rig.clock.offset += timedelta(minutes=16)
        rig.bot_activities.reconcile(rig.ref(key))

    activity = slowly(rig, give_up)
    result = activity.dispatch(DispatchRequest(rig.tenant_id, key, step.bot_id, step.generation))
    assert result.outcome is DispatchOutcome.CHANGED
    assert [bot.state for bot in rig.bots()] == ["missed"]
    assert "bot.dispatched" not in told_of_the_bot(rig)
    assert [job["status"] for job in rig.sandbox.jobs()] == ["cancelled"]


def test_a_refusal_does_not_fail_the_bot_that_was_moved_meanwhile(rig: Rig) -> None:
    user, event = connected_with_meeting(rig)
    key, step = scheduled(rig, user)

    def move_then_refuse() -> None:
        rig.sandbox.change(event, shift_minutes=60)
        rig.sync(user)
        rig.recall_activity.recall(rig.ref(key))
        raise BackendRefused("backend_refused_422", "no")

    activity = slowly(rig, move_then_refuse)
    result = activity.dispatch(DispatchRequest(rig.tenant_id, key, step.bot_id, step.generation))
    assert result.outcome is DispatchOutcome.CHANGED
    assert [(bot.state, bot.failure_code) for bot in rig.bots()] == [("scheduled", None)]


def test_two_recalls_do_not_give_up_the_bot_that_was_sent_between(rig: Rig) -> None:
    user, event = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    dispatch(rig, key, step)
    rig.sandbox.change(event, shift_minutes=60)
    rig.sync(user)

    class LeftTwice(SlowBackend):
        def cancel(self, backend_bot_id: str) -> None:
            super().cancel(backend_bot_id)
            dispatch(rig, key, rig.recall_activity.recall(rig.ref(key)))

    services = replace(rig.services, backend=LeftTwice(rig, lambda: None))
    assert RecallActivity(services).recall(rig.ref(key)).kind is StepKind.FOLLOW
    (bot,) = rig.bots()
    assert (bot.state, bot.generation) == ("dispatched", 2)
