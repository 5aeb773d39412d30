from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice

import pytest

from sandbox.calendar.errors import RecurrenceError
from sandbox.calendar.recurrence import (
    check_recurrence,
    ended_before,
    is_original_start,
    original_starts,
    original_starts_between,
)

START = datetime(2026, 1, 5, 9, tzinfo=UTC)


def _texts(lines: list[str], start: datetime = START, zone: str = "UTC", count: int = 10) -> list[str]:
    return [f"{instant:%m-%d %H:%M}" for instant in islice(original_starts(lines, start, zone), count)]


def test_excluded_dates_are_left_out() -> None:
    lines = ["RRULE:FREQ=DAILY;COUNT=4", "EXDATE:20260106T090000Z", "EXDATE;VALUE=DATE:20260107"]
    assert _texts(lines) == ["01-05 09:00", "01-08 09:00"]


def test_until_in_utc_is_counted_in_local_time() -> None:
    start = datetime(2026, 1, 5, 23, tzinfo=UTC)  # 08:00 on the 6th in Tokyo
    lines = ["RRULE:FREQ=DAILY;UNTIL=20260107T230000Z"]
    assert _texts(lines, start, "Asia/Tokyo") == ["01-05 23:00", "01-06 23:00", "01-07 23:00"]


def test_until_as_a_date_includes_its_day() -> None:
    assert _texts(["RRULE:FREQ=DAILY;UNTIL=20260106"]) == ["01-05 09:00", "01-06 09:00"]


def test_weekdays_are_those_of_the_events_zone() -> None:
    start = datetime(2026, 1, 5, 23, tzinfo=UTC)  # Tuesday in Tokyo
    lines = ["RRULE:FREQ=WEEKLY;BYDAY=TU"]
    assert _texts(lines, start, "Asia/Tokyo", 2) == ["01-05 23:00", "01-12 23:00"]


def test_a_local_time_that_daylight_saving_skips_is_still_an_occurrence() -> None:
    start = datetime(2026, 3, 28, 1, 30, tzinfo=UTC)  # 02:30 in Berlin; there is no 02:30 on the 29th
    lines = ["RRULE:FREQ=DAILY;COUNT=3"]
    found = list(original_starts(lines, start, "Europe/Berlin"))
    assert len(found) == 3
    assert all(is_original_start(lines, start, "Europe/Berlin", instant) for instant in found)


def test_a_window_holds_its_start_and_not_its_end() -> None:
    low, high = datetime(2026, 1, 6, 9, tzinfo=UTC), datetime(2026, 1, 8, 9, tzinfo=UTC)
    found = original_starts_between(["RRULE:FREQ=DAILY"], START, "UTC", low, high, 100)
    assert [instant.day for instant in found] == [6, 7]


def test_an_endless_series_is_cut_at_the_limit() -> None:
    assert len(original_starts_between(["RRULE:FREQ=DAILY"], START, "UTC", None, None, 50)) == 50


def test_ending_a_series_replaces_count_and_until() -> None:
    at = datetime(2026, 1, 7, 9, tzinfo=UTC)
    assert ended_before(["RRULE:FREQ=DAILY;COUNT=9"], at) == ["RRULE:FREQ=DAILY;UNTIL=20260107T085959Z"]


@pytest.mark.parametrize(
    "lines",
    [
        ["RRULE:FREQ=HOURLY"],
        ["RRULE:COUNT=3"],
        ["FREQ=DAILY"],
        ["RRULE:FREQ=DAILY;UNTIL=soon"],
        ["RRULE:FREQ=DAILY;INTERVAL=x"],
        ["RRULE:FREQ=DAILY;UNTIL=20250101T000000Z"],
        ["RRULE:" + "X" * 2000],
    ],
)
def test_lines_that_cannot_be_expanded_are_refused(lines: list[str]) -> None:
    with pytest.raises(RecurrenceError):
        check_recurrence(lines, START, "UTC")
