"""Invitations with any UID: no copy moves, re-links or recalls another's bot."""

from __future__ import annotations

from datetime import timedelta

import pytest

from meetbot.domain.event import Provider
from meetbot.storage.rooms import claimants_by_bot
from meetbot.temporal.messages import StepKind
from tests.integration.attacks import ATTACKS, BOT_IS, CHANGES, LINK, OTHER, WHEN, Attack, place, waiting
from tests.rig import Rig

pytestmark = pytest.mark.stack


@pytest.mark.parametrize("provider", list(Provider))
@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("age", ["newer", "older"])
@pytest.mark.parametrize("answer", ["accepted", "needsAction"])
@pytest.mark.parametrize("when", WHEN)
def test_a_strangers_copy_is_a_meeting_of_its_own(
    rig: Rig, provider: Provider, attack: str, age: str, answer: str, when: str
) -> None:
    meeting = Attack(rig, provider)
    if age == "older":
        meeting.hostile(answer=answer, **ATTACKS[attack])
    meeting.honest()
    key, _ = WHEN[when](rig, meeting.first)
    (before,) = rig.bots()
    if age == "newer":
        meeting.hostile(answer=answer, **ATTACKS[attack])

    (theirs,) = rig.planned(meeting.second)
    own = rig.bot_activities.reconcile(rig.ref(theirs.meeting_key))
    after = rig.bot_activities.reconcile(rig.ref(key))

    assert theirs.meeting_key != key
    assert (own.kind, own.join_at) == (StepKind.WAIT, theirs.join_at)
    assert after.kind is BOT_IS[when]
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
@pytest.mark.parametrize("attack", CHANGES)
@pytest.mark.parametrize("answer", ["accepted", "needsAction"])
@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("first", ["the stranger's copy first", "the stranger's copy second"])
def test_a_copy_that_first_agreed_leaves_alone(
    rig: Rig, provider: Provider, attack: str, answer: str, when: str, first: str
) -> None:
    meeting = Attack(rig, provider)
    organizer = {"email": "olga@partner.test", "provider": provider}
    if first == "the stranger's copy first":
        copy = meeting.hostile(answer=answer, meeting_url=LINK)
        key, _ = waiting(rig, meeting.second)
        (theirs,) = rig.events(meeting.second)
        meeting.honest(organizer=organizer, answer="accepted", start=str(theirs.start_at))
        WHEN[when](rig, meeting.first)
    else:
        meeting.honest(organizer=organizer, answer="accepted")
        key, _ = waiting(rig, meeting.first)
        copy = meeting.hostile_like(*rig.events(meeting.first), answer=answer)
        WHEN[when](rig, meeting.second)
    (before,) = rig.bots()
    rig.sandbox.change(copy, **CHANGES[attack])

    own_key, own = waiting(rig, meeting.second)
    again = rig.bot_activities.reconcile(rig.ref(key))
    rig.sync(meeting.first)

    assert (own_key != key, own.kind) == (True, StepKind.WAIT)
    assert (again.kind, again.to_sync) == (BOT_IS[when], ())
    assert place(rig.bots()[0]) == place(before)
    with rig.read() as session:
        assert claimants_by_bot(session, rig.tenant_id, [before]) == {before.id: [meeting.first]}


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
