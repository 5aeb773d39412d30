"""From claims to bots: one bot per meeting, whatever happens, against the sandbox's backend and real PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlmodel import select

from meetbot.bots.reports import apply_report
from meetbot.errors import BackendUnavailable
from meetbot.events import Provider
from meetbot.orchestration import BotOrder, BotStep, DispatchOutcome, DispatchRequest, DispatchResult, SyncScope
from meetbot.storage.overrides import release_holds
from meetbot.storage.tables import BotClaim, Dispatch, Meeting
from tests.rig import Rig

pytestmark = pytest.mark.stack


def scheduled(rig: Rig, user: str) -> tuple[str, BotOrder]:
    """The one meeting a calendar user wants, with its bot scheduled."""
    (entry,) = rig.planned(user)
    return entry.meeting_key, rig.bot_activities.schedule(rig.ref(entry.meeting_key))


def dispatch(rig: Rig, meeting_key: str, order: BotOrder, *, hold_over: bool = False) -> DispatchResult:
    request = DispatchRequest(rig.tenant_id, meeting_key, order.bot_id, order.generation, hold_over)
    return rig.dispatch_activity.dispatch(request)


def connected_with_meeting(
    rig: Rig, *, starts_in_minutes: float = 60, **fields: object
) -> tuple[str, dict[str, object]]:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    event = rig.sandbox.event(ada, starts_in_minutes=starts_in_minutes, **fields)
    return user, event


def test_a_claim_schedules_one_bot_ninety_seconds_before_the_start(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    _, order = scheduled(rig, user)
    (bot,) = rig.bots()
    assert (bot.state, order.step) == ("scheduled", BotStep.WAIT)
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
    rig.bot_activities.schedule(rig.ref(key))
    (bot,) = rig.bots()
    assert bot.dispatch_at == bot.join_at - timedelta(seconds=300)


def test_an_acknowledged_claim_settles_the_plan(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    scheduled(rig, user)
    assert rig.sync(user).plan is not None
    assert rig.sync(user).plan is None


def test_the_backend_is_asked_at_the_lead_time_and_not_before(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    key, order = scheduled(rig, user)
    result = dispatch(rig, key, order)
    (bot,) = rig.bots()
    assert result.outcome is DispatchOutcome.DISPATCHED
    assert bot.dispatched_at is not None
    assert bot.dispatched_at >= bot.dispatch_at
    (job,) = rig.sandbox.jobs()
    assert job["externalId"] == f"{bot.id}.{bot.generation}"
    assert bot.backend_bot_id == job["id"]


def test_dispatching_again_after_a_lost_answer_makes_no_second_bot(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    key, order = scheduled(rig, user)
    rig.sandbox.fault(path="/backend/api/v1/jobs", when="after", times=1, drop=True)
    with pytest.raises(BackendUnavailable):
        dispatch(rig, key, order)
    assert dispatch(rig, key, order).outcome is DispatchOutcome.DISPATCHED
    assert len(rig.sandbox.jobs()) == 1


def test_a_meeting_made_longer_after_a_lost_answer_is_dispatched_all_the_same(rig: Rig) -> None:
    user, event = connected_with_meeting(rig)
    key, order = scheduled(rig, user)
    rig.sandbox.fault(path="/backend/api/v1/jobs", when="after", times=1, drop=True)
    with pytest.raises(BackendUnavailable):
        dispatch(rig, key, order)
    rig.sandbox.change(event, duration_minutes=90)
    rig.sync(user)
    assert dispatch(rig, key, rig.bot_activities.schedule(rig.ref(key))).outcome is DispatchOutcome.DISPATCHED
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
    assert rig.bot_activities.schedule(rig.ref(key)).step is BotStep.WAIT
    rig.put_rules(first, {"rules": []})
    rig.sync(first)
    assert rig.bot_activities.schedule(rig.ref(key)).step is BotStep.CLOSE
    assert [(found.id, found.state) for found in rig.bots()] == [(bot.id, "cancelled")]


def test_claims_arriving_together_make_one_bot(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    (entry,) = rig.planned(user)
    with ThreadPoolExecutor(8) as pool:
        orders = list(pool.map(lambda _: rig.bot_activities.schedule(rig.ref(entry.meeting_key)), range(16)))
    assert len({order.bot_id for order in orders}) == 1
    assert len(rig.bots()) == 1


def test_a_meeting_moved_at_the_provider_before_we_polled_is_not_joined_at_the_old_time(rig: Rig) -> None:
    user, event = connected_with_meeting(rig)
    key, order = scheduled(rig, user)
    rig.sandbox.change(event, shift_minutes=30)
    assert dispatch(rig, key, order).outcome is DispatchOutcome.CHANGED
    moved = rig.bot_activities.schedule(rig.ref(key))
    assert order.join_at is not None
    assert (moved.step, moved.join_at) == (BotStep.WAIT, order.join_at + timedelta(minutes=30))
    assert rig.sandbox.jobs() == []


@pytest.mark.parametrize("provider", list(Provider))
def test_a_meeting_cancelled_at_the_provider_before_we_polled_is_not_joined(rig: Rig, provider: Provider) -> None:
    ada = rig.sandbox.account("ada@acme.test", provider)
    user = rig.connect(ada, provider)
    event = rig.sandbox.event(ada)
    key, order = scheduled(rig, user)
    rig.sandbox.cancel(event)
    assert dispatch(rig, key, order).outcome is DispatchOutcome.CHANGED
    assert rig.bot_activities.schedule(rig.ref(key)).step is BotStep.CLOSE
    assert rig.sandbox.jobs() == []


def test_a_new_link_at_the_provider_is_the_one_that_is_joined(rig: Rig) -> None:
    user, event = connected_with_meeting(rig)
    key, order = scheduled(rig, user)
    assert order.arm_at is not None
    rig.clock.sleep_until(order.arm_at)
    rig.sandbox.change(event, platform="zoom")
    assert dispatch(rig, key, order).outcome is DispatchOutcome.DISPATCHED
    (job,) = rig.sandbox.jobs()
    assert "zoom" in job["meetingUrl"]


@pytest.mark.parametrize("change", ["cancelled", "moved", "without a link"])
def test_a_change_seen_by_the_recheck_and_taken_back_before_the_next_sync_leaves_the_meeting_its_bot(
    rig: Rig, change: str
) -> None:
    user, event = connected_with_meeting(rig)
    key, order = scheduled(rig, user)
    rig.sync(user)
    link = rig.events(user)[0].meeting_url
    if change == "cancelled":
        rig.sandbox.cancel(event)
    else:
        rig.sandbox.change(event, **({"shift_minutes": 45} if change == "moved" else {"meeting_url": None}))
    assert dispatch(rig, key, order).outcome is DispatchOutcome.CHANGED
    rig.bot_activities.schedule(rig.ref(key))
    if change == "cancelled":
        rig.sandbox.restore(event)
    else:
        rig.sandbox.change(event, **({"shift_minutes": -45} if change == "moved" else {"meeting_url": link}))

    plan = rig.sync(user).plan

    assert plan is not None
    assert [(entry.meeting_key, entry.acknowledged) for entry in plan] == [(key, False)]
    again = rig.bot_activities.schedule(rig.ref(key))
    assert (again.step, again.join_at) == (BotStep.WAIT, order.join_at)
    assert rig.bots()[-1].state == "scheduled"


def test_a_declined_invitation_withdraws_only_its_own_claim_at_the_recheck(rig: Rig) -> None:
    ada, bob = rig.sandbox.account("ada@acme.test"), rig.sandbox.account("bob@acme.test")
    first, second = rig.connect(ada), rig.connect(bob)
    event = rig.sandbox.event(ada, attendees=[bob])
    key, _ = scheduled(rig, first)
    scheduled(rig, second)
    rig.put_rules(first, {"rules": []})
    rig.sync(first)
    order = rig.bot_activities.schedule(rig.ref(key))
    rig.sandbox.respond(event, bob, "declined")
    assert dispatch(rig, key, order).outcome is DispatchOutcome.CHANGED
    assert rig.bot_activities.schedule(rig.ref(key)).step is BotStep.CLOSE


def shared_meeting(rig: Rig) -> tuple[str, str, dict[str, object], str, BotOrder]:
    """Ada's meeting at Google, to which grace at Microsoft is invited; both want it recorded."""
    ada, grace = rig.sandbox.account("ada@acme.test"), rig.sandbox.account("grace@acme.test", Provider.MICROSOFT)
    organizer, guest = rig.connect(ada), rig.connect(grace, Provider.MICROSOFT)
    event = rig.sandbox.event(ada, attendees=[grace])
    rig.sync(organizer)
    rig.sync(guest)
    key, order = scheduled(rig, organizer)
    rig.sync(organizer)
    return organizer, guest, event, key, order


