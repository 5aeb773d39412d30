from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meetbot.domain.retry_after import retry_after

NOW = datetime(2026, 3, 12, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("17", timedelta(seconds=17)),
        (" 17 ", timedelta(seconds=17)),
        ("0", timedelta(0)),
        ("00000000000000000017", timedelta(seconds=17)),
        ("86401", DAY),
        ("9" * 20, DAY),
        ("9" * 400, DAY),
        ("9" * 5_000, DAY),
        ("0" * 5_000, timedelta(0)),
    ],
)
def test_a_number_is_a_wait_in_seconds(header: str, wait: timedelta) -> None:
    assert retry_after(header, now=NOW, at_most=DAY) == wait


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("Thu, 12 Mar 2026 09:03:00 GMT", timedelta(minutes=3)),
        ("Thu, 12 Mar 2026 08:57:00 GMT", timedelta(0)),
        ("Thursday, 12-Mar-26 09:03:00 GMT", timedelta(minutes=3)),
        ("Thu Mar 12 09:03:00 2026", timedelta(minutes=3)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", DAY),
    ],
)
def test_a_date_is_the_moment_when_the_wait_ends(header: str, wait: timedelta) -> None:
    assert retry_after(header, now=NOW, at_most=DAY) == wait


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        " ",
        "soon",
        "-5",
        "1.5",
        "²",
        "Mon, 1 Jan 9999999999 00:00:00 GMT",
        f"Mon, 1 Jan {'9' * 20} 00:00:00 GMT",
        f"Mon, 1 Jan {'9' * 5_000} 00:00:00 GMT",
        "Mon, 1 Jan 2026 99:99:99 GMT",
        "Mon, 1 Jan 2026 00:00:00 +" + "9" * 20,
        "Mon, 99999999999999999999 Jan 2026 00:00:00 GMT",
    ],
)
def test_anything_else_states_no_wait(header: str | None) -> None:
    assert retry_after(header, now=NOW, at_most=DAY) is None


_PIECES = st.sampled_from(
    ["Mon", "Monday", ",", " ", "1", "31", "Jan", "-Jan-", "2026", "9999999999", "00:00:00", ":", "GMT", "+", "-", "2359",
     "99999999999999999999", "UTC", "\t", "(", ")"]
)  # fmt: skip
_HEADERS = st.text() | st.lists(_PIECES, max_size=12).map(" ".join) | st.lists(_PIECES, max_size=12).map("".join)


@given(_HEADERS, st.timedeltas(min_value=timedelta(0)))
@example("Mon, 1 Jan 0001 00:00:00 +2359", DAY)
@example("Fri, 31 Dec 9999 23:59:59 -2359", timedelta.max)
@example("999999999", timedelta.max)
def test_no_header_raises_or_exceeds_the_bound(header: str, at_most: timedelta) -> None:
    wait = retry_after(header, now=NOW, at_most=at_most)
    assert wait is None or timedelta(0) <= wait <= at_most


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)))  # noqa: DTZ001
def test_every_http_date_is_read_to_the_second(moment: datetime) -> None:
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    wait = retry_after(format_datetime(moment, usegmt=True), now=NOW, at_most=timedelta.max)
    assert wait == max(moment - NOW, timedelta(0))
