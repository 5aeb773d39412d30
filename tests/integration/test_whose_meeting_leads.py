"""Who leads a meeting: honest moves, leaders that leave, and strangers that pretend."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from meetbot.domain.event import Provider
from meetbot.storage.bots import lock_meeting
from meetbot.storage.overrides import set_override
from meetbot.storage.tables import CalendarUser, Meeting
from meetbot.temporal.messages import StepKind
from tests.integration.attacks import ATTACKS, BOT_IS, LINK, OTHER, UID, WHEN, Attack, place, sent, waiting
from tests.integration.meetings import BOTH
from tests.rig import Rig

pytestmark = pytest.mark.stack

EITHER_TIME = pytest.mark.parametrize("when", WHEN)
OLGA = "olga@partner.test"
LATER = timedelta(minutes=45)


def shared(rig: Rig, provider: Provider, when: str) -> tuple[Attack, dict[str, Any], str]:
    """A meeting of ada and bob whose organiser is not connected. Ada leads."""
    olga = rig.sandbox.account(OLGA, provider)
    meeting = Attack(rig, provider)
    event = rig.sandbox.event(olga, attendees=[meeting.ada, meeting.bob])
    key, _ = WHEN[when](rig, meeting.first)
    rig.sync(meeting.second)
    assert rig.bot_activities.reconcile(rig.ref(key)).kind is BOT_IS[when]
    return meeting, event, key


def agreeing(rig: Rig, provider: Provider) -> tuple[Attack, str, dict[str, Any]]:
    """An honest meeting with a bot that waits, and a stranger's copy that still agrees with it."""
    meeting = Attack(rig, provider)
    meeting.honest()
    key, _ = waiting(rig, meeting.first)
    copy = meeting.hostile_like(*rig.events(meeting.first))
    rig.sync(meeting.second)
    return meeting, key, copy


@BOTH
@EITHER_TIME
@pytest.mark.parametrize("seen_by", ["the leader", "a colleague"])
def test_an_honest_move_moves_the_one_bot_whoever_sees_it_first(
    rig: Rig, provider: Provider, when: str, seen_by: str
) -> None:
    meeting, event, key = shared(rig, provider, when)
    (before,) = rig.bots()
    rig.sandbox.change(event, shift_minutes=45)

    sees_it, other = (meeting.first, meeting.second) if seen_by == "the leader" else (meeting.second, meeting.first)
    result = rig.sync(sees_it)
    moved = rig.bot_activities.reconcile(rig.ref(key))

    assert result.to_sync == (other,)
    if when == "after dispatch":
        assert moved.kind is StepKind.RECALL
        moved = rig.recall_activity.recall(rig.ref(key))
    assert (moved.kind, moved.join_at, moved.to_sync) == (StepKind.WAIT, before.join_at + LATER, ())
    assert [entry.meeting_key for entry in (*rig.planned(meeting.first), *rig.planned(meeting.second))] == [key, key]
    assert len(rig.bots()) == 1


@BOTH
def test_with_the_leaders_provider_down_the_bot_in_the_call_stays(rig: Rig, provider: Provider) -> None:
    olga = rig.sandbox.account(OLGA, Provider.MICROSOFT)
    ada, bob = rig.sandbox.account("ada@acme.test", provider), rig.sandbox.account("bob@acme.test", OTHER[provider])
    first, second = rig.connect(ada, provider), rig.connect(bob, OTHER[provider])
    event = rig.sandbox.event(olga, attendees=[ada, bob])
    key, _ = sent(rig, first)
    rig.sync(second)
    rig.bot_activities.reconcile(rig.ref(key))
    (before,) = rig.bots()
    rig.sandbox.fault(path="/google/calendar" if provider is Provider.GOOGLE else "/microsoft/v1.0", status=503)
    rig.sandbox.change(event, shift_minutes=45)

    own_key, own = waiting(rig, second)
    again = rig.bot_activities.reconcile(rig.ref(key))

    assert again.kind is StepKind.FOLLOW
    assert place(rig.bots()[0]) == place(before)
    assert (own_key != key, own.join_at) == (True, before.join_at + LATER)


