"""Invitations with any UID: no copy moves, re-links or recalls another's bot."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from meetbot.domain.event import Provider
from meetbot.storage.bots import claimants
from meetbot.storage.tables import Bot, CalendarUser, Meeting
from meetbot.temporal.messages import NextStep, StepKind
from tests.integration.meetings import dispatch
from tests.rig import Rig

pytestmark = pytest.mark.stack

OTHER = {Provider.GOOGLE: Provider.MICROSOFT, Provider.MICROSOFT: Provider.GOOGLE}
UID = "7kukuqrfedlm2f9t0f3i5sm2gc@google.com"
STRANGER = {"email": "mallory@evil.test"}
ATTACKS: dict[str, dict[str, Any]] = {
    "another link": {"platform": "zoom"},
    "another time": {"starts_in_minutes": 660},
    "both": {"platform": "zoom", "starts_in_minutes": 660},
}


class Attack:
    """A meeting that ada's calendar leads, and a stranger's invitation with its UID on bob's."""

    def __init__(self, rig: Rig, provider: Provider) -> None:
        self.rig, self.provider = rig, provider
        self.ada = rig.sandbox.account("ada@acme.test", provider)
        self.bob = rig.sandbox.account("bob@acme.test", provider)
        self.first, self.second = rig.connect(self.ada, provider), rig.connect(self.bob, provider)

    def honest(self, **fields: Any) -> dict[str, Any]:
        return self.rig.sandbox.event(self.ada, uid=UID, meeting_url="https://meet.google.com/abc-defg-hij", **fields)

    def hostile(self, *, answer: str = "accepted", **fields: Any) -> dict[str, Any]:
        organizer = STRANGER | {"provider": self.provider}
        return self.rig.sandbox.event(self.bob, uid=UID, organizer=organizer, answer=answer, **fields)


def sent(rig: Rig, user: str) -> tuple[str, NextStep]:
    key, step = waiting(rig, user)
    dispatch(rig, key, step)
    return key, rig.bot_activities.reconcile(rig.ref(key))


def waiting(rig: Rig, user: str) -> tuple[str, NextStep]:
    (entry,) = rig.planned(user)
    return entry.meeting_key, rig.bot_activities.reconcile(rig.ref(entry.meeting_key))


def place(bot: Bot) -> tuple[object, ...]:
    return bot.id, bot.state, bot.join_at, bot.meeting_url


@pytest.mark.parametrize("provider", list(Provider))
@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("age", ["newer", "older"])
@pytest.mark.parametrize("answer", ["accepted", "needsAction"])
@pytest.mark.parametrize("when", ["before dispatch", "after dispatch"])
def test_a_strangers_copy_is_a_meeting_of_its_own(
    rig: Rig, provider: Provider, attack: str, age: str, answer: str, when: str
) -> None:
    meeting = Attack(rig, provider)
    if age == "older":
        meeting.hostile(answer=answer, **ATTACKS[attack])
    meeting.honest()
    key, _ = (sent if when == "after dispatch" else waiting)(rig, meeting.first)
    (before,) = rig.bots()
    if age == "newer":
        meeting.hostile(answer=answer, **ATTACKS[attack])

    (theirs,) = rig.planned(meeting.second)
    own = rig.bot_activities.reconcile(rig.ref(theirs.meeting_key))
    after = rig.bot_activities.reconcile(rig.ref(key))

    assert theirs.meeting_key != key
    assert (own.kind, own.join_at) == (StepKind.WAIT, theirs.join_at)
    assert after.kind is (StepKind.FOLLOW if when == "after dispatch" else StepKind.WAIT)
    assert place(rig.bots()[0]) == place(before)


