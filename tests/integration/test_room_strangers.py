"""A stranger books the room of a meeting, and changes his mind.

At worst a bot stays that would have gone: none is missing, moved or recalled because of him.
"""

from __future__ import annotations

from typing import Any

import pytest

from meetbot.domain.event import Provider
from meetbot.temporal.messages import DispatchOutcome, StepKind
from tests.integration.attacks import place
from tests.integration.meetings import BOTH
from tests.integration.rooms import ROOM, Booking, book, live_jobs, reported
from tests.rig import Rig

pytestmark = pytest.mark.stack

_LATER: dict[str, dict[str, Any]] = {
    "moved": {"shift_minutes": 600},
    "moved a little": {"shift_minutes": 5},
    "in another room": {"meeting_url": "https://us06web.zoom.us/j/89876543210"},
    "without a link": {"meeting_url": ""},
    "cut short": {"duration_minutes": 1},
}


def strangers(rig: Rig, provider: Provider, **fields: Any) -> Booking:
    """The stranger's long meeting in the room, on a colleague's calendar."""
    mallory = {"email": "mallory@evil.test", "provider": provider}
    return book(rig, "bob", provider, organizer=mallory, answer="needsAction", **{"duration_minutes": 600} | fields)


@BOTH
@pytest.mark.parametrize("change", _LATER)
def test_a_stranger_whose_bot_is_shared_cannot_take_it_away(rig: Rig, provider: Provider, change: str) -> None:
    hostile, honest = strangers(rig, provider, starts=30), book(rig, "ada", provider, starts=60)
    assert hostile.dispatch().outcome is DispatchOutcome.DISPATCHED
    honest.dispatch()
    rig.sandbox.change(hostile.event, **_LATER[change])
    hostile.sync()
    for _ in range(2):
        if hostile.reconcile().kind is StepKind.RECALL:
            hostile.recall()
    assert honest.reconcile().kind is StepKind.FOLLOW
    assert len([job for job in live_jobs(rig) if job["meetingUrl"] == ROOM]) == 1


@pytest.mark.parametrize("change", ["cancelled", *_LATER])
def test_a_stranger_who_books_the_room_changes_nothing_about_the_bot_in_it(rig: Rig, change: str) -> None:
    honest = book(rig, "ada")
    honest.dispatch()
    ((before,), (job,)) = honest.bots(), rig.sandbox.jobs()
    hostile = strangers(rig, Provider.GOOGLE, starts=50)
    assert hostile.dispatch().outcome is DispatchOutcome.CHANGED
    if change == "cancelled":
        rig.sandbox.cancel(hostile.event)
    else:
        rig.sandbox.change(hostile.event, **_LATER[change])
    hostile.sync()
    hostile.reconcile()
    assert honest.reconcile().kind is StepKind.FOLLOW
    assert place(honest.bots()[0]) == place(before)
    assert job["id"] in [live["id"] for live in live_jobs(rig)]


def test_a_meeting_in_a_strangers_room_still_goes_when_his_bot_gives_up(rig: Rig) -> None:
    hostile, honest = strangers(rig, Provider.GOOGLE, starts=30), book(rig, "ada", starts=60)
    hostile.dispatch()
    honest.dispatch()
    (job,) = rig.sandbox.jobs()
    reported(rig, job, "failed", "job.failed", failureCode="waiting_for_host")
    assert hostile.reconcile().to_wake == (honest.key,)
    assert honest.dispatch().outcome is DispatchOutcome.DISPATCHED


def test_a_strangers_bot_that_is_not_in_the_room_keeps_none_away(rig: Rig) -> None:
    strangers(rig, Provider.GOOGLE, starts=30)
    honest = book(rig, "ada", starts=60)
    assert honest.dispatch().outcome is DispatchOutcome.DISPATCHED
    (bot,) = honest.bots()
    assert (bot.outcome, bot.shared_bot_id) == (None, None)