@pytest.mark.parametrize("change", ["cancelled", "moved"])
def test_with_the_organizers_provider_down_the_word_of_another_claimants_counts(rig: Rig, change: str) -> None:
    _, _, event, key, order = shared_meeting(rig)
    rig.sandbox.fault(path="/google/calendar", status=500)
    if change == "cancelled":
        rig.sandbox.cancel(event)
    else:
        rig.sandbox.change(event, shift_minutes=60)

    assert dispatch(rig, key, order).outcome is DispatchOutcome.CHANGED
    again = rig.bot_activities.schedule(rig.ref(key))

    assert rig.sandbox.jobs() == []
    if change == "cancelled":
        assert [bot.state for bot in rig.bots()] == ["cancelled"]
    else:
        assert order.join_at is not None
        assert again.join_at == order.join_at + timedelta(hours=1)


@pytest.mark.parametrize("change", ["cancelled", "moved"])
def test_what_a_colleagues_calendar_said_before_counts_where_the_organizers_provider_is_down(
    rig: Rig, change: str
) -> None:
    _, guest, event, key, _ = shared_meeting(rig)
    rig.sandbox.fault(path="/google/calendar", status=500)
    if change == "cancelled":
        rig.sandbox.cancel(event)
    else:
        rig.sandbox.change(event, shift_minutes=60)
    rig.sync(guest)
    order = rig.bot_activities.schedule(rig.ref(key))

    assert dispatch(rig, key, order).outcome is DispatchOutcome.CHANGED

    assert rig.sandbox.jobs() == []
    again = rig.bot_activities.schedule(rig.ref(key))
    if change == "cancelled":
        assert again.step is BotStep.CLOSE
    else:
        assert order.join_at is not None
        assert again.join_at == order.join_at + timedelta(hours=1)


