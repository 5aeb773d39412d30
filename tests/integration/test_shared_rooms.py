"""Overlapping meetings in one room have one bot between them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from meetbot.domain.event import Provider
from meetbot.temporal.messages import DispatchOutcome, StepKind
from tests.integration.meetings import BOTH
from tests.integration.rooms import ROOM, Booking, book, live_jobs, reported
from tests.rig import Rig

pytestmark = pytest.mark.stack


def sharing(
    rig: Rig, provider: Provider = Provider.GOOGLE, *, starts: float = 75, room: str = ROOM
) -> tuple[Booking, Booking]:
    """Two bookings of one room: the first's bot was sent, and the second shares it."""
    first, other = book(rig, "ada", provider), book(rig, "grace", provider, starts=starts, room=room)
    assert first.dispatch().outcome is DispatchOutcome.DISPATCHED
    assert other.dispatch().outcome is DispatchOutcome.CHANGED
    assert other.reconcile().kind is StepKind.FOLLOW
    return first, other


@BOTH
def test_meetings_that_overlap_in_one_room_have_one_bot(rig: Rig, provider: Provider) -> None:
    first, other = sharing(rig, provider)
    assert len(rig.sandbox.jobs()) == 1
    (sent,), (own,) = first.bots(), other.bots()
    assert (own.state, own.outcome, own.shared_bot_id) == ("cancelled", "shared", sent.id)


@BOTH
def test_meetings_back_to_back_in_one_room_have_two_bots(rig: Rig, provider: Provider) -> None:
    first, other = book(rig, "ada", provider), book(rig, "grace", provider, starts=90)
    assert first.dispatch().outcome is other.dispatch().outcome is DispatchOutcome.DISPATCHED
    assert len(live_jobs(rig)) == 2


def test_another_passcode_in_the_link_is_the_same_room(rig: Rig) -> None:
    sharing(rig, room=f"{ROOM}?pwd=Ab1cD2efGh3iJ4klMn5oP6qrSt7uV8.1")
    assert len(rig.sandbox.jobs()) == 1


def test_two_events_of_one_calendar_share_a_bot_too(rig: Rig) -> None:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    for title in ("Planning", "Planning, copied"):
        rig.sandbox.event(ada, title=title, meeting_url=ROOM)
    bookings = [Booking(rig, user, {}, entry.meeting_key) for entry in rig.planned(user)]
    assert [one.dispatch().outcome for one in bookings] == [DispatchOutcome.DISPATCHED, DispatchOutcome.CHANGED]
    assert len(rig.sandbox.jobs()) == 1


@pytest.mark.parametrize("room", ["https://us06web.zoom.us/j/89876543210", "https://meet.jit.si/"])
def test_other_rooms_share_nothing(rig: Rig, room: str) -> None:
    first, other = (
        book(rig, "ada"),
        book(rig, "grace", room=f"{room}", description="https://us06web.zoom.us/j/89876543210"),
    )
    first.dispatch()
    other.dispatch()
    assert len(live_jobs(rig)) == 2


def test_a_bot_that_is_still_to_go_keeps_no_other_away(rig: Rig) -> None:
    book(rig, "ada")
    other = book(rig, "grace", starts=75)
    assert other.dispatch().outcome is DispatchOutcome.DISPATCHED


def test_webhooks_of_a_shared_bot_carry_the_users_of_both(rig: Rig) -> None:
    first, other = sharing(rig)
    (job,) = rig.sandbox.jobs()
    reported(rig, job, "recording")
    reported(rig, job, "completed", "job.finalized", recordedSeconds=600)
    (ended,) = [data for event, data in rig.webhook_events() if event == "job.finalized"]
    (completed,) = [data for event, data in rig.webhook_events() if event == "bot.completed"]
    assert ended["meetbot_calendar_user_ids"] == completed["claims"] == sorted([first.user, other.user])
    assert len(ended["event_ids"]) == 2


def test_a_bot_that_is_not_sent_is_told_of_with_the_one_it_shares(rig: Rig) -> None:
    first, _ = sharing(rig)
    (told,) = [data for event, data in rig.webhook_events() if event == "bot.cancelled"]
    assert (told["outcome"], told["shared_bot_id"]) == ("shared", first.bots()[0].id)


@BOTH
def test_the_bot_stays_for_the_other_meeting_when_its_own_is_cancelled(rig: Rig, provider: Provider) -> None:
    first, other = sharing(rig, provider)
    rig.sandbox.cancel(first.event)
    first.sync()
    assert first.reconcile().kind is StepKind.RECALL
    assert first.recall().kind is StepKind.CLOSE
    assert len(live_jobs(rig)) == 1
    step = other.reconcile()
    assert (step.kind, step.state) == (StepKind.FOLLOW, "dispatched")
    assert [bot.id for bot in other.bots() if bot.state == "dispatched"] == [step.bot_id]


