"""Instants from the times that providers write."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetbot.providers.times import find_zone, parse_day, parse_instant, to_wire


def test_half_hour_offsets_give_the_right_instant() -> None:
    assert parse_instant("2026-03-12T10:00:00+05:45") == datetime(2026, 3, 12, 4, 15, tzinfo=UTC)


def test_nine_o_clock_in_new_york_is_another_instant_after_the_clocks_change() -> None:
    before = parse_instant("2026-03-06T09:00:00", "America/New_York")
    after = parse_instant("2026-03-09T09:00:00", "America/New_York")
    assert before == datetime(2026, 3, 6, 14, 0, tzinfo=UTC)
    assert after == datetime(2026, 3, 9, 13, 0, tzinfo=UTC)


def test_seven_fractional_digits_and_a_windows_zone_are_understood() -> None:
    moment = parse_instant("2026-03-09T09:00:00.0000000", "Pacific Standard Time")
    assert moment == datetime(2026, 3, 9, 16, 0, tzinfo=UTC)


@pytest.mark.parametrize("name", ["UTC", "Etc/UTC", "tzone://Microsoft/Utc"])
def test_every_name_of_utc_is_utc(name: str) -> None:
    assert parse_instant("2026-03-09T09:00:00.0000000", name) == datetime(2026, 3, 9, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "name",
    ["tzone://Microsoft/Custom", "Nowhere/City", "", None, 5, "../../etc/passwd", "/etc/passwd", "America", "a\x00b"],
)
def test_an_unknown_zone_gives_no_instant(name: object) -> None:
    assert find_zone(name) is None
    assert parse_instant("2026-03-09T09:00:00", name) is None


@pytest.mark.parametrize(
    "value",
    [
        "0001-01-01T00:00:00.0000000",
        "9999-12-31T23:59:59.9999999",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "1969-12-31T23:59:59Z",
        "2201-01-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-03-09",
        "soon",
        "T" * 1000,
        "\ud800T",
        None,
        17,
        {},
    ],
)
def test_sentinels_and_nonsense_are_no_instant(value: object) -> None:
    assert parse_instant(value, "UTC") is None


def test_a_date_is_midnight_utc() -> None:
    assert parse_day("2026-03-12") == datetime(2026, 3, 12, tzinfo=UTC)


@pytest.mark.parametrize("value", ["0001-01-01", "9999-12-31", "2026-W10-1", "20260312", "2026-13-01", None, 3])
def test_nonsense_is_no_date(value: object) -> None:
    assert parse_day(value) is None


def test_the_wire_form_is_utc_and_rounds_outwards_on_request() -> None:
    moment = datetime(2026, 3, 9, 10, 0, 0, 1, tzinfo=timezone(timedelta(hours=1)))
    assert to_wire(moment) == "2026-03-09T09:00:00Z"
    assert to_wire(moment, up=True) == "2026-03-09T09:00:01Z"


def test_a_naive_datetime_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        to_wire(datetime(2026, 3, 9))  # noqa: DTZ001 - the naive one is the point


@given(st.datetimes(datetime(1971, 1, 1), datetime(2199, 12, 31), timezones=st.timezones()))  # noqa: DTZ001
def test_every_instant_is_read_back_from_its_text(moment: datetime) -> None:
    assert parse_instant(moment.astimezone(UTC).isoformat()) == moment.astimezone(UTC)


@given(st.text(max_size=40), st.one_of(st.none(), st.text(max_size=40)))
def test_no_text_raises(value: str, zone: str | None) -> None:
    moment = parse_instant(value, zone)
    assert moment is None or moment.tzinfo is UTC