def test_a_colleague_who_only_removed_the_meeting_is_no_witness_against_it(rig: Rig) -> None:
    _, guest, event, key, _ = shared_meeting(rig)
    rig.sandbox.fault(path="/google/calendar", status=500)
    rig.sandbox.http.delete(f"/control/accounts/grace@acme.test/events/{event['key']}").raise_for_status()
    rig.sync(guest)
    order = rig.bot_activities.schedule(rig.ref(key))
    assert dispatch(rig, key, order).outcome is DispatchOutcome.DISPATCHED


def test_a_doubted_claim_counts_again_once_its_calendar_is_read(rig: Rig) -> None:
    organizer, _, event, key, order = shared_meeting(rig)
    rig.sandbox.fault(path="/google/calendar", status=500)
    rig.sandbox.cancel(event)
    dispatch(rig, key, order)
    rig.bot_activities.schedule(rig.ref(key))
    rig.sandbox.restore(event)
    rig.sandbox.clear_faults()
    plan = rig.sync(organizer).plan
    assert plan is not None
    assert [entry.acknowledged for entry in plan] == [False]
    assert rig.bot_activities.schedule(rig.ref(key)).join_at == order.join_at


def test_one_answer_that_the_event_is_gone_costs_no_meeting_its_bot(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    key, order = scheduled(rig, user)
    rig.sandbox.fault(path="/google/calendar", status=404, times=1)
    assert dispatch(rig, key, order).outcome is DispatchOutcome.DISPATCHED


def test_an_answer_that_names_no_event_costs_no_meeting_its_bot(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    key, order = scheduled(rig, user)
    rig.sandbox.fault(path="/google/calendar", status=200, body={"hello": "world"})
    assert dispatch(rig, key, order).outcome is DispatchOutcome.DISPATCHED


def test_with_the_provider_down_a_freshly_synced_meeting_is_joined_all_the_same(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig, starts_in_minutes=30)
    key, order = scheduled(rig, user)
    rig.sandbox.fault(path="/google/calendar/v3", status=503)
    assert dispatch(rig, key, order).outcome is DispatchOutcome.DISPATCHED


def test_with_the_provider_down_for_long_the_bot_waits_for_the_start(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig, starts_in_minutes=180)
    key, order = scheduled(rig, user)
    assert order.arm_at is not None
    rig.clock.sleep_until(order.arm_at)
    rig.sandbox.fault(path="/google", status=503)
    assert dispatch(rig, key, order).outcome is DispatchOutcome.HOLD
    assert dispatch(rig, key, order, hold_over=True).outcome is DispatchOutcome.DISPATCHED


def test_a_bot_cancelled_by_hand_stays_cancelled_through_edits(rig: Rig) -> None:
    user, event = connected_with_meeting(rig)
    key, _ = scheduled(rig, user)
    with rig.database.transaction(rig.tenant_id) as session:
        session.get_one(Meeting, (rig.tenant_id, key)).held_at = rig.clock()
    assert rig.bot_activities.schedule(rig.ref(key)).step is BotStep.CLOSE
    rig.sandbox.change(event, shift_minutes=15)
    rig.planned(user)
    assert rig.bot_activities.schedule(rig.ref(key)).step is BotStep.CLOSE
    assert [(bot.state, bot.outcome) for bot in rig.bots()] == [("cancelled", "cancelled_by_hand")]


def test_an_override_to_record_lifts_the_cancellation_by_hand_and_brings_a_new_bot(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    key, _ = scheduled(rig, user)
    rig.sync(user)
    with rig.database.transaction(rig.tenant_id) as session:
        session.get_one(Meeting, (rig.tenant_id, key)).held_at = rig.clock()
    rig.bot_activities.schedule(rig.ref(key))
    assert rig.sync(user).plan is None
    (event,) = rig.events(user)
    with rig.database.transaction(rig.tenant_id) as session:
        release_holds(session, event, scope="occurrence")
    plan = rig.sync(user, SyncScope.DECISIONS).plan
    assert plan is not None
    assert [entry.acknowledged for entry in plan] == [False]
    assert rig.bot_activities.schedule(rig.ref(key)).step is BotStep.WAIT
    assert [bot.state for bot in rig.bots()] == ["cancelled", "scheduled"]


def test_the_claims_of_a_meeting_that_is_over_stay_to_be_read(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig, starts_in_minutes=5, duration_minutes=10)
    key, order = scheduled(rig, user)
    dispatch(rig, key, order)
    rig.clock.offset = timedelta(minutes=20)
    rig.sync(user)
    with rig.read() as session:
        assert [claim.calendar_user_id for claim in session.exec(select(BotClaim))] == [user]


def test_a_restored_meeting_gets_a_new_bot(rig: Rig) -> None:
    user, event = connected_with_meeting(rig)
    key, _ = scheduled(rig, user)
    rig.sandbox.cancel(event)
    rig.sync(user)
    rig.bot_activities.schedule(rig.ref(key))
    rig.sandbox.restore(event)
    again, _ = scheduled(rig, user)
    assert again == key
    assert [bot.state for bot in rig.bots()] == ["cancelled", "scheduled"]


def test_a_meeting_cancelled_after_dispatch_calls_the_bot_back(rig: Rig) -> None:
    user, event = connected_with_meeting(rig)
    key, order = scheduled(rig, user)
    dispatch(rig, key, order)
    rig.sandbox.cancel(event)
    rig.sync(user)
    assert rig.bot_activities.schedule(rig.ref(key)).step is BotStep.LEAVE
    assert rig.bot_activities.leave(rig.ref(key)).step is BotStep.CLOSE
    assert [bot.state for bot in rig.bots()] == ["cancelled"]
    assert rig.sandbox.counts("/backend/api/v1/jobs") == 2


def test_a_meeting_moved_after_dispatch_calls_the_bot_back_first_and_sends_it_again(rig: Rig) -> None:
    user, event = connected_with_meeting(rig)
    key, order = scheduled(rig, user)
    dispatch(rig, key, order)
    rig.sandbox.change(event, shift_minutes=60)
    rig.sync(user)
    assert rig.bot_activities.schedule(rig.ref(key)).step is BotStep.LEAVE
    again = rig.bot_activities.leave(rig.ref(key))
    assert (again.step, again.generation) == (BotStep.WAIT, 2)
    assert dispatch(rig, key, again).outcome is DispatchOutcome.DISPATCHED
    assert len(rig.bots()) == 1
    assert len(rig.sandbox.jobs()) == 2


def test_a_changed_title_makes_no_call_to_the_backend(rig: Rig) -> None:
    user, event = connected_with_meeting(rig)
    key, order = scheduled(rig, user)
    dispatch(rig, key, order)
    rig.sandbox.change(event, title="Renamed")
    rig.sync(user)
    assert rig.bot_activities.schedule(rig.ref(key)).step is BotStep.FOLLOW
    assert rig.sandbox.counts("/backend/api/v1/jobs") == 1


def test_changed_rules_call_no_bot_out_of_a_meeting(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    key, order = scheduled(rig, user)
    dispatch(rig, key, order)
    _report(rig, "job.status_changed", "recording")
    rig.put_rules(user, {"rules": []})
    assert rig.sync(user, SyncScope.DECISIONS).plan == ()
    assert rig.bot_activities.schedule(rig.ref(key)).step is BotStep.FOLLOW


def test_a_skip_said_while_the_provider_hangs_still_counts(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig, starts_in_minutes=30)
    key, order = scheduled(rig, user)
    rig.put_rules(user, {"rules": []})
    rig.sandbox.fault(path="/google/calendar/v3", status=503)
    assert dispatch(rig, key, order).outcome is DispatchOutcome.CHANGED
    assert rig.bot_activities.schedule(rig.ref(key)).step is BotStep.CLOSE
    assert rig.sandbox.jobs() == []


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
    _report(rig, "job.finalized", "completed")
    rig.put_rules(second, {"rules": [{"name": "all", "action": "record", "when": {"attendee_count": {"gte": 0}}}]})
    _, late = scheduled(rig, second)
    assert late.step is BotStep.CLOSE
    assert [bot.state for bot in rig.bots()] == ["completed"]


def _report(rig: Rig, event: str, status: str, *, delivery: str = "dlv_1", **data: object) -> None:
    (job,) = rig.sandbox.jobs()
    document = {
        "deliveryId": delivery,
        "event": event,
        "data": {"id": job["id"], "externalId": job["externalId"], "status": status} | data,
    }
    assert apply_report(rig.database, document, rig.clock()) is not None


def test_reports_move_the_bot_on_and_are_relayed_once_with_whose_recording_it_is(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    key, order = scheduled(rig, user)
    dispatch(rig, key, order)
    _report(rig, "job.status_changed", "in_call", delivery="dlv_1")
    _report(rig, "job.finalized", "completed", delivery="dlv_2", recorded_seconds=1800)
    _report(rig, "job.finalized", "completed", delivery="dlv_2", recorded_seconds=1800)
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
    _report(rig, "job.status_changed", "recording", delivery="dlv_1")
    _report(rig, "job.status_changed", "joining", delivery="dlv_2")
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
