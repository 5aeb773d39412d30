"""Cases 23 to 26, 32, 33, 45, 48, 50 and 51: one meeting through its changes.

The numbers are those of docs/calendar-cases.md.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from meetbot.domain.event import Provider
from meetbot.domain.plan import PlanEntry
from meetbot.storage.tables import CalendarEvent
from tests.integration.meetings import BOTH
from tests.rig import Rig

pytestmark = pytest.mark.stack

ADA = "ada@acme.test"
ZOOM = "https://us02web.zoom.us/j/81234567890"


def connected(rig: Rig, provider: Provider = Provider.GOOGLE) -> str:
    return rig.connect(rig.sandbox.account(ADA, provider), provider)


def only(rig: Rig, user: str) -> PlanEntry:
    (entry,) = rig.planned(user)
    return entry


def synced(rig: Rig, user: str) -> list[CalendarEvent]:
    rig.sync(user)
    return rig.events(user)


def live_bots(rig: Rig) -> int:
    return sum(bot.state not in ("cancelled", "missed", "failed") for bot in rig.bots())


@BOTH
def test_case_23_a_cancelled_meeting_that_is_restored_has_its_bot_again(rig: Rig, provider: Provider) -> None:
    user = connected(rig, provider)
    event = rig.sandbox.event(ADA)
    key = only(rig, user).meeting_key
    rig.sandbox.cancel(event)
    assert rig.planned(user) == ()
    rig.sandbox.restore(event)
    assert only(rig, user).meeting_key == key


@BOTH
def test_case_24_an_event_moved_to_another_calendar_of_the_user_is_one_meeting_throughout(
    rig: Rig, provider: Provider
) -> None:
    rig.sandbox.account(ADA, provider)
    second = rig.sandbox.post(f"/control/accounts/{ADA}/calendars", {"name": "Second"})
    user = rig.connect(ADA, provider)
    event = rig.sandbox.event(ADA)
    key = only(rig, user).meeting_key
    rig.bot_activities.reconcile(rig.ref(key))
    rig.sandbox.post(f"/control/events/{event['key']}/move", {"email": ADA, "calendar_id": second["id"]})
    assert only(rig, user).meeting_key == key
    rig.bot_activities.reconcile(rig.ref(key))
    assert live_bots(rig) == 1


@BOTH
def test_case_26_an_all_day_event_with_a_link_is_not_recorded(rig: Rig, provider: Provider) -> None:
    user = connected(rig, provider)
    rig.sandbox.event(ADA, all_day=True, description=ZOOM)
    assert rig.planned(user) == ()
    (event,) = rig.events(user)
    assert (event.outcome, event.reason) == ("skip", "all_day")


def test_case_32_the_time_of_a_sync_is_that_of_its_beginning(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    user = connected(rig)
    provider = rig.services.providers[Provider.GOOGLE]
    list_events = provider.list_events
    began = rig.clock()

    def slow(token: str, **query: Any) -> Any:
        rig.clock.offset += timedelta(minutes=2)
        return list_events(token, **query)

    monkeypatch.setattr(provider, "list_events", slow)
    rig.sync(user)
    synced = rig.calendar_user(user).last_synced_at
    assert synced is not None
    assert synced - began < timedelta(minutes=1)


@BOTH
def test_case_33_a_bot_follows_the_owners_own_response(rig: Rig, provider: Provider) -> None:
    user = connected(rig, provider)
    rig.sandbox.account("boss@acme.test")
    event = rig.sandbox.event("boss@acme.test", attendees=[ADA])
    for answer, bots in (("declined", 0), ("accepted", 1), ("declined", 0), ("accepted", 1)):
        rig.sandbox.respond(event, ADA, answer)
        assert len(rig.planned(user)) == bots


@BOTH
def test_case_45_a_link_that_comes_later_brings_the_bot(rig: Rig, provider: Provider) -> None:
    user = connected(rig, provider)
    platform = "google_meet" if provider is Provider.GOOGLE else "microsoft_teams"
    event = rig.sandbox.event(ADA, platform=platform, link_pending=True)
    assert rig.planned(user) == ()
    rig.sandbox.change(event, link_pending=False)
    assert only(rig, user).meeting_key


@BOTH
def test_case_48_a_link_that_changes_moves_the_one_bot(rig: Rig, provider: Provider) -> None:
    user = connected(rig, provider)
    event = rig.sandbox.event(ADA, platform=None, meeting_url=f"{ZOOM}?pwd=first")
    first = only(rig, user)
    rig.sandbox.change(event, meeting_url=f"{ZOOM}?pwd=second")
    second = only(rig, user)
    rig.sandbox.change(event, meeting_url="https://us02web.zoom.us/j/89999999999")
    third = only(rig, user)
    assert first.meeting_key == second.meeting_key == third.meeting_key
    assert len({first.target_digest, second.target_digest, third.target_digest}) == 3
    rig.sandbox.change(event, meeting_url=None)
    assert rig.planned(user) == ()


@BOTH
def test_case_50_back_to_back_meetings_in_one_room_are_two(rig: Rig, provider: Provider) -> None:
    user = connected(rig, provider)
    for minutes in (60, 90):
        rig.sandbox.event(ADA, platform=None, meeting_url=ZOOM, starts_in_minutes=minutes, duration_minutes=30)
    assert len({entry.meeting_key for entry in rig.planned(user)}) == 2


@BOTH
def test_case_51_an_event_on_two_calendars_of_one_user_is_one_meeting(rig: Rig, provider: Provider) -> None:
    rig.sandbox.account(ADA, provider)
    second = rig.sandbox.post(f"/control/accounts/{ADA}/calendars", {"name": "Second"})
    user = rig.connect(ADA, provider)
    uid = "040000008200E00074C5B7101A82E00800000000" + "11" * 36 if provider is Provider.MICROSOFT else "one@google.com"
    start = (rig.clock() + timedelta(hours=1)).isoformat()
    copies = [
        rig.sandbox.event(ADA, uid=uid, start=start, starts_in_minutes=None, platform=None, meeting_url=ZOOM, **where)
        for where in ({}, {"calendar_id": second["id"]})
    ]
    assert len([event for event in synced(rig, user) if not event.deleted]) == 2
    key = only(rig, user).meeting_key
    rig.sandbox.cancel(copies[0])
    assert only(rig, user).meeting_key == key
    rig.sandbox.cancel(copies[1])
    assert rig.planned(user) == ()
