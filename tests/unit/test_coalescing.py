"""Bursts become one at once and one at the end."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from meetbot.domain.coalescing import Coalescer


def test_the_first_is_due_at_once_and_the_rest_of_a_burst_once_at_its_end() -> None:
    burst: Coalescer[str] = Coalescer(2.0)
    burst.note("a")
    assert burst.take_due(10.0) == ["a"]
    for _ in range(100):
        burst.note("a")
    assert burst.take_due(11.9) == []
    assert burst.next_due(11.9) == 12.0
    assert burst.take_due(12.0) == ["a"]
    assert burst.next_due(12.0) is None


def test_names_do_not_hold_back_each_other() -> None:
    burst: Coalescer[str] = Coalescer(2.0)
    burst.note("a")
    burst.take_due(10.0)
    burst.note("a")
    burst.note("b")
    assert burst.take_due(10.1) == ["b"]
    assert burst.waiting == ["a"]


def test_a_quiet_name_is_forgotten() -> None:
    burst: Coalescer[int] = Coalescer(2.0)
    for name in range(1000):
        burst.note(name)
    burst.take_due(0.0)
    assert burst.take_due(2.0) == []
    assert (len(burst._closed_until), len(burst._ends)) == (0, 0)


@given(st.lists(st.tuples(st.floats(0, 3), st.sampled_from("ab"))))
def test_the_last_is_never_lost_and_two_are_never_closer_than_the_period(steps: list[tuple[float, str]]) -> None:
    burst: Coalescer[str] = Coalescer(1.0)
    now, noted, told = 0.0, {}, {"a": [], "b": []}  # type: ignore[var-annotated]
    for pause, name in steps:
        now += pause
        burst.note(name)
        noted[name] = now
        for due in burst.take_due(now):
            told[due].append(now)
    for due in burst.take_due(now + 1.0):
        told[due].append(now + 1.0)
    for name, instants in told.items():
        assert all(later - earlier >= 1.0 - 1e-9 for earlier, later in itertools.pairwise(instants))
        assert name not in noted or instants[-1] >= noted[name]