@pytest.mark.parametrize("provider", list(Provider))
def test_an_honest_move_that_a_colleague_sees_first_moves_the_one_bot(rig: Rig, provider: Provider) -> None:
    olga = rig.sandbox.account("olga@partner.test", provider)
    meeting = Attack(rig, provider)
    event = rig.sandbox.event(olga, attendees=[meeting.ada, meeting.bob])
    key, step = waiting(rig, meeting.first)
    rig.sync(meeting.second)
    rig.bot_activities.reconcile(rig.ref(key))
    rig.sandbox.change(event, shift_minutes=45)

    (theirs,) = rig.planned(meeting.second)
    moved = rig.bot_activities.reconcile(rig.ref(key))

    assert theirs.meeting_key == key
    assert step.join_at is not None
    assert moved.join_at == step.join_at + timedelta(minutes=45)
    assert len(rig.bots()) == 1


@pytest.mark.parametrize("provider", list(Provider))
def test_with_the_leaders_provider_down_both_times_have_a_bot(rig: Rig, provider: Provider) -> None:
    olga = rig.sandbox.account("olga@partner.test", Provider.MICROSOFT)
    ada, bob = rig.sandbox.account("ada@acme.test", provider), rig.sandbox.account("bob@acme.test", OTHER[provider])
    first, second = rig.connect(ada, provider), rig.connect(bob, OTHER[provider])
    event = rig.sandbox.event(olga, attendees=[ada, bob])
    key, step = waiting(rig, first)
    rig.sync(second)
    rig.sandbox.fault(path="/google/calendar" if provider is Provider.GOOGLE else "/microsoft/v1.0", status=503)
    rig.sandbox.change(event, shift_minutes=45)

    own_key, own = waiting(rig, second)
    again = rig.bot_activities.reconcile(rig.ref(key))

    assert step.join_at is not None
    assert (again.kind, again.join_at) == (StepKind.WAIT, step.join_at)
    assert (own_key != key, own.join_at) == (True, step.join_at + timedelta(minutes=45))


@pytest.mark.parametrize("provider", list(Provider))
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_copy_that_first_agreed_leaves_alone(rig: Rig, provider: Provider, attack: str) -> None:
    meeting = Attack(rig, provider)
    meeting.honest()
    key, step = waiting(rig, meeting.first)
    (honest,) = rig.events(meeting.first)
    copy = meeting.hostile(start=str(honest.start_at), meeting_url=honest.meeting_url)
    (theirs,) = rig.planned(meeting.second)
    assert theirs.meeting_key == key
    rig.bot_activities.reconcile(rig.ref(key))
    change = {"platform": "zoom"} if attack != "another time" else {}
    rig.sandbox.change(copy, **change, **({"shift_minutes": 600} if attack != "another link" else {}))

    own_key, _ = waiting(rig, meeting.second)
    again = rig.bot_activities.reconcile(rig.ref(key))

    assert own_key != key
    assert (again.kind, again.join_at) == (StepKind.WAIT, step.join_at)
    assert {bot.meeting_key for bot in rig.bots()} == {key, own_key}
    with rig.read() as session:
        assert claimants(session, rig.tenant_id, key) == [meeting.first]


def test_a_colleague_whose_copy_is_old_is_synced_once_the_leader_moves(rig: Rig) -> None:
    meeting = Attack(rig, Provider.GOOGLE)
    event = meeting.honest(attendees=[meeting.bob])
    key, step = waiting(rig, meeting.first)
    rig.sync(meeting.second)
    rig.sandbox.change(event, shift_minutes=45)
    rig.sync(meeting.first)

    moved = rig.bot_activities.reconcile(rig.ref(key))
    rig.sync(meeting.second)
    settled = rig.bot_activities.reconcile(rig.ref(key))

    assert step.join_at is not None
    assert (moved.join_at, moved.to_sync) == (step.join_at + timedelta(minutes=45), (meeting.second,))
    assert (settled.join_at, settled.to_sync) == (moved.join_at, ())
    assert len(rig.bots()) == 1


def test_a_copy_that_stays_behind_when_the_leader_moves_has_its_own_bot(rig: Rig) -> None:
    meeting = Attack(rig, Provider.GOOGLE)
    event = meeting.honest()
    key, step = waiting(rig, meeting.first)
    (honest,) = rig.events(meeting.first)
    meeting.hostile(start=str(honest.start_at), meeting_url=honest.meeting_url)
    rig.sync(meeting.second)
    rig.sandbox.change(event, shift_minutes=45)
    rig.sync(meeting.first)
    moved = rig.bot_activities.reconcile(rig.ref(key))

    own_key, own = waiting(rig, meeting.second)

    assert moved.to_sync == (meeting.second,)
    assert (own_key != key, own.join_at) == (True, step.join_at)


