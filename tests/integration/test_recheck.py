"""The re-check in the last moments before a bot goes, and whose copy counts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from meetbot.domain.event import Provider
from meetbot.temporal.messages import DispatchOutcome, StepKind
from tests.integration.meetings import connected_with_meeting, dispatch, scheduled, shared_meeting
from tests.rig import Rig

pytestmark = pytest.mark.stack


def test_a_meeting_moved_at_the_provider_before_a_sync_is_not_joined_at_its_old_time(rig: Rig) -> None:
    user, event = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    rig.sandbox.change(event, shift_minutes=30)
    assert dispatch(rig, key, step).outcome is DispatchOutcome.CHANGED
    moved = rig.bot_activities.reconcile(rig.ref(key))
    assert step.join_at is not None
    assert (moved.kind, moved.join_at) == (StepKind.WAIT, step.join_at + timedelta(minutes=30))
    assert rig.sandbox.jobs() == []


@pytest.mark.parametrize("provider", list(Provider))
def test_a_meeting_cancelled_at_the_provider_before_a_sync_is_not_joined(rig: Rig, provider: Provider) -> None:
    ada = rig.sandbox.account("ada@acme.test", provider)
    user = rig.connect(ada, provider)
    event = rig.sandbox.event(ada)
    key, step = scheduled(rig, user)
    rig.sandbox.cancel(event)
    assert dispatch(rig, key, step).outcome is DispatchOutcome.CHANGED
    assert rig.bot_activities.reconcile(rig.ref(key)).kind is StepKind.CLOSE
    assert rig.sandbox.jobs() == []


def test_a_new_link_at_the_provider_is_the_one_that_is_joined(rig: Rig) -> None:
    user, event = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    assert step.recheck_at is not None
    rig.clock.sleep_until(step.recheck_at)
    rig.sandbox.change(event, platform="zoom")
    assert dispatch(rig, key, step).outcome is DispatchOutcome.DISPATCHED
    (job,) = rig.sandbox.jobs()
    assert "zoom" in job["meetingUrl"]


@pytest.mark.parametrize("change", ["cancelled", "moved", "without a link"])
def test_a_change_that_only_the_recheck_saw_leaves_the_meeting_its_bot(rig: Rig, change: str) -> None:
    user, event = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    rig.sync(user)
    link = rig.events(user)[0].meeting_url
    if change == "cancelled":
        rig.sandbox.cancel(event)
    else:
        rig.sandbox.change(event, **({"shift_minutes": 45} if change == "moved" else {"meeting_url": None}))
    assert dispatch(rig, key, step).outcome is DispatchOutcome.CHANGED
    rig.bot_activities.reconcile(rig.ref(key))
    if change == "cancelled":
        rig.sandbox.restore(event)
    else:
        rig.sandbox.change(event, **({"shift_minutes": -45} if change == "moved" else {"meeting_url": link}))

    plan = rig.sync(user).plan

    assert plan is not None
    assert [(entry.meeting_key, entry.acknowledged) for entry in plan] == [(key, False)]
    again = rig.bot_activities.reconcile(rig.ref(key))
    assert (again.kind, again.join_at) == (StepKind.WAIT, step.join_at)
    assert rig.bots()[-1].state == "scheduled"


def test_a_declined_invitation_withdraws_only_its_own_claim_at_the_recheck(rig: Rig) -> None:
    ada, bob = rig.sandbox.account("ada@acme.test"), rig.sandbox.account("bob@acme.test")
    first, second = rig.connect(ada), rig.connect(bob)
    event = rig.sandbox.event(ada, attendees=[bob])
    key, _ = scheduled(rig, first)
    scheduled(rig, second)
    rig.put_rules(first, {"rules": []})
    rig.sync(first)
    step = rig.bot_activities.reconcile(rig.ref(key))
    rig.sandbox.respond(event, bob, "declined")
    assert dispatch(rig, key, step).outcome is DispatchOutcome.CHANGED
    assert rig.bot_activities.reconcile(rig.ref(key)).kind is StepKind.CLOSE


@pytest.mark.parametrize("change", ["cancelled", "moved"])
def test_with_the_organizers_provider_down_another_claimants_answer_counts(rig: Rig, change: str) -> None:
    _, _, event, key, step = shared_meeting(rig)
    rig.sandbox.fault(path="/google/calendar", status=500)
    if change == "cancelled":
        rig.sandbox.cancel(event)
    else:
        rig.sandbox.change(event, shift_minutes=60)

    assert dispatch(rig, key, step).outcome is DispatchOutcome.CHANGED
    again = rig.bot_activities.reconcile(rig.ref(key))

    assert rig.sandbox.jobs() == []
    if change == "cancelled":
        assert [bot.state for bot in rig.bots()] == ["cancelled"]
    else:
        assert step.join_at is not None
        assert again.join_at == step.join_at + timedelta(hours=1)


@pytest.mark.parametrize("change", ["cancelled", "moved"])
def test_a_colleagues_synced_copy_counts_if_the_organizers_provider_is_down(rig: Rig, change: str) -> None:
    _, guest, event, key, _ = shared_meeting(rig)
    rig.sandbox.fault(path="/google/calendar", status=500)
    if change == "cancelled":
        rig.sandbox.cancel(event)
    else:
        rig.sandbox.change(event, shift_minutes=60)
    rig.sync(guest)
    step = rig.bot_activities.reconcile(rig.ref(key))

    assert dispatch(rig, key, step).outcome is DispatchOutcome.CHANGED

    assert rig.sandbox.jobs() == []
    again = rig.bot_activities.reconcile(rig.ref(key))
    if change == "cancelled":
        assert again.kind is StepKind.CLOSE
    else:
        assert step.join_at is not None
        assert again.join_at == step.join_at + timedelta(hours=1)


def test_a_colleague_who_only_removed_the_meeting_does_not_cancel_it(rig: Rig) -> None:
    _, guest, event, key, _ = shared_meeting(rig)
    rig.sandbox.fault(path="/google/calendar", status=500)
    rig.sandbox.http.delete(f"/control/accounts/grace@acme.test/events/{event['key']}").raise_for_status()
    rig.sync(guest)
    step = rig.bot_activities.reconcile(rig.ref(key))
    assert dispatch(rig, key, step).outcome is DispatchOutcome.DISPATCHED


def test_a_doubted_claim_counts_again_once_its_calendar_is_read(rig: Rig) -> None:
    organizer, _, event, key, step = shared_meeting(rig)
    rig.sandbox.fault(path="/google/calendar", status=500)
    rig.sandbox.cancel(event)
    dispatch(rig, key, step)
    rig.bot_activities.reconcile(rig.ref(key))
    rig.sandbox.restore(event)
    rig.sandbox.clear_faults()
    plan = rig.sync(organizer).plan
    assert plan is not None
    assert [entry.acknowledged for entry in plan] == [False]
    assert rig.bot_activities.reconcile(rig.ref(key)).join_at == step.join_at


def test_one_answer_that_the_event_is_gone_costs_no_meeting_its_bot(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    rig.sandbox.fault(path="/google/calendar", status=404, times=1)
    assert dispatch(rig, key, step).outcome is DispatchOutcome.DISPATCHED


def test_an_answer_that_names_no_event_costs_no_meeting_its_bot(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    rig.sandbox.fault(path="/google/calendar", status=200, body={"hello": "world"})
    assert dispatch(rig, key, step).outcome is DispatchOutcome.DISPATCHED


def test_with_the_provider_down_a_freshly_synced_meeting_is_joined_all_the_same(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig, starts_in_minutes=30)
    key, step = scheduled(rig, user)
    rig.sandbox.fault(path="/google/calendar/v3", status=503)
    assert dispatch(rig, key, step).outcome is DispatchOutcome.DISPATCHED


def test_with_the_provider_down_for_long_the_bot_waits_for_the_start(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig, starts_in_minutes=180)
    key, step = scheduled(rig, user)
    assert step.recheck_at is not None
    rig.clock.sleep_until(step.recheck_at)
    rig.sandbox.fault(path="/google", status=503)
    assert dispatch(rig, key, step).outcome is DispatchOutcome.WAIT_FOR_START
    assert dispatch(rig, key, step, wait_is_over=True).outcome is DispatchOutcome.DISPATCHED
