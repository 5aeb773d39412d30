"""A sync that could not read all of a calendar says so, and loses nothing."""

from __future__ import annotations

import pytest

from meetbot.domain.event import Event
from meetbot.providers import listing
from meetbot.providers.base import RawEvent
from tests.rig import Rig

pytestmark = pytest.mark.stack

ADA = "ada@acme.test"
EVENTS = "/google/calendar/v3/calendars/primary/events"


def test_a_listing_cut_short_is_no_sync_and_cancels_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    user = rig.connect(rig.sandbox.account(ADA))
    rig.sandbox.event(ADA)
    rig.sync(user)
    before = rig.calendar_user(user)
    monkeypatch.setattr(listing, "MAX_PAGES", 1)
    rig.sandbox.post("/control/faults", {"match": {"path": EVENTS}, "action": {"empty_page": True}})
    assert rig.sync(user).error == "listing_cut_short"
    after = rig.calendar_user(user)
    assert (after.last_synced_at, after.error_code) == (before.last_synced_at, "listing_cut_short")
    (event,) = rig.events(user)
    assert not event.deleted
    rig.sandbox.clear_faults()
    assert rig.sync(user).error == ""
    healthy = rig.calendar_user(user)
    assert healthy.error_code is None
    assert before.last_synced_at is not None
    assert healthy.last_synced_at is not None
    assert healthy.last_synced_at > before.last_synced_at


def test_what_was_read_before_the_listing_was_cut_short_is_taken_in(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    user = rig.connect(rig.sandbox.account(ADA))
    monkeypatch.setattr(listing, "MAX_EVENTS", 0)
    for number in range(2):
        rig.sandbox.event(ADA, title=str(number))
    rig.sandbox.post("/control/faults", {"match": {"path": EVENTS}, "times": 1, "action": {"empty_page": True}})
    rig.sync(user)
    assert len(rig.events(user)) == 2


def test_a_primary_calendar_that_shows_only_free_and_busy_is_not_fresh(rig: Rig) -> None:
    user = rig.connect(rig.sandbox.account(ADA))
    rig.sandbox.event(ADA)
    rig.sync(user)
    before = rig.calendar_user(user)
    body = {"kind": "calendar#events", "accessRole": "freeBusyReader", "items": []}
    rig.sandbox.fault(path=EVENTS, status=200, body=body)
    rig.sync(user)
    after = rig.calendar_user(user)
    assert (after.last_synced_at, after.error_code) == (before.last_synced_at, "free_busy_only")
    assert not rig.events(user)[0].deleted


def test_one_event_that_cannot_be_read_is_skipped_with_a_note(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    user = rig.connect(rig.sandbox.account(ADA))
    for title in ("fine", "poisoned", "fine too"):
        rig.sandbox.event(ADA, title=title)
    provider = next(iter(rig.services.providers.values()))
    normalise = provider.normalise

    def poisoned(calendar_id: str, raw: RawEvent, **owner: object) -> Event | None:
        if raw.get("summary") == "poisoned":
            raise RuntimeError("a fault of ours")
        return normalise(calendar_id, raw, **owner)  # type: ignore[arg-type]

    monkeypatch.setattr(provider, "normalise", poisoned)
    rig.sync(user)
    row = rig.calendar_user(user)
    assert sorted(event.title for event in rig.events(user)) == ["fine", "fine too"]
    assert (row.state, row.error_code) == ("active", "events_skipped")
    assert row.last_synced_at is not None
    monkeypatch.undo()
    rig.sync(user)
    assert len(rig.events(user)) == 3
    assert rig.calendar_user(user).error_code is None


def test_an_entry_without_an_id_is_skipped_with_a_note(rig: Rig) -> None:
    user = rig.connect(rig.sandbox.account(ADA))
    rig.sandbox.event(ADA)
    rig.sync(user)
    body = {"kind": "calendar#events", "accessRole": "owner", "items": [{"id": None, "summary": "odd"}, None, 7]}
    rig.sandbox.fault(path=EVENTS, status=200, body=body)
    rig.sync(user)
    assert rig.calendar_user(user).error_code == "events_skipped"
    assert not rig.events(user)[0].deleted
