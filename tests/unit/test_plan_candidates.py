"""Which meetings a plan takes up, and whose copy of a meeting leads."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetbot.domain.plan import (
    Candidate,
    Target,
    choose_candidates,
    leading_copy,
)
from tests.unit.planning_times import FIVE_MINUTES, HORIZON, MINUTE, NOW


def candidate(
    key: str = "mtg_1",
    *,
    event_id: str = "evt_1",
    starts_in: timedelta = timedelta(hours=1),
    lasts: timedelta = timedelta(minutes=30),
    updated: datetime | None = NOW,
    is_organizer: bool = False,
    url: str = "https://meet.example/a",
) -> Candidate:
    target = Target(NOW + starts_in, NOW + starts_in + lasts, url)
    return Candidate(event_id, key, target, updated, is_organizer)


def chosen(*candidates: Candidate) -> dict[str, Candidate]:
    return choose_candidates(candidates, now=NOW, horizon=HORIZON)


@pytest.mark.parametrize(
    "other",
    [
        Target(NOW + MINUTE, NOW + 60 * MINUTE, "https://meet.example/a"),
        Target(NOW, NOW + 61 * MINUTE, "https://meet.example/a"),
        Target(NOW, NOW + 60 * MINUTE, "https://meet.example/b"),
    ],
    ids=["start", "end", "link"],
)
def test_a_target_that_differs_has_another_digest(other: Target) -> None:
    target = Target(NOW, NOW + 60 * MINUTE, "https://meet.example/a")

    assert target.digest != other.digest


def test_the_digest_tells_no_link() -> None:
    assert "meet.example" not in candidate().target.digest


def test_a_running_meeting_is_chosen_and_an_ended_one_is_not() -> None:
    running = candidate("running", starts_in=-MINUTE, lasts=2 * MINUTE)
    ended = candidate("ended", starts_in=-MINUTE, lasts=MINUTE)

    assert list(chosen(running, ended)) == ["running"]


def test_a_meeting_at_the_horizon_is_chosen_and_one_beyond_is_not() -> None:
    near, far = candidate("near", starts_in=HORIZON), candidate("far", starts_in=HORIZON + MINUTE)

    assert list(chosen(near, far)) == ["near"]


def test_of_more_meetings_than_a_plan_holds_the_nearest_are_chosen() -> None:
    many = [candidate(f"mtg_{minutes}", starts_in=minutes * MINUTE) for minutes in range(5)]

    assert list(choose_candidates(reversed(many), now=NOW, horizon=HORIZON, most=2)) == ["mtg_0", "mtg_1"]


def test_a_meeting_that_is_claimed_already_is_not_displaced_by_a_nearer_one() -> None:
    nearer, claimed = candidate("nearer", starts_in=MINUTE), candidate("claimed", starts_in=2 * MINUTE)

    chosen_keys = choose_candidates([nearer, claimed], now=NOW, horizon=HORIZON, claimed={"claimed"}, most=1)

    assert list(chosen_keys) == ["claimed"]


def test_the_organisers_copy_wins_over_a_newer_one() -> None:
    organisers = candidate(event_id="evt_a", is_organizer=True, updated=NOW - FIVE_MINUTES)
    newer = candidate(event_id="evt_b")

    assert chosen(newer, organisers) == {"mtg_1": organisers}


def test_among_attendees_the_newest_copy_wins() -> None:
    older, newer = candidate(event_id="evt_b", updated=NOW - MINUTE), candidate(event_id="evt_a")

    assert leading_copy([newer, older]) == newer


def test_a_copy_without_an_update_time_is_the_oldest() -> None:
    undated, dated = candidate(event_id="evt_b", updated=None), candidate(event_id="evt_a", updated=NOW)

    assert leading_copy([undated, dated]) == dated


def test_there_is_no_leading_copy_of_none() -> None:
    with pytest.raises(ValueError, match="empty"):
        leading_copy([])


candidates = st.lists(
    st.builds(
        candidate,
        st.sampled_from(["mtg_1", "mtg_2", "mtg_3"]),
        event_id=st.integers(0, 99).map("evt_{:02}".format),
        starts_in=st.timedeltas(-HORIZON, 2 * HORIZON),
        lasts=st.timedeltas(MINUTE, HORIZON),
        updated=st.none() | st.datetimes(timezones=st.just(UTC), min_value=datetime(2020, 1, 1)),  # noqa: DTZ001
        is_organizer=st.booleans(),
    ),
    max_size=8,
    unique_by=lambda copy: copy.event_id,
)


@given(candidates, st.randoms(use_true_random=False))
def test_the_order_of_the_listing_changes_nothing(copies: list[Candidate], shuffling: random.Random) -> None:
    shuffled = list(copies)
    shuffling.shuffle(shuffled)

    assert list(chosen(*copies).items()) == list(chosen(*shuffled).items())


@given(candidates)
def test_every_near_meeting_that_has_not_ended_is_chosen_once(copies: list[Candidate]) -> None:
    near = {copy.meeting_key for copy in copies if copy.target.end_at > NOW and copy.target.join_at <= NOW + HORIZON}

    assert list(chosen(*copies)) == sorted(near)
    assert all(copy in copies and copy.meeting_key == key for key, copy in chosen(*copies).items())
