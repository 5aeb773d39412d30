"""A backend that refuses, loses answers or says nothing, and what its reports do to a bot."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlmodel import select

from meetbot.errors import BackendUnavailable
from meetbot.orchestration import BotStep, DispatchOutcome
from meetbot.storage.tables import BotClaim, Dispatch
from tests.integration.meetings import connected_with_meeting, dispatch, report, scheduled
from tests.rig import Rig

pytestmark = pytest.mark.stack


def test_a_meeting_cancelled_while_the_backend_takes_nothing_makes_no_job_once_it_does(rig: Rig) -> None:
    user, event = connected_with_meeting(rig)
    key, order = scheduled(rig, user)
    rig.sandbox.fault(path="/backend", status=503)
    with pytest.raises(BackendUnavailable):
        dispatch(rig, key, order)
    rig.sandbox.cancel(event)
    rig.sync(user)
    assert rig.bot_activities.schedule(rig.ref(key)).step is BotStep.LEAVE
    assert rig.bot_activities.leave(rig.ref(key)).step is BotStep.CLOSE
    assert [bot.state for bot in rig.bots()] == ["cancelled"]
    rig.sandbox.clear_faults()
    assert rig.sandbox.jobs() == []


def test_a_meeting_cancelled_after_an_answer_was_lost_takes_the_bot_back(rig: Rig) -> None:
    user, event = connected_with_meeting(rig)
    key, order = scheduled(rig, user)
    rig.sandbox.fault(path="/backend/api/v1/jobs", when="after", times=1, drop=True)
    with pytest.raises(BackendUnavailable):
        dispatch(rig, key, order)
    rig.sandbox.cancel(event)
    rig.sync(user)
    rig.bot_activities.schedule(rig.ref(key))
    assert rig.bot_activities.leave(rig.ref(key)).step is BotStep.CLOSE
    assert [job["status"] for job in rig.sandbox.jobs()] == ["cancelled"]


def test_a_missed_recording_says_what_kept_the_bot_away(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig, starts_in_minutes=5, duration_minutes=10)
    key, order = scheduled(rig, user)
    rig.sandbox.fault(path="/backend", status=503)
    with pytest.raises(BackendUnavailable):
        dispatch(rig, key, order)
    rig.clock.offset = timedelta(minutes=16)
    rig.bot_activities.schedule(rig.ref(key))
    assert [(bot.state, bot.failure_code) for bot in rig.bots()] == [("missed", "backend_answered_503")]


def test_a_bot_in_a_meeting_that_runs_long_is_not_called_back(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig, starts_in_minutes=5, duration_minutes=10)
    key, order = scheduled(rig, user)
    dispatch(rig, key, order)
    rig.clock.offset = timedelta(minutes=20)
    assert rig.sync(user).plan == ()
    assert rig.bot_activities.schedule(rig.ref(key)).step is BotStep.FOLLOW


def test_a_backend_that_refuses_for_good_fails_the_bot(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    key, order = scheduled(rig, user)
    rig.sandbox.fault(path="/backend/api/v1/jobs", status=422, body={"error": "no"})
    assert dispatch(rig, key, order).outcome is DispatchOutcome.REFUSED
    assert rig.bot_activities.schedule(rig.ref(key)).step is BotStep.CLOSE
    assert [(bot.state, bot.failure_code) for bot in rig.bots()] == [("failed", "backend_refused_422")]
    assert "bot.failed" in [event_type for event_type, _ in rig.told()]


def test_a_backend_that_never_took_the_bot_makes_a_missed_recording(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig, starts_in_minutes=5, duration_minutes=10)
    key, order = scheduled(rig, user)
    rig.sandbox.fault(path="/backend", status=503)
    with pytest.raises(BackendUnavailable):
        dispatch(rig, key, order)
    rig.clock.offset = timedelta(minutes=16)
    assert rig.bot_activities.schedule(rig.ref(key)).step is BotStep.CLOSE
    assert [bot.state for bot in rig.bots()] == ["missed"]
    assert "recording.missed" in [event_type for event_type, _ in rig.told()]


def test_a_late_claim_of_a_recorded_meeting_sends_no_second_bot(rig: Rig) -> None:
    ada, bob = rig.sandbox.account("ada@acme.test"), rig.sandbox.account("bob@acme.test")
    first, second = rig.connect(ada), rig.connect(bob, rules={"rules": []})
    rig.sandbox.event(ada, attendees=[bob])
    key, order = scheduled(rig, first)
    dispatch(rig, key, order)
    report(rig, "job.finalized", "completed")
    rig.put_rules(second, {"rules": [{"name": "all", "action": "record", "when": {"attendee_count": {"gte": 0}}}]})
    _, late = scheduled(rig, second)
    assert late.step is BotStep.CLOSE
    assert [bot.state for bot in rig.bots()] == ["completed"]


def test_reports_move_the_bot_on_and_are_relayed_once_with_whose_recording_it_is(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    key, order = scheduled(rig, user)
    dispatch(rig, key, order)
    report(rig, "job.status_changed", "in_call", delivery="dlv_1")
    report(rig, "job.finalized", "completed", delivery="dlv_2", recorded_seconds=1800)
    report(rig, "job.finalized", "completed", delivery="dlv_2", recorded_seconds=1800)
    (bot,) = rig.bots()
    assert (bot.state, bot.recorded_seconds) == ("completed", 1800)
    told = rig.told()
    assert [event_type for event_type, _ in told].count("job.finalized") == 1
    finalized = next(data for event_type, data in told if event_type == "job.finalized")
    assert finalized["meetbot_calendar_user_ids"] == [user]
    assert finalized["customer_user_ids"] == ["customer-ada@acme.test"]
    assert len(finalized["event_ids"]) == 1
    assert {"bot.joined", "bot.completed"} <= {event_type for event_type, _ in told}


def test_a_late_report_of_an_earlier_state_changes_nothing(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    key, order = scheduled(rig, user)
    dispatch(rig, key, order)
    report(rig, "job.status_changed", "recording", delivery="dlv_1")
    report(rig, "job.status_changed", "joining", delivery="dlv_2")
    assert [bot.state for bot in rig.bots()] == ["recording"]


def test_a_lost_final_report_is_made_up_for_by_asking(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    key, order = scheduled(rig, user)
    dispatch(rig, key, order)
    (job,) = rig.sandbox.jobs()
    for _ in range(6):
        rig.sandbox.http.post(f"/control/backend/jobs/{job['id']}/advance", json={})
    assert rig.bot_activities.follow(rig.ref(key)).step is BotStep.CLOSE
    assert [bot.state for bot in rig.bots()] == ["completed"]
    assert "job.finalized" in [event_type for event_type, _ in rig.told()]


def test_a_backend_that_says_nothing_for_a_day_after_the_end_has_lost_the_bot(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    key, order = scheduled(rig, user)
    dispatch(rig, key, order)
    rig.sandbox.fault(path="/backend", status=503)
    with pytest.raises(BackendUnavailable):
        rig.bot_activities.follow(rig.ref(key))
    rig.clock.offset += timedelta(days=2)
    assert rig.bot_activities.follow(rig.ref(key)).step is BotStep.CLOSE
    assert [(bot.state, bot.failure_code) for bot in rig.bots()] == [("failed", "backend_lost")]
    assert "bot.failed" in [event_type for event_type, _ in rig.told()]


def test_a_bot_that_could_not_be_called_back_by_a_day_after_the_end_is_lost(rig: Rig) -> None:
    user, event = connected_with_meeting(rig)
    key, order = scheduled(rig, user)
    dispatch(rig, key, order)
    rig.sandbox.cancel(event)
    rig.sync(user)
    rig.sandbox.fault(path="/backend", status=503)
    with pytest.raises(BackendUnavailable):
        rig.bot_activities.leave(rig.ref(key))
    rig.clock.offset += timedelta(days=2)
    assert rig.bot_activities.leave(rig.ref(key)).step is BotStep.CLOSE
    assert [(bot.state, bot.failure_code) for bot in rig.bots()] == [("failed", "backend_lost")]


def test_intent_and_claim_rows_tell_what_was_done(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    key, order = scheduled(rig, user)
    dispatch(rig, key, order)
    with rig.read() as session:
        (intent,) = session.exec(select(Dispatch)).all()
        (claim,) = session.exec(select(BotClaim)).all()
    assert (intent.meeting_key, intent.generation, intent.state) == (key, 1, "accepted")
    assert (claim.calendar_user_id, claim.acknowledged_digest) == (user, claim.target_digest)
