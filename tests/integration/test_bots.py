"""From claims to bots: one bot per meeting, whatever happens.

The backend is the sandbox's, PostgreSQL is real.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlmodel import select

from meetbot.domain.event import Provider
from meetbot.errors import BackendUnavailable
from meetbot.storage.overrides import lift_suppressions
from meetbot.storage.tables import BotClaim, Meeting
from meetbot.temporal.messages import DispatchOutcome, StepKind, SyncScope
from tests.integration.meetings import connected_with_meeting, dispatch, report, scheduled
from tests.rig import Rig

pytestmark = pytest.mark.stack


def test_a_claim_schedules_one_bot_ninety_seconds_before_the_start(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    _, step = scheduled(rig, user)
    (bot,) = rig.bots()
    assert (bot.state, step.kind) == ("scheduled", StepKind.WAIT)
    assert bot.dispatch_at == bot.join_at - timedelta(seconds=90)


def test_the_tenants_own_lead_wins(rig: Rig) -> None:
    rig.set_tenant(join_lead_seconds=120)
    user, _ = connected_with_meeting(rig)
    scheduled(rig, user)
    (bot,) = rig.bots()
    assert bot.dispatch_at == bot.join_at - timedelta(seconds=120)


def test_a_changed_lead_moves_the_bots_that_are_scheduled(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    key, _ = scheduled(rig, user)
    rig.set_tenant(join_lead_seconds=300)
    rig.bot_activities.reconcile(rig.ref(key))
    (bot,) = rig.bots()
    assert bot.dispatch_at == bot.join_at - timedelta(seconds=300)


def test_an_acknowledged_claim_settles_the_plan(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    scheduled(rig, user)
    assert rig.sync(user).plan is not None
    assert rig.sync(user).plan is None


def test_the_backend_is_asked_at_the_lead_time_and_not_before(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    result = dispatch(rig, key, step)
    (bot,) = rig.bots()
    assert result.outcome is DispatchOutcome.DISPATCHED
    assert bot.dispatched_at is not None
    assert bot.dispatched_at >= bot.dispatch_at
    (job,) = rig.sandbox.jobs()
    assert job["externalId"] == f"{bot.id}.{bot.generation}"
    assert bot.backend_bot_id == job["id"]


def test_dispatching_again_after_a_lost_answer_makes_no_second_bot(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    rig.sandbox.fault(path="/backend/api/v1/jobs", when="after", times=1, drop=True)
    with pytest.raises(BackendUnavailable):
        dispatch(rig, key, step)
    assert dispatch(rig, key, step).outcome is DispatchOutcome.DISPATCHED
    assert len(rig.sandbox.jobs()) == 1


def test_a_meeting_made_longer_after_a_lost_answer_is_dispatched_all_the_same(rig: Rig) -> None:
    user, event = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    rig.sandbox.fault(path="/backend/api/v1/jobs", when="after", times=1, drop=True)
    with pytest.raises(BackendUnavailable):
        dispatch(rig, key, step)
    rig.sandbox.change(event, duration_minutes=90)
    rig.sync(user)
    assert dispatch(rig, key, rig.bot_activities.reconcile(rig.ref(key))).outcome is DispatchOutcome.DISPATCHED
    (job,) = rig.sandbox.jobs()
    assert [(bot.state, bot.backend_bot_id) for bot in rig.bots()] == [("dispatched", job["id"])]


def test_two_colleagues_in_one_meeting_get_one_bot_that_goes_with_the_last_claim(rig: Rig) -> None:
    ada, grace = rig.sandbox.account("ada@acme.test"), rig.sandbox.account("grace@acme.test", Provider.MICROSOFT)
    first, second = rig.connect(ada), rig.connect(grace, Provider.MICROSOFT)
    event = rig.sandbox.event(ada, attendees=[grace])
    key, _ = scheduled(rig, first)
    scheduled(rig, second)
    (bot,) = rig.bots()
    rig.sandbox.respond(event, grace, "declined")
    assert rig.sync(second).plan == ()
    assert rig.bot_activities.reconcile(rig.ref(key)).kind is StepKind.WAIT
    rig.put_rules(first, {"rules": []})
    rig.sync(first)
    assert rig.bot_activities.reconcile(rig.ref(key)).kind is StepKind.CLOSE
    assert [(found.id, found.state) for found in rig.bots()] == [(bot.id, "cancelled")]


def test_claims_arriving_together_make_one_bot(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    (entry,) = rig.planned(user)
    with ThreadPoolExecutor(8) as pool:
        orders = list(pool.map(lambda _: rig.bot_activities.reconcile(rig.ref(entry.meeting_key)), range(16)))
    assert len({step.bot_id for step in orders}) == 1
    assert len(rig.bots()) == 1


def test_a_bot_cancelled_by_hand_stays_cancelled_through_edits(rig: Rig) -> None:
    user, event = connected_with_meeting(rig)
    key, _ = scheduled(rig, user)
    with rig.database.transaction(rig.tenant_id) as session:
        session.get_one(Meeting, (rig.tenant_id, key)).suppressed_at = rig.clock()
    assert rig.bot_activities.reconcile(rig.ref(key)).kind is StepKind.CLOSE
    rig.sandbox.change(event, shift_minutes=15)
    rig.planned(user)
    assert rig.bot_activities.reconcile(rig.ref(key)).kind is StepKind.CLOSE
    assert [(bot.state, bot.outcome) for bot in rig.bots()] == [("cancelled", "cancelled_by_hand")]


def test_an_override_to_record_lifts_the_cancellation_by_hand_and_brings_a_new_bot(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    key, _ = scheduled(rig, user)
    rig.sync(user)
    with rig.database.transaction(rig.tenant_id) as session:
        session.get_one(Meeting, (rig.tenant_id, key)).suppressed_at = rig.clock()
    rig.bot_activities.reconcile(rig.ref(key))
    assert rig.sync(user).plan is None
    (event,) = rig.events(user)
    with rig.database.transaction(rig.tenant_id) as session:
        lift_suppressions(session, event, scope="occurrence")
    plan = rig.sync(user, SyncScope.DECISIONS).plan
    assert plan is not None
    assert [entry.acknowledged for entry in plan] == [False]
    assert rig.bot_activities.reconcile(rig.ref(key)).kind is StepKind.WAIT
    assert [bot.state for bot in rig.bots()] == ["cancelled", "scheduled"]


def test_the_claims_of_a_meeting_that_is_over_stay_to_be_read(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig, starts_in_minutes=5, duration_minutes=10)
    key, step = scheduled(rig, user)
    dispatch(rig, key, step)
    rig.clock.offset = timedelta(minutes=20)
    rig.sync(user)
    with rig.read() as session:
        assert [claim.calendar_user_id for claim in session.exec(select(BotClaim))] == [user]


def test_a_restored_meeting_gets_a_new_bot(rig: Rig) -> None:
    user, event = connected_with_meeting(rig)
    key, _ = scheduled(rig, user)
    rig.sandbox.cancel(event)
    rig.sync(user)
    rig.bot_activities.reconcile(rig.ref(key))
    rig.sandbox.restore(event)
    again, _ = scheduled(rig, user)
    assert again == key
    assert [bot.state for bot in rig.bots()] == ["cancelled", "scheduled"]


def test_a_meeting_cancelled_after_dispatch_has_its_bot_recalled(rig: Rig) -> None:
    user, event = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    dispatch(rig, key, step)
    rig.sandbox.cancel(event)
    rig.sync(user)
    assert rig.bot_activities.reconcile(rig.ref(key)).kind is StepKind.RECALL
    assert rig.recall_activity.recall(rig.ref(key)).kind is StepKind.CLOSE
    assert [bot.state for bot in rig.bots()] == ["cancelled"]
    assert rig.sandbox.counts("/backend/api/v1/jobs") == 2


def test_a_bot_of_a_meeting_moved_after_dispatch_is_recalled_and_then_sent_again(rig: Rig) -> None:
    user, event = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    dispatch(rig, key, step)
    rig.sandbox.change(event, shift_minutes=60)
    rig.sync(user)
    assert rig.bot_activities.reconcile(rig.ref(key)).kind is StepKind.RECALL
    again = rig.recall_activity.recall(rig.ref(key))
    assert (again.kind, again.generation) == (StepKind.WAIT, 2)
    assert dispatch(rig, key, again).outcome is DispatchOutcome.DISPATCHED
    assert len(rig.bots()) == 1
    assert len(rig.sandbox.jobs()) == 2


def test_a_changed_title_makes_no_call_to_the_backend(rig: Rig) -> None:
    user, event = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    dispatch(rig, key, step)
    rig.sandbox.change(event, title="Renamed")
    rig.sync(user)
    assert rig.bot_activities.reconcile(rig.ref(key)).kind is StepKind.FOLLOW
    assert rig.sandbox.counts("/backend/api/v1/jobs") == 1


def test_changed_rules_call_no_bot_out_of_a_meeting(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    dispatch(rig, key, step)
    report(rig, "job.status_changed", "recording")
    rig.put_rules(user, {"rules": []})
    assert rig.sync(user, SyncScope.DECISIONS).plan == ()
    assert rig.bot_activities.reconcile(rig.ref(key)).kind is StepKind.FOLLOW


def test_a_skip_said_while_the_provider_hangs_still_counts(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig, starts_in_minutes=30)
    key, step = scheduled(rig, user)
    rig.put_rules(user, {"rules": []})
    rig.sandbox.fault(path="/google/calendar/v3", status=503)
    assert dispatch(rig, key, step).outcome is DispatchOutcome.CHANGED
    assert rig.bot_activities.reconcile(rig.ref(key)).kind is StepKind.CLOSE
    assert rig.sandbox.jobs() == []
