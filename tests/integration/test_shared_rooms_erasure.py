"""Erasing one of two users whose meetings share a bot leaves the other's."""

from __future__ import annotations

import pytest

from meetbot.storage.rooms import claimants_by_bot
from meetbot.storage.tables import Bot
from meetbot.temporal.messages import StepKind
from tests.integration.erasing import begin, erase, withdraw
from tests.integration.rooms import ROOM, Booking, book, live_jobs
from tests.rig import Rig

pytestmark = pytest.mark.stack


def sharing(rig: Rig) -> tuple[Booking, Booking]:
    first, other = book(rig, "ada", room=f"{ROOM}?pwd=Ab1cD2efGh3iJ4klMn5oP6qrSt7uV8.1"), book(rig, "grace", starts=75)
    first.dispatch()
    other.dispatch()
    return first, other


def the_live_bot(rig: Rig) -> tuple[Bot, list[str]]:
    (bot,) = [bot for bot in rig.bots() if bot.state != "cancelled"]
    with rig.read() as session:
        return bot, claimants_by_bot(session, rig.tenant_id, [bot])[bot.id]


@pytest.mark.parametrize("is_late", [False, True], ids=["at once", "after the rows are gone"])
def test_erasing_the_user_whose_bot_it_was_leaves_it_to_the_other(rig: Rig, is_late: bool) -> None:
    first, other = sharing(rig)
    if is_late:
        erase(rig, first.user)
        first.recall()
    else:
        withdraw(rig, begin(rig, first.user))
        first.recall()
    bot, claims = the_live_bot(rig)
    assert (bot.meeting_key, bot.meeting_url, claims) == (other.key, ROOM, [other.user])
    assert len(live_jobs(rig)) == 1


def test_erasing_the_user_who_shared_the_bot_leaves_it_where_it_is(rig: Rig) -> None:
    first, other = sharing(rig)
    erase(rig, other.user)
    other.reconcile()
    bot, claims = the_live_bot(rig)
    assert (bot.meeting_key, claims) == (first.key, [first.user])
    assert first.reconcile().kind is StepKind.FOLLOW
    assert len(live_jobs(rig)) == 1
