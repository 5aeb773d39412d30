"""What a sync keeps of events that are no longer listed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from meetbot.domain.event import Provider
from tests.integration.meetings import BOTH
from tests.rig import Rig

pytestmark = pytest.mark.stack


def test_a_meeting_moved_out_of_the_window_becomes_no_tombstone(rig: Rig) -> None:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    event = rig.sandbox.event(ada)
    rig.sync(user)
    rig.sandbox.change(event, starts_in_minutes=60 * 24 * 45)
    assert rig.sync(user).plan == ()
    (stored,) = rig.events(user)
    assert not stored.deleted


def test_a_cancelled_meeting_nobody_ever_saw_is_not_stored(rig: Rig) -> None:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    event = rig.sandbox.event(ada)
    rig.sandbox.cancel(event)
    rig.sync(user)
    assert rig.events(user) == []


@BOTH
def test_a_meeting_that_becomes_a_series_leaves_no_single_event_behind(rig: Rig, provider: Provider) -> None:
    ada = rig.sandbox.account("ada@acme.test", provider)
    user = rig.connect(ada, provider)
    event = rig.sandbox.event(ada)
    (single,) = rig.planned(user)
    rig.sandbox.change(event, recurrence=["RRULE:FREQ=WEEKLY;COUNT=3"])
    (first,) = rig.planned(user)
    assert first.meeting_key != single.meeting_key
    assert [stored.recurring for stored in rig.events(user) if not stored.deleted] == [True, True, True]


@BOTH
def test_what_was_decided_stays_readable_when_a_past_meeting_is_deleted(rig: Rig, provider: Provider) -> None:
    ada = rig.sandbox.account("ada@acme.test", provider)
    user = rig.connect(ada, provider)
    event = rig.sandbox.event(ada, starts_in_minutes=5, duration_minutes=5)
    rig.sync(user)
    rig.clock.offset = timedelta(minutes=15)
    rig.sandbox.cancel(event)
    rig.sync(user)
    (stored,) = rig.events(user)
    assert stored.deleted
    assert (stored.outcome, stored.reason, stored.rule) == ("record", "rule_matched", "everything")


def test_one_empty_listing_makes_no_tombstone_of_what_is_still_there(rig: Rig) -> None:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    for number in range(40):
        rig.sandbox.event(ada, title=f"Meeting {number}", starts_in_minutes=60 + number)
    rig.sync(user)
    rig.sandbox.fault(path="/google/calendar/v3/calendars/primary/events", status=200, times=1, body={"items": []})
    rig.sync(user)
    assert [event for event in rig.events(user) if event.deleted] == []


def test_a_tombstone_names_no_rule(rig: Rig) -> None:
    grace = rig.sandbox.account("grace@acme.test", Provider.MICROSOFT)
    user = rig.connect(grace, Provider.MICROSOFT)
    event = rig.sandbox.event(grace)
    rig.sync(user)
    rig.sandbox.http.delete(f"/control/accounts/{grace}/events/{event['key']}").raise_for_status()
    rig.sync(user)
    (stored,) = rig.events(user)
    assert stored.deleted
    assert (stored.reason, stored.rule, stored.rule_set_version, stored.rule_layer) == ("cancelled", None, None, None)


def test_a_tombstone_of_an_occurrence_keeps_the_facts_of_what_it_was(rig: Rig) -> None:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    series = rig.sandbox.event(ada, recurrence=["RRULE:FREQ=DAILY;COUNT=3"], attendees=["bob@acme.test"])
    rig.sync(user)
    first = rig.events(user)[0]
    instance = f"/control/accounts/{ada}/events/{series['key']}"
    rig.sandbox.http.delete(instance, params={"original_start": str(first.original_start)}).raise_for_status()
    rig.sync(user)
    tombstone = next(event for event in rig.events(user) if event.deleted)
    assert tombstone.id == first.id
    assert tombstone.facts == first.facts


def garbled(rig: Rig, *items: dict[str, object], times: int | None = None) -> None:
    """Have Google list these instead of what is on the calendar."""
    listing = {"accessRole": "owner", "items": list(items)}
    match = {"path_regex": "/google/calendar/v3/calendars/primary/events$"}
    action = {"status": 200, "body": listing}
    rig.sandbox.post("/control/faults", {"match": match, "when": "before", "times": times, "action": action})


NO_START: dict[str, object] = {"id": "nostart", "status": "confirmed", "start": None}
NONSENSE_START: dict[str, object] = {"id": "nonsense", "status": "confirmed", "start": {"dateTime": "soon"}, "end": {}}
FAR_START: dict[str, object] = {
    "id": "faraway",
    "status": "confirmed",
    "start": {"dateTime": "9999-12-31T00:00:00Z"},
    "end": {"dateTime": "9999-12-31T01:00:00Z"},
}


@pytest.mark.parametrize("item", [NO_START, NONSENSE_START, FAR_START], ids=lambda item: str(item["id"]))
def test_an_event_without_a_usable_start_leaves_a_tombstone_when_it_is_gone(rig: Rig, item: dict[str, object]) -> None:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    garbled(rig, item, times=1)
    rig.sync(user)
    assert [event.deleted for event in rig.events(user)] == [False]
    rig.sync(user)
    assert [(event.deleted, event.reason) for event in rig.events(user)] == [(True, "cancelled")]


def test_an_event_without_a_usable_start_is_written_once_and_not_at_every_sync(rig: Rig) -> None:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    garbled(rig, NO_START, times=1)
    rig.sync(user)
    rig.sandbox.fault(path="/google/calendar/v3/calendars/primary/events/nostart", status=200, body=NO_START)
    rig.sync(user)
    assert rig.sync(user).changed == 0
    assert [event.deleted for event in rig.events(user)] == [False]


def test_an_event_without_a_usable_start_becomes_no_tombstone_unless_asked_for(rig: Rig) -> None:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    for number in range(25):
        rig.sandbox.event(ada, starts_in_minutes=60 + number)
    rig.sync(user)
    garbled(rig, NO_START, times=1)
    rig.sync(user)
    garbled(rig, times=1)
    gone = {"path_regex": "/google/calendar/v3/calendars/primary/events/(?!nostart)"}
    rig.sandbox.post("/control/faults", {"match": gone, "when": "before", "action": {"status": 404}})
    rig.sync(user)
    assert sorted(event.deleted for event in rig.events(user)) == [False] + [True] * 25


def test_events_without_a_usable_start_are_asked_for_after_those_that_have_one(rig: Rig) -> None:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    dated = rig.sandbox.event(ada)
    rig.sync(user)
    (known,) = rig.events(user)
    undated: list[dict[str, object]] = [{"id": f"nostart{number}", "status": "confirmed"} for number in range(40)]
    garbled(rig, *undated, times=1)
    rig.sync(user)
    rig.sandbox.cancel(dated)
    garbled(rig)
    rig.sandbox.fault(path="/google/calendar/v3/calendars/primary/events/nostart", status=503)
    rig.sync(user)
    assert [event.deleted for event in rig.events(user) if event.id == known.id] == [True]
