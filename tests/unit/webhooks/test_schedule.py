from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetbot.domain.webhook_schedule import retry_after_seconds

NOW = datetime(2026, 3, 1, 9, 0, 0, tzinfo=UTC)
A_DAY = 24 * 3600


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("0", 0),
        ("120", 120),
        (" 120 ", 120),
        ("Sun, 01 Mar 2026 09:02:00 GMT", 120),
        ("Sun, 01 Mar 2026 08:00:00 GMT", 0),
        ("Sun, 01 Mar 2026 09:02:00 -0000", 120),
        ("99999999", A_DAY),
        ("Mon, 01 Mar 2027 09:00:00 GMT", A_DAY),
        ("-5", 0),
        ("1.5", 0),
        ("soon", 0),
        ("9" * 400, 0),
        ("Sun, 99 Mar 2026 09:02:00 GMT", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_at_most_a_day(header: str | None, seconds: int) -> None:
    assert retry_after_seconds(header, NOW) == seconds


@given(st.text())
def test_no_header_breaks_it(header: str) -> None:
    assert 0 <= retry_after_seconds(header, NOW) <= A_DAY


def test_the_zone_of_now_does_not_matter() -> None:
    elsewhere = NOW.astimezone(tz=datetime.now().astimezone().tzinfo) + timedelta(0)

    assert retry_after_seconds("Sun, 01 Mar 2026 09:02:00 GMT", elsewhere) == 120