@BOTH
@EITHER_TIME
@pytest.mark.parametrize("how", ["declines", "disconnects"])
def test_a_leader_who_leaves_hands_over_to_one_who_agrees(rig: Rig, provider: Provider, when: str, how: str) -> None:
    meeting, event, key = shared(rig, provider, when)
    (before,) = rig.bots()
    if how == "declines":
        rig.sandbox.respond(event, meeting.ada, "declined")
    else:
        with rig.database.transaction(rig.tenant_id) as session:
            session.get_one(CalendarUser, (rig.tenant_id, meeting.first)).state = "disconnecting"
    rig.sync(meeting.first)

    again = rig.bot_activities.reconcile(rig.ref(key))

    assert (again.kind, again.bot_id) == (BOT_IS[when], before.id)
    assert place(rig.bots()[0]) == place(before)
    with rig.read() as session:
        assert session.get_one(Meeting, (rig.tenant_id, key)).leader_calendar_user_id == meeting.second


@BOTH
@EITHER_TIME
def test_an_organizer_connected_later_leads_from_then_on(rig: Rig, provider: Provider, when: str) -> None:
    meeting, event, key = shared(rig, provider, when)
    third = rig.connect(OLGA, provider)
    rig.sync(third)
    rig.bot_activities.reconcile(rig.ref(key))
    rig.sandbox.change(event, shift_minutes=45)
    rig.sync(third)

    moved = rig.bot_activities.reconcile(rig.ref(key))

    assert moved.kind is (StepKind.RECALL if when == "after dispatch" else StepKind.WAIT)
    assert moved.to_sync == tuple(sorted([meeting.first, meeting.second]))
    with rig.read() as session:
        assert session.get_one(Meeting, (rig.tenant_id, key)).leader_calendar_user_id == third


