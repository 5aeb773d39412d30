"""What brings the known meetings to a plan, at once and in batches."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from meetbot.domain.plan import (
    PlanDifference,
    PlanEntry,
    as_known,
    compare_with_plan,
    first_batch,
    plan_digest,
)
from tests.unit.planning_times import MINUTE, NOW


def entry(
    key: str = "mtg_1",
    *,
    starts_in: timedelta = timedelta(hours=1),
    lasts: timedelta = timedelta(minutes=30),
    digest: str = "d_1",
    acknowledged: bool = False,
) -> PlanEntry:
    return PlanEntry(key, NOW + starts_in, NOW + starts_in + lasts, digest, acknowledged)


def keyed(*entries: PlanEntry) -> dict[str, PlanEntry]:
    return {one.meeting_key: one for one in entries}


def todo(known: list[PlanEntry], plan: list[PlanEntry]) -> PlanDifference:
    return compare_with_plan(keyed(*known), keyed(*plan), now=NOW)


def test_a_new_meeting_is_started() -> None:
    assert todo([], [entry()]) == PlanDifference(start=(entry(),))


def test_a_settled_meeting_is_left_alone() -> None:
    assert todo([entry()], [entry(acknowledged=True)]) == PlanDifference()


def test_a_claim_that_was_not_accepted_is_made_again() -> None:
    assert todo([entry()], [entry(acknowledged=False)]) == PlanDifference(start=(entry(),))


def test_a_moved_meeting_is_rescheduled() -> None:
    moved = entry(digest="d_2", starts_in=timedelta(hours=2))

    assert todo([entry()], [moved]) == PlanDifference(reschedule=(moved,))


def test_a_moved_meeting_is_rescheduled_even_if_its_bot_knows_from_a_colleague() -> None:
    moved = entry(digest="d_2", acknowledged=True)

    assert todo([entry()], [moved]) == PlanDifference(reschedule=(moved,))


def test_a_cancelled_meeting_is_released() -> None:
    assert todo([entry()], []) == PlanDifference(release=(entry(),))


def test_a_running_meeting_that_is_cancelled_is_released() -> None:
    running = entry(starts_in=-MINUTE)

    assert todo([running], []) == PlanDifference(release=(running,))


def test_a_meeting_that_is_over_is_forgotten_in_silence() -> None:
    over = entry(starts_in=-30 * MINUTE, lasts=30 * MINUTE)

    assert todo([over], []) == PlanDifference(forget=(over,))


entries = st.builds(
    entry,
    st.sampled_from([f"mtg_{number}" for number in range(6)]),
    starts_in=st.timedeltas(-timedelta(hours=2), timedelta(hours=48)),
    lasts=st.timedeltas(MINUTE, timedelta(hours=2)),
    digest=st.sampled_from(["d_1", "d_2", "d_3"]),
    acknowledged=st.booleans(),
)
plans = st.lists(entries, max_size=6, unique_by=lambda one: one.meeting_key).map(lambda some: keyed(*some))
knowledge = plans.map(lambda plan: {key: as_known(one) for key, one in plan.items()})


def applied(known: Mapping[str, PlanEntry], step: PlanDifference) -> dict[str, PlanEntry]:
    after = dict(known)
    for gone in (*step.release, *step.forget):
        del after[gone.meeting_key]
    for one in (*step.start, *step.reschedule):
        after[one.meeting_key] = as_known(one)
    return after


@given(knowledge, plans)
def test_carrying_a_reconciliation_out_always_reaches_the_plan(
    known: dict[str, PlanEntry], plan: dict[str, PlanEntry]
) -> None:
    after = applied(known, compare_with_plan(known, plan, now=NOW))

    assert {key: one.target_digest for key, one in after.items()} == {
        key: one.target_digest for key, one in plan.items()
    }


@given(knowledge, plans)
def test_once_carried_out_and_acknowledged_there_is_nothing_left_to_do(
    known: dict[str, PlanEntry], plan: dict[str, PlanEntry]
) -> None:
    after = applied(known, compare_with_plan(known, plan, now=NOW))
    acknowledged = {key: replace(one, acknowledged=True) for key, one in plan.items()}

    assert compare_with_plan(after, acknowledged, now=NOW) == PlanDifference()


@given(knowledge, plans)
def test_only_claims_not_accepted_are_made_again(known: dict[str, PlanEntry], plan: dict[str, PlanEntry]) -> None:
    again = compare_with_plan(applied(known, compare_with_plan(known, plan, now=NOW)), plan, now=NOW)

    assert again == PlanDifference(start=tuple(plan[key] for key in sorted(plan) if not plan[key].acknowledged))


@given(knowledge, plans, st.timedeltas(timedelta(), timedelta(hours=60)))
def test_nothing_is_released_after_its_end(
    known: dict[str, PlanEntry], plan: dict[str, PlanEntry], later: timedelta
) -> None:
    step = compare_with_plan(known, plan, now=NOW + later)

    assert all(one.end_at > NOW + later for one in step.release)
    assert all(one.end_at <= NOW + later for one in step.forget)


@given(knowledge, plans)
def test_no_meeting_is_handled_twice_at_once(known: dict[str, PlanEntry], plan: dict[str, PlanEntry]) -> None:
    step = compare_with_plan(known, plan, now=NOW)
    keys = [one.meeting_key for part in (step.start, step.reschedule, step.release, step.forget) for one in part]

    assert len(keys) == len(set(keys))


@given(knowledge, plans, st.randoms(use_true_random=False))
def test_the_order_of_the_work_depends_on_the_keys_alone(
    known: dict[str, PlanEntry], plan: dict[str, PlanEntry], shuffling: random.Random
) -> None:
    def shuffled(entries_by_key: dict[str, PlanEntry]) -> dict[str, PlanEntry]:
        items = list(entries_by_key.items())
        shuffling.shuffle(items)
        return dict(items)

    step = compare_with_plan(known, plan, now=NOW)

    assert step == compare_with_plan(shuffled(known), shuffled(plan), now=NOW)
    for part in (step.start, step.reschedule, step.release, step.forget):
        assert [one.meeting_key for one in part] == sorted(one.meeting_key for one in part)


@given(knowledge, plans, st.integers(1, 8))
def test_carrying_out_batch_after_batch_reaches_what_the_whole_does(
    known: dict[str, PlanEntry], plan: dict[str, PlanEntry], most: int
) -> None:
    step, there_is_more = first_batch(compare_with_plan(known, plan, now=NOW), known, most=most)
    after, parts = applied(known, step), 1
    while there_is_more:
        step, there_is_more = first_batch(compare_with_plan(after, plan, now=NOW), after, most=most)
        after, parts = applied(after, step), parts + 1

    assert {key: one.target_digest for key, one in after.items()} == {
        key: one.target_digest for key, one in plan.items()
    }
    assert parts <= max(1, -(-(len(known) + len(plan)) // most))


def test_the_nearest_meetings_come_first_and_claims_made_again_after_the_new_ones() -> None:
    again, near, far = entry("mtg_a"), entry("mtg_b", starts_in=2 * MINUTE), entry("mtg_c", starts_in=3 * MINUTE)
    known = keyed(again)

    whole = compare_with_plan(known, keyed(again, near, far), now=NOW)

    assert first_batch(whole, known, most=1) == (PlanDifference(start=(near,)), True)
    assert first_batch(whole, known, most=2) == (PlanDifference(start=(near, far)), False)
    assert first_batch(whole, known, most=3) == (whole, False)


@given(plans, plans)
def test_two_plans_share_a_digest_only_if_nothing_differs_that_counts(
    one: dict[str, PlanEntry], other: dict[str, PlanEntry]
) -> None:
    def that_counts(plan: dict[str, PlanEntry]) -> list[tuple[str, str, bool]]:
        return [(some.meeting_key, some.target_digest, some.acknowledged) for some in plan.values()]

    same = plan_digest(one.values()) == plan_digest(other.values())

    assert same == (that_counts(one) == that_counts(other))
