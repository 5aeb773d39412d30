"""The slots of the sync loop."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise, product

from hypothesis import given
from hypothesis import strategies as st

from meetbot.domain.sync_slots import next_slot, sync_phase
from tests.unit.planning_times import FIVE_MINUTES, MINUTE, NOW, instants

user_ids = st.integers(0, 10**9).map("cu_{}".format)
intervals = st.integers(1, 3600).map(lambda seconds: timedelta(seconds=seconds))


@given(instants, intervals, user_ids)
def test_the_next_slot_lies_ahead_and_at_most_one_interval_away(
    now: datetime, interval: timedelta, user_id: str
) -> None:
    slot = next_slot(now, interval, sync_phase(user_id, interval))

    assert now < slot <= now + interval


@given(instants, intervals, user_ids, st.floats(0, 0.999))
def test_slots_come_at_a_fixed_rate_however_long_a_sync_takes(
    now: datetime, interval: timedelta, user_id: str, taken: float
) -> None:
    phase = sync_phase(user_id, interval)
    slot = next_slot(now, interval, phase)

    assert next_slot(slot + interval * taken, interval, phase) in (slot + interval, slot + 2 * interval)
    assert next_slot(slot, interval, phase) == slot + interval


def test_a_sync_that_overran_its_slot_waits_for_the_one_after() -> None:
    first = next_slot(NOW, FIVE_MINUTES, timedelta(seconds=7))

    assert next_slot(first + 6 * MINUTE, FIVE_MINUTES, timedelta(seconds=7)) == first + 2 * FIVE_MINUTES


def test_slots_do_not_depend_on_when_the_workflow_was_started() -> None:
    phase = sync_phase("cu_1", FIVE_MINUTES)
    slots = {next_slot(NOW + timedelta(seconds=step), FIVE_MINUTES, phase) for step in range(3600)}

    assert {later - earlier for earlier, later in pairwise(sorted(slots))} == {FIVE_MINUTES}


@given(user_ids, intervals)
def test_a_users_phase_lies_within_the_interval_and_never_changes(user_id: str, interval: timedelta) -> None:
    assert timedelta() <= sync_phase(user_id, interval) <= interval
    assert sync_phase(user_id, interval) == sync_phase(user_id, interval)


def test_the_phases_of_many_users_spread_evenly_over_the_interval() -> None:
    seconds = [0] * 300
    for group, number in product(range(100), range(300)):
        seconds[min(299, int(sync_phase(f"cu_{group}_{number}", FIVE_MINUTES).total_seconds()))] += 1

    # 30,000 users on 300 seconds: 100 each, of which a fair draw strays by less than six standard deviations.
    assert max(seconds) < 160
    assert min(seconds) > 40
