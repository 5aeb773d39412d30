"""Time, as both providers write it: one instant and one key, whatever the clocks do."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tzlocal.windows_tz import win_tz

from meetbot.domain.event import Event
from meetbot.domain.identity import identity_of
from meetbot.providers.google.events import normalise_google
from meetbot.providers.microsoft.events import normalise_microsoft
from meetbot.providers.times import find_zone, parse_instant
from tests.unit.providers.scripted import google_event, graph_event

# Clocks that change by an hour in spring and autumn, by half an hour, and for Ramadan.
CHANGING = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"]
ODD = ["Asia/Kathmandu", "Asia/Kolkata", "America/St_Johns", "Pacific/Chatham", "Australia/Eucla", "Asia/Tehran"]
ZONES = st.sampled_from([*CHANGING, *ODD, "UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
WINDOWS_ZONES = st.sampled_from(sorted(win_tz))
DAYS = st.dates(date(2024, 1, 1), date(2032, 12, 31))
MINUTES = st.integers(0, 24 * 60 - 1)


def wall_time(day: date, minute: int, zone: str) -> datetime:
    return datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=ZoneInfo(zone))


def is_ordinary(moment: datetime) -> bool:
    """Whether clocks show this time exactly once on that day."""
    there_and_back = moment.astimezone(UTC).astimezone(moment.tzinfo)
    return there_and_back.replace(tzinfo=None) == moment.replace(tzinfo=None) and (
        moment.replace(fold=1).utcoffset() == moment.utcoffset()
    )


def google(**fields: Any) -> Event:
    event = normalise_google("primary", google_event(**fields), owner_email="ann@acme.example")
    assert event is not None
    return event


def graph(**fields: Any) -> Event:
    event = normalise_microsoft("primary", graph_event(**fields), owner_email="ann@acme.example")
    assert event is not None
    return event


def key(event: Event) -> str:
    return identity_of(event, "ten_1", "cu_1").meeting_key


@given(ZONES, DAYS, MINUTES)
def test_one_wall_time_is_one_instant_at_both_providers(zone: str, day: date, minute: int) -> None:
    moment = wall_time(day, minute, zone)
    naive = moment.replace(tzinfo=None).isoformat()
    here = google(start={"dateTime": moment.isoformat(), "timeZone": zone})
    there = graph(start={"dateTime": f"{naive}.0000000", "timeZone": zone})
    assert here.start is not None
    assert there.start is not None
    if is_ordinary(moment):
        assert here.start == there.start == moment.astimezone(UTC)
    else:
        # Clocks show it twice or never: it is one of the two, and the providers differ by the change at most.
        assert abs(here.start - there.start) <= timedelta(hours=1)


@given(WINDOWS_ZONES, DAYS, MINUTES)
def test_a_windows_name_is_the_zone_that_it_stands_for(name: str, day: date, minute: int) -> None:
    naive = datetime(day.year, day.month, day.day, minute // 60, minute % 60).isoformat()  # noqa: DTZ001
    assert find_zone(name) is not None
    assert parse_instant(naive, name) == parse_instant(naive, win_tz[name])


@pytest.mark.parametrize("zone", CHANGING)
@given(DAYS)
def test_a_series_at_nine_keeps_its_local_time_and_its_keys_across_each_change(zone: str, first: date) -> None:
    instants = set()
    for number in range(0, 371, 7):
        start = wall_time(first + timedelta(days=number), 9 * 60, zone)
        utc = start.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        shared: dict[str, Any] = {"iCalUID": "uid@google.com", "recurringEventId": "e"}
        here = google(
            **shared,
            start={"dateTime": start.isoformat(), "timeZone": zone},
            originalStartTime={"dateTime": start.isoformat(), "timeZone": zone},
        )
        there = graph(
            iCalUId="uid@google.com",
            type="occurrence",
            seriesMasterId="M",
            originalStart=utc,
            originalStartTimeZone=zone,
            start={"dateTime": f"{utc[:-1]}.0000000", "timeZone": "UTC"},
        )
        assert key(here) == key(there)
        assert here.start is not None
        assert here.start.astimezone(ZoneInfo(zone)).hour == 9
        instants.add(here.start.timetz())
    assert len(instants) >= 2, "the clocks changed at least once within a year"


@given(ZONES, DAYS, st.integers(1, 14))
def test_an_all_day_event_is_its_dates_at_both_providers(zone: str, first: date, days: int) -> None:
    last = first + timedelta(days=days)
    here = google(start={"date": str(first)}, end={"date": str(last)})
    there = graph(
        isAllDay=True,
        start={"dateTime": f"{first}T00:00:00.0000000", "timeZone": zone},
        end={"dateTime": f"{last}T00:00:00.0000000", "timeZone": zone},
    )
    expected = (datetime(first.year, first.month, first.day, tzinfo=UTC), timedelta(days=days))
    for event in (here, there):
        assert event.all_day
        assert event.start is not None
        assert event.end is not None
        assert (event.start, event.end - event.start) == expected


@given(st.sampled_from(["0001-01-01", "9999-12-31"]), st.one_of(ZONES, WINDOWS_ZONES), MINUTES, st.booleans())
def test_a_sentinel_date_is_no_time_in_any_zone(day: str, zone: str, minute: int, all_day: bool) -> None:
    time = {"dateTime": f"{day}T{minute // 60:02}:{minute % 60:02}:00.0000000", "timeZone": zone}
    event = graph(
        isAllDay=all_day, start=time, end=time, type="exception", seriesMasterId="M", originalStart=f"{day}T00:00:00Z"
    )
    assert (event.start, event.end) == (None, None)
    assert event.original_start is None


@given(st.integers(-14 * 4, 14 * 4), DAYS, MINUTES)
def test_an_offset_of_any_quarter_of_an_hour_gives_the_right_instant(quarters: int, day: date, minute: int) -> None:
    sign, size = ("-" if quarters < 0 else "+"), abs(quarters) * 15
    text = f"{day}T{minute // 60:02}:{minute % 60:02}:00{sign}{size // 60:02}:{size % 60:02}"
    local = datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=UTC)
    assert parse_instant(text) == local - timedelta(minutes=quarters * 15)
