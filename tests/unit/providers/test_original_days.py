"""An all-day occurrence at Graph has the original date that Google gives it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetbot.domain.event import Event
from meetbot.providers.base import Listing
from meetbot.providers.google.events import normalise_google
from meetbot.providers.microsoft.adapter import MicrosoftCalendar
from meetbot.providers.microsoft.events import normalise_microsoft
from tests.unit.providers.scripted import (
    WINDOW_END,
    WINDOW_START,
    Script,
    google_event,
    graph_error,
    graph_event,
    microsoft,
    reply,
)
from tests.unit.providers.test_ical_uid import goid

ZONES = [
    *("Europe/Berlin", "Asia/Tokyo", "America/New_York", "America/Los_Angeles", "Pacific/Honolulu", "Pacific/Auckland"),
    *("Asia/Kathmandu", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Casablanca", "America/St_Johns", "UTC"),
    *("Pacific/Chatham", "Pacific/Fiji"),
]
VIEW, CALENDARS, MASTER = "/v1.0/me/calendarView", "/v1.0/me/calendars", "/v1.0/me/events/M"


def all_day(day: date, original: str, **fields: Any) -> dict[str, Any]:
    return graph_event(
        **{
            "type": "occurrence",
            "isAllDay": True,
            "seriesMasterId": "M",
            "originalStart": original,
            "originalStartTimeZone": "UTC",
            "start": midnight(day),
            "end": midnight(day + timedelta(days=1)),
            **fields,
        }
    )


def midnight(day: date) -> dict[str, str]:
    return {"dateTime": f"{day}T00:00:00.0000000", "timeZone": "UTC"}


def read(raw: dict[str, Any]) -> Event:
    event = normalise_microsoft("primary", raw, owner_email="ann@acme.example")
    assert event is not None
    return event


@pytest.mark.parametrize("original", ["2026-06-04T22:00:00Z", "2026-06-04T15:00:00Z", "2026-06-05T07:00:00Z"])
def test_an_all_day_occurrence_has_one_original_start_at_both_providers(original: str) -> None:
    guests = read(all_day(date(2026, 6, 5), original))
    organisers = normalise_google(
        "primary",
        google_event(
            recurringEventId="e",
            start={"date": "2026-06-05"},
            end={"date": "2026-06-06"},
            originalStartTime={"date": "2026-06-05"},
        ),
        owner_email="ann@acme.example",
    )
    assert organisers is not None
    assert guests.original_start == organisers.original_start == datetime(2026, 6, 5, tzinfo=UTC)


@given(st.sampled_from(ZONES), st.dates(date(2020, 1, 1), date(2035, 1, 1)), st.integers(-5, 5))
def test_a_moved_all_day_occurrence_keeps_its_date_in_every_zone(zone: str, day: date, moved: int) -> None:
    local = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    original = local.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    raw = all_day(day + timedelta(days=moved), original, type="exception")
    assert read(raw).original_start == datetime(day.year, day.month, day.day, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["Pacific/Pago_Pago", "Pacific/Kiritimati"])
def test_where_the_hour_leaves_it_open_the_uid_tells_the_date(zone: str) -> None:
    day = date(2026, 6, 5)
    original = datetime(2026, 6, 5, tzinfo=ZoneInfo(zone)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    raw = all_day(day, original, type="exception", iCalUId=goid("07EA0605"))
    assert read(raw).original_start == datetime(2026, 6, 5, tzinfo=UTC)


def test_a_date_in_the_uid_that_cannot_be_the_original_is_not_believed() -> None:
    raw = all_day(date(2026, 6, 5), "2026-06-04T22:00:00Z", type="exception", iCalUId=goid("07EA0609"))
    assert read(raw).original_start == datetime(2026, 6, 5, tzinfo=UTC)


def test_the_series_own_zone_is_believed_where_graph_names_it() -> None:
    raw = all_day(
        date(2026, 6, 7), "2026-06-04T11:00:00Z", type="exception", originalStartTimeZone="Samoa Standard Time"
    )
    assert read(raw).original_start == datetime(2026, 6, 5, tzinfo=UTC)


@pytest.mark.parametrize("original", [None, "", "0001-01-01T00:00:00Z", 7])
def test_without_an_original_start_the_date_itself_counts(original: Any) -> None:
    raw = all_day(date(2026, 6, 5), original, type="exception")
    assert read(raw).original_start == datetime(2026, 6, 5, tzinfo=UTC)


# Exceptions whose kind differs from their series': only the series itself can tell

TIMED_DAY = {
    "type": "exception",
    "isAllDay": False,
    "start": {"dateTime": "2026-03-12T09:00:00.0000000", "timeZone": "UTC"},
    "end": {"dateTime": "2026-03-12T09:30:00.0000000", "timeZone": "UTC"},
}


def test_a_day_of_an_all_day_series_that_was_given_a_time_keeps_its_date() -> None:
    timed = all_day(date(2026, 3, 12), "2026-03-11T23:00:00Z", **TIMED_DAY)
    sibling = all_day(date(2026, 3, 13), "2026-03-12T23:00:00Z", id="S")
    (found, _), requests = listed([timed, sibling])
    assert found.original_start == datetime(2026, 3, 12, tzinfo=UTC)
    assert found.start == datetime(2026, 3, 12, 9, tzinfo=UTC)
    assert MASTER not in requests


def test_an_occurrence_of_a_timed_series_made_all_day_keeps_its_instant() -> None:
    day_long = all_day(date(2026, 3, 12), "2026-03-12T14:00:00Z", type="exception")
    sibling = graph_event("S", type="occurrence", seriesMasterId="M", originalStart="2026-03-19T14:00:00Z")
    (found, _), _ = listed([day_long, sibling])
    assert found.original_start == datetime(2026, 3, 12, 14, tzinfo=UTC)


@pytest.mark.parametrize(("kind", "expected"), [(True, "2026-03-12T00:00Z"), (False, "2026-03-11T23:00Z")])
def test_without_a_sibling_the_series_is_asked_for_once(kind: bool, expected: str) -> None:
    timed = all_day(date(2026, 3, 12), "2026-03-11T23:00:00Z", **TIMED_DAY)
    script = scripted([timed], reply({"id": "M", "isAllDay": kind}))
    calendar = microsoft(script)
    for _ in range(2):
        (found,) = read_all(calendar, listing(calendar))
        assert found.original_start == datetime.fromisoformat(expected)
    assert script.paths().count(MASTER) == 1


def test_an_exception_read_by_itself_has_the_same_original_start() -> None:
    timed = all_day(date(2026, 3, 12), "2026-03-11T23:00:00Z", **TIMED_DAY)
    script = Script({"/v1.0/me/events/AAMk1": reply(timed), MASTER: reply({"id": "M", "isAllDay": True})})
    raw = microsoft(script).get_event("t", calendar_id="primary", provider_event_id="AAMk1", timeout_seconds=5)
    assert read(dict(raw)).original_start == datetime(2026, 3, 12, tzinfo=UTC)


def test_a_series_that_is_gone_leaves_its_exception_as_it_is() -> None:
    timed = all_day(date(2026, 3, 12), "2026-03-11T23:00:00Z", **TIMED_DAY)
    (found,), _ = listed([timed], graph_error(404, "ErrorItemNotFound"))
    assert found.original_start == datetime(2026, 3, 11, 23, tzinfo=UTC)


def test_an_event_that_names_its_series_kind_itself_is_not_believed() -> None:
    forged = graph_event(type="occurrence", originalStart="2026-03-12T09:00:00Z") | {"meetbot.seriesIsAllDay": True}
    (found,), _ = listed([forged])
    assert found.original_start == datetime(2026, 3, 12, 9, tzinfo=UTC)


def scripted(items: list[dict[str, Any]], master: httpx.Response) -> Script:
    return Script({CALENDARS: reply({"value": []}), VIEW: reply({"value": items}), MASTER: master})


def listed(items: list[dict[str, Any]], master: httpx.Response | None = None) -> tuple[list[Event], list[str]]:
    script = scripted(items, master or reply({}, 500))
    calendar = microsoft(script)
    return read_all(calendar, listing(calendar)), script.paths()


def listing(calendar: MicrosoftCalendar) -> Listing:
    return calendar.list_events("t", window_start=WINDOW_START, window_end=WINDOW_END, granted=frozenset())


def read_all(calendar: MicrosoftCalendar, found: Listing) -> list[Event]:
    events = [
        calendar.normalise(one.calendar_id, orjson.loads(one.body), owner_email="ann@acme.example")
        for one in found.events
    ]
    return [event for event in events if event is not None]
