"""How far a listing is read on."""

from __future__ import annotations

import httpx
import pytest

from meetbot.errors import RetryLater
from tests.unit.providers.scripted import Script, google_event
from tests.unit.providers.test_google_listing import EVENTS_ONLY, PRIMARY, endless, ids, list_events, page


def test_59_empty_pages_do_not_hide_the_event_behind_them() -> None:
    empty = [page(following=f"p{number}") for number in range(59)]
    listed = list_events(Script({PRIMARY: [*empty, page(google_event("e1"))]}), EVENTS_ONLY)
    assert ids(listed) == [("primary", "e1")]
    assert listed.complete_calendars == {"primary"}
    assert listed.faults == {}


def test_ten_pages_of_deleted_entries_do_not_hide_the_live_event_behind_them() -> None:
    def deleted(number: int) -> httpx.Response:
        entries = [{"id": f"d{number}_{place}", "status": "cancelled"} for place in range(2500)]
        return page(*entries, following=f"p{number}")

    listed = list_events(Script({PRIMARY: [*map(deleted, range(10)), page(google_event("e1"))]}), EVENTS_ONLY)
    assert ids(listed)[-1] == ("primary", "e1")
    assert listed.complete_calendars == {"primary"}


def test_pages_are_read_no_longer_than_the_time_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meetbot.providers.google.adapter.LISTING_SECONDS", 0.0)
    with pytest.raises(RetryLater) as refused:
        list_events(Script({PRIMARY: endless}), EVENTS_ONLY)
    assert refused.value.code == "listing_timeout"