@BOTH
@EITHER_TIME
@pytest.mark.parametrize("pretence", ["the honest organizer's name", "the owner is the organizer", "a second copy"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_what_a_strangers_copy_says_of_itself_proves_nothing(
    rig: Rig, provider: Provider, when: str, pretence: str, attack: str
) -> None:
    meeting = Attack(rig, provider)
    meeting.honest(organizer={"email": OLGA, "provider": provider}, answer="accepted")
    key, _ = WHEN[when](rig, meeting.first)
    (before,) = rig.bots()
    attacked = meeting.second
    if pretence == "the honest organizer's name":
        meeting.hostile(email=OLGA, **ATTACKS[attack])
    elif pretence == "the owner is the organizer":
        rig.sandbox.event(meeting.bob, uid=UID, **ATTACKS[attack])
    else:
        attacked = meeting.first
        rig.sandbox.event(
            meeting.ada, uid=UID, organizer={"email": OLGA, "provider": provider}, answer="accepted", **ATTACKS[attack]
        )

    own = [entry for entry in rig.planned(attacked) if entry.meeting_key != key]
    again = rig.bot_activities.reconcile(rig.ref(key))

    assert len(own) == 1
    assert again.kind is BOT_IS[when]
    assert place(rig.bots()[0]) == place(before)


@BOTH
@EITHER_TIME
def test_a_strangers_copy_with_a_later_end_prolongs_nothing(rig: Rig, provider: Provider, when: str) -> None:
    meeting = Attack(rig, provider)
    meeting.honest()
    key, _ = WHEN[when](rig, meeting.first)
    (before,) = rig.bots()
    meeting.hostile_like(*rig.events(meeting.first), duration_minutes=600)

    (theirs,) = rig.planned(meeting.second)
    rig.bot_activities.reconcile(rig.ref(key))

    assert theirs.meeting_key == key
    assert (place(rig.bots()[0]), rig.bots()[0].end_at) == (place(before), before.end_at)


@BOTH
def test_a_strangers_series_is_occurrence_by_occurrence_of_its_own(rig: Rig, provider: Provider) -> None:
    meeting = Attack(rig, provider)
    meeting.honest(recurrence=["RRULE:FREQ=DAILY;COUNT=4"])
    honest = {entry.meeting_key for entry in rig.planned(meeting.first)}
    start = str(rig.events(meeting.first)[0].start_at)

    meeting.hostile(start=start, platform="zoom", recurrence=["RRULE:FREQ=DAILY;COUNT=4"])
    theirs = {entry.meeting_key for entry in rig.planned(meeting.second)}

    assert len(theirs) == len(honest)
    assert theirs.isdisjoint(honest)


@BOTH
def test_a_copy_whose_own_bot_was_sent_stays_out(rig: Rig, provider: Provider) -> None:
    meeting = Attack(rig, provider)
    event = meeting.honest(starts_in_minutes=105)
    key, _ = waiting(rig, meeting.first)
    meeting.hostile(meeting_url=LINK)
    own_key, own = sent(rig, meeting.second)
    assert own.join_at is not None
    rig.sandbox.change(event, start=own.join_at.isoformat(), end=(own.join_at + timedelta(minutes=30)).isoformat())
    rig.sync(meeting.first)

    moved = rig.bot_activities.reconcile(rig.ref(key))
    (theirs,) = rig.planned(meeting.second)

    assert (moved.join_at, moved.to_sync) == (own.join_at, ())
    assert theirs.meeting_key == own_key != key
    assert rig.bot_activities.reconcile(rig.ref(own_key)).kind is StepKind.FOLLOW


@BOTH
def test_an_override_speaks_for_a_copy_that_splits_and_rejoins(rig: Rig, provider: Provider) -> None:
    meeting, key, copy = agreeing(rig, provider)
    with rig.database.transaction(rig.tenant_id) as session:
        set_override(
            session, rig.events(meeting.second)[0], scope="occurrence", recording="skip", set_by="bob", now=rig.clock()
        )
    rig.sandbox.change(copy, platform="zoom")

    assert rig.planned(meeting.second) == ()
    rig.sandbox.change(copy, meeting_url=LINK)
    assert rig.planned(meeting.second) == ()
    assert [entry.meeting_key for entry in rig.planned(meeting.first)] == [key]


@BOTH
def test_a_bot_cancelled_by_hand_stays_so_for_a_copy_that_leaves(rig: Rig, provider: Provider) -> None:
    meeting, key, copy = agreeing(rig, provider)
    with rig.database.transaction(rig.tenant_id) as session:
        lock_meeting(session, rig.tenant_id, key).suppressed_at = rig.clock()
    rig.bot_activities.reconcile(rig.ref(key))
    rig.sandbox.change(copy, platform="zoom")

    own_key, own = waiting(rig, meeting.second)

    assert (own_key != key, own.kind) == (True, StepKind.CLOSE)


@BOTH
def test_a_strangers_series_suppresses_nobody_elses_meeting(rig: Rig, provider: Provider) -> None:
    meeting = Attack(rig, provider)
    meeting.honest(recurrence=["RRULE:FREQ=DAILY;COUNT=1"])
    key, _ = waiting(rig, meeting.first)
    (honest,) = rig.events(meeting.first)
    decoy = meeting.hostile(platform="zoom", recurrence=["RRULE:FREQ=DAILY;COUNT=1"], starts_in_minutes=90)
    (theirs,) = rig.planned(meeting.second)
    assert theirs.meeting_key != key
    with rig.database.transaction(rig.tenant_id) as session:
        lock_meeting(session, rig.tenant_id, theirs.meeting_key).suppressed_at = rig.clock()
    rig.sandbox.change(decoy, start=str(honest.start_at), meeting_url=honest.meeting_url)

    (moved,) = rig.planned(meeting.second)

    assert moved.meeting_key == key
    with rig.read() as session:
        assert session.get_one(Meeting, (rig.tenant_id, key)).suppressed_at is None


@BOTH
def test_a_stranger_who_led_first_ends_the_meeting_for_himself_only(rig: Rig, provider: Provider) -> None:
    meeting = Attack(rig, provider)
    copy = meeting.hostile(meeting_url=LINK)
    rig.sync(meeting.second)
    (theirs,) = rig.events(meeting.second)
    meeting.honest(start=str(theirs.start_at))
    key, _ = sent(rig, meeting.first)
    (before,) = rig.bots()
    rig.sandbox.change(copy, duration_minutes=1)
    rig.sync(meeting.second)
    rig.clock.sleep_until(before.join_at + timedelta(minutes=3))

    again = rig.bot_activities.reconcile(rig.ref(key))

    assert again.kind is StepKind.FOLLOW
    assert place(rig.bots()[0]) == place(before)
