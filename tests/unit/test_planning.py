"""Keys, plans, what brings the known meetings to a plan, and the slots of the loop."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetbot.domain.identity import meeting_key, series_key
from meetbot.domain.plan import (
    Candidate,
    PlanEntry,
    Reconciliation,
    Target,
    as_known,
    choose_candidates,
    first_batch,
    plan_digest,
    reconcile,
)
from meetbot.domain.sync_slots import next_slot, sync_phase

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HORIZON = timedelta(hours=48)
MINUTE = timedelta(minutes=1)
FIVE_MINUTES = timedelta(minutes=5)


# Meeting keys


def key_of(
    *,
    tenant_id: str = "tnt_1",
    ical_uid: str | None = "uid-1",
    original_start: datetime | None = None,
    calendar_user_id: str = "cu_1",
    calendar_id: str = "primary",
    provider_event_id: str = "event-1",
) -> str:
    return meeting_key(
        tenant_id,
        ical_uid,
        original_start,
        calendar_user_id=calendar_user_id,
        calendar_id=calendar_id,
        provider_event_id=provider_event_id,
    )


def test_colleagues_copies_of_one_meeting_share_its_key() -> None:
    anna = key_of(calendar_user_id="cu_anna", calendar_id="a", provider_event_id="1")

    assert anna == key_of(calendar_user_id="cu_ben", calendar_id="b", provider_event_id="2")


def test_two_tenants_never_share_a_key() -> None:
    assert key_of(tenant_id="tnt_1") != key_of(tenant_id="tnt_2")


def test_each_occurrence_of_a_series_is_a_meeting_of_its_own() -> None:
    assert key_of(original_start=NOW) != key_of(original_start=NOW + timedelta(days=7))


def test_an_occurrence_is_the_same_in_whatever_zone_its_original_start_is_told() -> None:
    in_another_zone = NOW.astimezone(tz=None)

    assert key_of(original_start=NOW) == key_of(original_start=in_another_zone)


def test_an_occurrence_is_not_its_series() -> None:
    assert key_of(original_start=NOW) != key_of(original_start=None)


@pytest.mark.parametrize("differing", ["tenant_id", "calendar_user_id", "calendar_id", "provider_event_id"])
def test_an_event_without_a_uid_stands_alone(differing: str) -> None:
    assert key_of(ical_uid=None) != key_of(ical_uid=None, **{differing: "another"})  # type: ignore[arg-type]


def test_an_event_without_a_uid_keeps_its_key() -> None:
    assert key_of(ical_uid=None) == key_of(ical_uid=None, original_start=NOW)


def test_a_uid_that_reads_like_an_event_id_meets_no_event_without_a_uid() -> None:
    assert key_of(ical_uid="event-1") != key_of(ical_uid=None, provider_event_id="event-1")


uids = st.text(min_size=1, max_size=40)
instants = st.datetimes(
    min_value=datetime(2020, 1, 1),  # noqa: DTZ001 - the zone is drawn apart
    max_value=datetime(2040, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
).map(lambda instant: instant.replace(microsecond=0))
identities = st.tuples(st.sampled_from(["tnt_1", "tnt_2"]), uids, st.none() | instants)


@given(identities, identities)
def test_two_meetings_share_a_key_only_where_they_are_one(
    one: tuple[str, str, datetime | None], other: tuple[str, str, datetime | None]
) -> None:
    keys = [key_of(tenant_id=tenant, ical_uid=uid, original_start=start) for tenant, uid, start in (one, other)]

    assert (keys[0] == keys[1]) == (one == other)


@given(identities)
def test_a_key_is_fit_for_a_workflow_id_and_tells_nothing(identity: tuple[str, str, datetime | None]) -> None:
    tenant, uid, start = identity
    kind, _, opaque = key_of(tenant_id=tenant, ical_uid=uid, original_start=start).partition("_")

    assert kind == "mtg"
    assert len(opaque) == 26
    assert opaque.isalnum()
    assert opaque.islower() or opaque.isdigit()


# Series keys


def test_all_occurrences_share_the_series_key() -> None:
    assert series_key("tnt_1", "abc@google.com", fallback="x") == series_key("tnt_1", "abc@google.com", fallback="y")


@pytest.mark.parametrize("split", ["abc_R20260302@google.com", "abc_R20260302T090000@google.com"])
def test_a_split_on_google_stays_in_its_series(split: str) -> None:
    assert series_key("tnt_1", split, fallback="x") == series_key("tnt_1", "abc@google.com", fallback="x")


@pytest.mark.parametrize(
    "other", ["abc_R2026@google.com", "abc_R20260302", "abc_r20260302@google.com", "abd@google.com"]
)
def test_what_only_looks_like_a_split_is_another_series(other: str) -> None:
    assert series_key("tnt_1", other, fallback="x") != series_key("tnt_1", "abc@google.com", fallback="x")


def test_without_a_uid_the_series_is_what_the_provider_calls_it() -> None:
    assert series_key("tnt_1", None, fallback="x") == series_key("tnt_1", None, fallback="x")
    assert series_key("tnt_1", None, fallback="x") != series_key("tnt_1", None, fallback="y")
    assert series_key("tnt_1", None, fallback="x") != series_key("tnt_1", "x", fallback="x")


def test_tenants_share_no_series() -> None:
    assert series_key("tnt_1", "abc@google.com", fallback="x") != series_key("tnt_2", "abc@google.com", fallback="x")


# Targets and candidates


def candidate(
    key: str = "mtg_1",
    *,
    event_id: str = "evt_1",
    starts_in: timedelta = timedelta(hours=1),
    lasts: timedelta = timedelta(minutes=30),
    updated: datetime | None = NOW,
    is_organizer: bool = False,
    is_claimed: bool = False,
    url: str = "https://meet.example/a",
) -> Candidate:
    target = Target(NOW + starts_in, NOW + starts_in + lasts, url)
    return Candidate(event_id, key, target, updated, is_organizer, is_claimed)


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

    assert chosen(newer, older) == {"mtg_1": newer}


def test_a_copy_without_an_update_time_is_the_oldest() -> None:
    undated, dated = candidate(event_id="evt_b", updated=None), candidate(event_id="evt_a", updated=NOW)

    assert chosen(undated, dated) == {"mtg_1": dated}


def test_the_copy_that_is_claimed_already_wins_over_a_newer_one() -> None:
    claimed, newer = candidate(event_id="evt_a", is_claimed=True), candidate(event_id="evt_b", is_organizer=True)

    assert chosen(newer, claimed) == {"mtg_1": claimed}


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


# Reconciliation


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


def todo(known: list[PlanEntry], plan: list[PlanEntry]) -> Reconciliation:
    return reconcile(keyed(*known), keyed(*plan), now=NOW)


def test_a_new_meeting_is_started() -> None:
    assert todo([], [entry()]) == Reconciliation(start=(entry(),))


def test_a_settled_meeting_is_left_alone() -> None:
    assert todo([entry()], [entry(acknowledged=True)]) == Reconciliation()


def test_a_claim_that_was_not_accepted_is_made_again() -> None:
    assert todo([entry()], [entry(acknowledged=False)]) == Reconciliation(start=(entry(),))


def test_a_moved_meeting_is_rescheduled() -> None:
    moved = entry(digest="d_2", starts_in=timedelta(hours=2))

    assert todo([entry()], [moved]) == Reconciliation(reschedule=(moved,))


def test_a_moved_meeting_is_rescheduled_even_if_its_bot_knows_from_a_colleague() -> None:
    moved = entry(digest="d_2", acknowledged=True)

    assert todo([entry()], [moved]) == Reconciliation(reschedule=(moved,))


def test_a_cancelled_meeting_is_released() -> None:
    assert todo([entry()], []) == Reconciliation(release=(entry(),))


def test_a_running_meeting_that_is_cancelled_is_released() -> None:
    running = entry(starts_in=-MINUTE)

    assert todo([running], []) == Reconciliation(release=(running,))


def test_a_meeting_that_is_over_is_forgotten_in_silence() -> None:
    over = entry(starts_in=-30 * MINUTE, lasts=30 * MINUTE)

    assert todo([over], []) == Reconciliation(forget=(over,))


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


def applied(known: Mapping[str, PlanEntry], step: Reconciliation) -> dict[str, PlanEntry]:
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
    after = applied(known, reconcile(known, plan, now=NOW))

    assert {key: one.target_digest for key, one in after.items()} == {
        key: one.target_digest for key, one in plan.items()
    }


@given(knowledge, plans)
def test_once_carried_out_and_acknowledged_there_is_nothing_left_to_do(
    known: dict[str, PlanEntry], plan: dict[str, PlanEntry]
) -> None:
    after = applied(known, reconcile(known, plan, now=NOW))
    acknowledged = {key: replace(one, acknowledged=True) for key, one in plan.items()}

    assert reconcile(after, acknowledged, now=NOW) == Reconciliation()


@given(knowledge, plans)
def test_only_claims_not_accepted_are_made_again(known: dict[str, PlanEntry], plan: dict[str, PlanEntry]) -> None:
    again = reconcile(applied(known, reconcile(known, plan, now=NOW)), plan, now=NOW)

    assert again == Reconciliation(start=tuple(plan[key] for key in sorted(plan) if not plan[key].acknowledged))


@given(knowledge, plans, st.timedeltas(timedelta(), timedelta(hours=60)))
def test_nothing_is_released_after_its_end(
    known: dict[str, PlanEntry], plan: dict[str, PlanEntry], later: timedelta
) -> None:
    step = reconcile(known, plan, now=NOW + later)

    assert all(one.end_at > NOW + later for one in step.release)
    assert all(one.end_at <= NOW + later for one in step.forget)


@given(knowledge, plans)
def test_no_meeting_is_handled_twice_at_once(known: dict[str, PlanEntry], plan: dict[str, PlanEntry]) -> None:
    step = reconcile(known, plan, now=NOW)
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

    step = reconcile(known, plan, now=NOW)

    assert step == reconcile(shuffled(known), shuffled(plan), now=NOW)
    for part in (step.start, step.reschedule, step.release, step.forget):
        assert [one.meeting_key for one in part] == sorted(one.meeting_key for one in part)


@given(knowledge, plans, st.integers(1, 8))
def test_carrying_out_batch_after_batch_reaches_what_the_whole_does(
    known: dict[str, PlanEntry], plan: dict[str, PlanEntry], most: int
) -> None:
    step, there_is_more = first_batch(reconcile(known, plan, now=NOW), known, most=most)
    after, parts = applied(known, step), 1
    while there_is_more:
        step, there_is_more = first_batch(reconcile(after, plan, now=NOW), after, most=most)
        after, parts = applied(after, step), parts + 1

    assert {key: one.target_digest for key, one in after.items()} == {
        key: one.target_digest for key, one in plan.items()
    }
    assert parts <= max(1, -(-(len(known) + len(plan)) // most))


def test_the_nearest_meetings_come_first_and_claims_made_again_after_the_new_ones() -> None:
    again, near, far = entry("mtg_a"), entry("mtg_b", starts_in=2 * MINUTE), entry("mtg_c", starts_in=3 * MINUTE)
    known = keyed(again)

    whole = reconcile(known, keyed(again, near, far), now=NOW)

    assert first_batch(whole, known, most=1) == (Reconciliation(start=(near,)), True)
    assert first_batch(whole, known, most=2) == (Reconciliation(start=(near, far)), False)
    assert first_batch(whole, known, most=3) == (whole, False)


@given(plans, plans)
def test_two_plans_share_a_digest_only_if_nothing_differs_that_counts(
    one: dict[str, PlanEntry], other: dict[str, PlanEntry]
) -> None:
    def that_counts(plan: dict[str, PlanEntry]) -> list[tuple[str, str, bool]]:
        return [(some.meeting_key, some.target_digest, some.acknowledged) for some in plan.values()]

    same = plan_digest(one.values()) == plan_digest(other.values())

    assert same == (that_counts(one) == that_counts(other))


# Slots

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