def test_a_copy_of_its_own_rejoins_once_it_agrees_again(rig: Rig) -> None:
    meeting = Attack(rig, Provider.GOOGLE)
    event = meeting.honest()
    key, _ = waiting(rig, meeting.first)
    meeting.hostile(meeting_url="https://meet.google.com/abc-defg-hij", starts_in_minutes=105)
    own_key, own = waiting(rig, meeting.second)
    assert own.join_at is not None
    rig.sandbox.change(event, start=own.join_at.isoformat(), end=(own.join_at + timedelta(minutes=30)).isoformat())
    rig.sync(meeting.first)
    moved = rig.bot_activities.reconcile(rig.ref(key))

    (theirs,) = rig.planned(meeting.second)

    assert moved.to_sync == (meeting.second,)
    assert (own_key != key, theirs.meeting_key) == (True, key)
    assert rig.bot_activities.reconcile(rig.ref(own_key)).kind is StepKind.CLOSE
    assert rig.bot_activities.reconcile(rig.ref(key)).to_sync == ()
    assert sorted(bot.state for bot in rig.bots()) == ["cancelled", "scheduled"]


@pytest.mark.parametrize("how", ["declines", "disconnects"])
def test_a_leader_who_leaves_hands_over_to_one_who_agrees(rig: Rig, how: str) -> None:
    olga = rig.sandbox.account("olga@partner.test")
    meeting = Attack(rig, Provider.GOOGLE)
    event = rig.sandbox.event(olga, attendees=[meeting.ada, meeting.bob])
    key, step = waiting(rig, meeting.first)
    rig.sync(meeting.second)
    if how == "declines":
        rig.sandbox.respond(event, meeting.ada, "declined")
    else:
        with rig.database.transaction(rig.tenant_id) as session:
            session.get_one(CalendarUser, (rig.tenant_id, meeting.first)).state = "disconnecting"
    rig.sync(meeting.first)

    again = rig.bot_activities.reconcile(rig.ref(key))

    assert (again.kind, again.bot_id, again.join_at) == (StepKind.WAIT, step.bot_id, step.join_at)
    with rig.read() as session:
        assert session.get_one(Meeting, (rig.tenant_id, key)).leader_calendar_user_id == meeting.second


@pytest.mark.parametrize("provider", list(Provider))
def test_an_organizer_connected_later_leads_from_then_on(rig: Rig, provider: Provider) -> None:
    meeting = Attack(rig, provider)
    olga = rig.sandbox.account("olga@acme.test", provider)
    event = rig.sandbox.event(olga, attendees=[meeting.ada])
    key, step = waiting(rig, meeting.first)
    third = rig.connect(olga, provider)
    rig.sync(third)
    rig.bot_activities.reconcile(rig.ref(key))
    rig.sandbox.change(event, shift_minutes=45)
    rig.sync(third)

    moved = rig.bot_activities.reconcile(rig.ref(key))

    assert step.join_at is not None
    assert (moved.join_at, moved.to_sync) == (step.join_at + timedelta(minutes=45), (meeting.first,))


@pytest.mark.parametrize("provider", list(Provider))
def test_a_copy_that_calls_its_owner_the_organizer_proves_nothing(rig: Rig, provider: Provider) -> None:
    meeting = Attack(rig, provider)
    meeting.honest()
    key, step = waiting(rig, meeting.first)
    rig.sandbox.event(meeting.bob, uid=UID, platform="zoom", starts_in_minutes=660)

    own_key, _ = waiting(rig, meeting.second)
    again = rig.bot_activities.reconcile(rig.ref(key))

    assert (own_key != key, again.join_at, again.bot_id) == (True, step.join_at, step.bot_id)