def test_the_meeting_that_took_the_bot_on_may_end_it(rig: Rig) -> None:
    first, other = sharing(rig)
    rig.sandbox.cancel(first.event)
    first.sync()
    first.recall()
    rig.sandbox.cancel(other.event)
    other.sync()
    assert other.reconcile().kind is StepKind.RECALL
    other.recall()
    assert live_jobs(rig) == []


@pytest.mark.parametrize("change", [{"shift_minutes": 240}, {"meeting_url": "https://us06web.zoom.us/j/89876543210"}])
def test_a_meeting_that_moves_away_leaves_the_bot_and_gets_another(rig: Rig, change: dict[str, object]) -> None:
    first, other = sharing(rig)
    rig.sandbox.change(first.event, **change)
    first.sync()
    step = first.recall()
    assert step.kind is StepKind.WAIT
    assert other.reconcile().kind is StepKind.FOLLOW
    assert first.dispatch().outcome is DispatchOutcome.DISPATCHED
    assert len(live_jobs(rig)) == 2
    assert [job["status"] for job in rig.sandbox.jobs()] != ["cancelled"]


def test_a_sharing_meeting_that_is_cancelled_lets_go_of_the_bot_and_leaves_it_there(rig: Rig) -> None:
    first, other = sharing(rig)
    rig.sandbox.cancel(other.event)
    other.sync()
    assert other.reconcile().kind is StepKind.CLOSE
    (own,) = other.bots()
    assert (own.outcome, own.shared_bot_id) == ("cancelled", None)
    assert first.reconcile().kind is StepKind.FOLLOW
    assert len(live_jobs(rig)) == 1


def test_a_sharing_meeting_that_moves_away_gets_its_own_bot(rig: Rig) -> None:
    _, other = sharing(rig)
    rig.sandbox.change(other.event, shift_minutes=120)
    other.sync()
    assert other.reconcile().kind is StepKind.WAIT
    assert other.dispatch().outcome is DispatchOutcome.DISPATCHED
    assert len(live_jobs(rig)) == 2


@pytest.mark.parametrize(
    ("status", "event"), [("completed", "job.finalized"), ("failed", "job.failed")], ids=["completed", "failed"]
)
def test_a_meeting_that_outlasts_the_shared_bot_gets_its_own(rig: Rig, status: str, event: str) -> None:
    first, other = sharing(rig)
    (job,) = rig.sandbox.jobs()
    reported(rig, job, "recording")
    reported(rig, job, status, event)
    assert first.reconcile().to_wake == (other.key,)
    assert other.reconcile().kind is StepKind.WAIT
    assert other.dispatch().outcome is DispatchOutcome.DISPATCHED
    assert len(rig.sandbox.jobs()) == 2


def test_a_meeting_whose_shared_bot_has_left_claims_again_in_case_its_workflow_is_lost(rig: Rig) -> None:
    first, other = sharing(rig)
    assert [entry.acknowledged for entry in rig.planned(other.user)] == [True]
    (job,) = rig.sandbox.jobs()
    reported(rig, job, "failed", "job.failed")
    first.reconcile()
    assert [entry.acknowledged for entry in rig.planned(other.user)] == [False]


def test_a_room_booked_twice_for_one_call_is_recorded_once(rig: Rig) -> None:
    first, other = sharing(rig, starts=60)
    (job,) = rig.sandbox.jobs()
    reported(rig, job, "recording")
    reported(rig, job, "completed", "job.finalized")
    assert first.reconcile().kind is other.reconcile().kind is StepKind.CLOSE
    assert len(rig.sandbox.jobs()) == 1


def test_a_bot_that_finalizes_keeps_no_other_away(rig: Rig) -> None:
    first, other = book(rig, "ada"), book(rig, "grace", starts=75)
    first.dispatch()
    (job,) = rig.sandbox.jobs()
    reported(rig, job, "finalizing")
    assert other.dispatch().outcome is DispatchOutcome.DISPATCHED


def test_a_third_meeting_that_overlaps_only_the_second_shares_the_bot(rig: Rig) -> None:
    _, other = sharing(rig)
    third = book(rig, "mary", starts=95)
    assert third.dispatch().outcome is DispatchOutcome.CHANGED
    assert third.reconcile().bot_id == other.reconcile().bot_id
    assert len(rig.sandbox.jobs()) == 1


def test_usage_counts_a_shared_bot_once(rig: Rig) -> None:
    from meetbot.storage.usage import UsageGroup, sum_usage

    sharing(rig)
    with rig.read() as session:
        now = rig.clock()
        (sums,) = sum_usage(
            session,
            rig.tenant_id,
            UsageGroup.DAY,
            since=now - timedelta(days=1),
            until=now + timedelta(days=2),
            limit=10,
        )
    assert sums.bots == 1
