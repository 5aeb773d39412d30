"""The history of a bot: every change of it, with who made it and why."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlmodel import col, select

from meetbot.bots.reconcile import RECHECK_AHEAD
from meetbot.domain.bot_history import MAX_REPEATED
from meetbot.errors import BackendUnavailable
from meetbot.storage.bot_reads import suppress_meeting
from meetbot.storage.tables import BotTransition
from tests.integration.meetings import connected_with_meeting, dispatch, dispatched, report, scheduled
from tests.integration.rooms import Booking, book
from tests.rig import Rig

pytestmark = pytest.mark.stack


def history(rig: Rig) -> list[BotTransition]:
    with rig.read() as session:
        return list(session.exec(select(BotTransition).order_by(col(BotTransition.number))))


def told(rig: Rig) -> list[tuple[str, str, str]]:
    return [(row.change, row.to_state, row.source) for row in history(rig)]


def test_a_recorded_meetings_bot_tells_each_step(rig: Rig) -> None:
    dispatched(rig)
    report(rig, "job.status_changed", "joining", delivery="dlv_1")
    report(rig, "job.finalized", "completed", delivery="dlv_2", recordedSeconds=60)
    assert told(rig) == [
        ("created", "scheduled", "service"),
        ("asked", "dispatching", "service"),
        ("accepted", "dispatched", "backend"),
        ("reported", "joining", "backend"),
        ("reported", "in_call", "backend"),
        ("ended", "completed", "backend"),
    ]
    assert [row.number for row in history(rig)] == [1, 2, 3, 4, 5, 6]
    assert [row.from_state for row in history(rig)][:2] == [None, "scheduled"]


def test_a_failure_keeps_the_backends_own_code(rig: Rig) -> None:
    dispatched(rig)
    report(rig, "job.failed", "failed", failure_code="host_denied_admission")
    last = history(rig)[-1]
    assert (last.change, last.to_state, last.backend_code) == ("ended", "failed", "host_denied_admission")


def test_a_moved_meeting_keeps_the_instant_that_was_planned_before(rig: Rig) -> None:
    user, event = connected_with_meeting(rig)
    key, _ = scheduled(rig, user)
    rig.sandbox.change(event, starts_in_minutes=90)
    rig.sync(user)
    rig.bot_activities.reconcile(rig.ref(key))
    first, second = history(rig)
    assert (first.change, second.change) == ("created", "rescheduled")
    # The sandbox cuts both starts to whole seconds.
    assert abs(second.dispatch_at - first.dispatch_at - timedelta(minutes=30)) <= timedelta(seconds=1)


def test_a_bot_cancelled_by_hand_says_that_a_person_did_it(rig: Rig) -> None:
    _, _, key, _ = dispatched(rig)
    with rig.database.transaction(rig.tenant_id) as session:
        suppress_meeting(session, rig.tenant_id, key, suppressed_by="key", now=rig.clock())
    rig.recall_activity.recall(rig.ref(key))
    begun, ended = history(rig)[-2:]
    assert (begun.change, begun.to_state) == ("recall_begun", "dispatched")
    assert (ended.to_state, ended.source, ended.code) == ("cancelled", "person", "cancelled_by_hand")


def test_a_bot_that_its_backend_did_not_take_says_why_each_time(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    rig.sandbox.fault(path="/backend/api/v1/jobs", times=1, status=503)
    with pytest.raises(BackendUnavailable):
        dispatch(rig, key, step)
    dispatch(rig, key, step)
    assert [(row.change, row.code) for row in history(rig)] == [
        ("created", None),
        ("asked", None),
        ("not_accepted", "backend_answered_503"),
        ("asked", None),
        ("accepted", None),
    ]


def test_a_bot_asked_for_without_end_keeps_a_bounded_history(rig: Rig) -> None:
    user, event = connected_with_meeting(rig)
    key, _ = scheduled(rig, user)
    (bot,) = rig.bots()
    with rig.database.transaction(rig.tenant_id) as session:
        session.merge(bot).transitions = MAX_REPEATED
    rig.sandbox.change(event, starts_in_minutes=90)
    rig.sync(user)
    step = rig.bot_activities.reconcile(rig.ref(key))
    assert [row.change for row in history(rig)] == ["created"]
    assert step.recheck_at == rig.bots()[0].dispatch_at - RECHECK_AHEAD
    dispatch(rig, key, step)
    assert [row.change for row in history(rig)] == ["created", "asked", "accepted"]


def sharing(rig: Rig) -> tuple[Booking, Booking]:
    """Two bookings of one room: the first's bot was sent, and the second shares it."""
    first, other = book(rig, "ada"), book(rig, "grace", starts=75)
    first.dispatch()
    other.dispatch()
    return first, other


def last_of(rig: Rig, bot_id: str, count: int) -> list[tuple[str, str, str, str | None]]:
    own = [row for row in history(rig) if row.bot_id == bot_id]
    return [(row.change, row.to_state, row.source, row.code) for row in own[-count:]]


def test_a_bot_that_shares_anothers_ends_as_shared(rig: Rig) -> None:
    _, other = sharing(rig)
    (own,) = other.bots()
    assert last_of(rig, own.id, 9) == [
        ("created", "scheduled", "service", None),
        ("ended", "cancelled", "service", "shared"),
    ]


def test_a_bot_given_to_the_meeting_that_shares_it_says_so(rig: Rig) -> None:
    first, _ = sharing(rig)
    (sent,) = first.bots()
    rig.sandbox.cancel(first.event)
    first.sync()
    first.recall()
    assert last_of(rig, sent.id, 2) == [
        ("handed_over", "dispatched", "service", None),
        ("rescheduled", "dispatched", "service", None),
    ]


def test_a_meeting_that_shares_a_bot_no_longer_says_so(rig: Rig) -> None:
    _, other = sharing(rig)
    (own,) = other.bots()
    rig.sandbox.cancel(other.event)
    other.sync()
    other.reconcile()
    assert last_of(rig, own.id, 1) == [("sharing_ended", "cancelled", "service", "cancelled")]
