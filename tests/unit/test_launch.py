"""When bots that are due together are armed, looked at and claimed."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from meetbot.bots.launch import arming_offset, arming_window, claim_ahead, look_ahead, place_of

_IDS = [f"bot_{number}" for number in range(1000)]
_counts = st.integers(min_value=0, max_value=100_000)


def test_a_few_bots_arm_at_once_and_a_thousand_over_a_minute() -> None:
    assert arming_window(10) == timedelta()
    assert arming_window(1000) == timedelta(minutes=1)


@given(count=_counts)
def test_the_window_grows_with_the_number_and_has_an_end(count: int) -> None:
    assert arming_window(count) <= arming_window(count + 1) <= timedelta(minutes=2)


def test_the_bots_of_a_herd_arm_evenly() -> None:
    seconds = [int(arming_offset(bot_id, len(_IDS)).total_seconds() // 6) for bot_id in _IDS]
    assert all(60 <= seconds.count(tenth) <= 140 for tenth in range(10))


@given(count=_counts, bot_id=st.text(min_size=1))
def test_a_change_one_second_before_the_dispatch_is_seen_for_any_number(count: int, bot_id: str) -> None:
    assert timedelta() < look_ahead(bot_id, count) < timedelta(seconds=1)
    assert timedelta() < claim_ahead(count) < look_ahead(bot_id, count)


@given(bot_id=st.text(min_size=1))
def test_a_bots_place_is_a_fraction(bot_id: str) -> None:
    assert 0 <= place_of(bot_id) <= 1
