"""Which meetings share a room's bot, by properties."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetbot.domain.bot_lifecycle import Action, DesiredState, ObservedState, SharedBot, next_action
from meetbot.domain.bot_state import BotState
from meetbot.domain.plan import Target
from meetbot.domain.rooms import Occupant, Schedule, occupant_for, room_id
from tests.unit.observed_bots import COMING, LEAD, MINUTE, NOW, RUNNING, bot, moved

minutes = st.integers(-300, 300)
lengths = st.integers(1, 240)


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    start = NOW + draw(minutes) * MINUTE
    return Schedule(start, start + draw(lengths) * MINUTE)


@given(schedules(), schedules())
def test_meetings_overlap_whichever_is_looked_at_first(one: Schedule, other: Schedule) -> None:
    assert one.overlaps(other) == other.overlaps(one)


@given(schedules(), schedules())
def test_meetings_overlap_if_some_minute_belongs_to_both(one: Schedule, other: Schedule) -> None:
    inside = one.start
    shared = False
    while inside < one.end:
        shared = shared or other.start <= inside < other.end
        inside += MINUTE
    assert one.overlaps(other) == shared


@given(schedules(), lengths, st.integers(0, 60))
def test_meetings_back_to_back_or_with_a_gap_share_nothing(one: Schedule, length: int, gap: int) -> None:
    start = one.end + gap * MINUTE
    later = Schedule(start, start + length * MINUTE)
    occupants = [Occupant("bot", [later])]
    assert occupant_for(one, occupants) is None
    assert occupant_for(later, [Occupant("bot", [one])]) is None


@given(schedules(), st.lists(schedules(), min_size=1, max_size=4))
def test_a_bot_is_shared_if_any_of_its_meetings_overlaps(one: Schedule, others: list[Schedule]) -> None:
    found = occupant_for(one, [Occupant("bot", others)])
    assert (found is not None) == any(one.overlaps(other) for other in others)


@given(schedules(), st.permutations([("a", 10), ("b", 20), ("c", 30)]))
def test_of_several_bots_the_one_with_the_longest_to_stay_is_shared(
    one: Schedule, lasting: list[tuple[str, int]]
) -> None:
    occupants = [Occupant(name, [Schedule(one.start, one.end + more * MINUTE)]) for name, more in lasting]
    found = occupant_for(one, occupants)
    assert found is not None
    assert found.bot_id == "c"


def test_a_room_is_a_platform_and_a_meeting_id_of_one_tenant() -> None:
    rooms = [("t1", "zoom", "1"), ("t2", "zoom", "1"), ("t1", "webex", "1"), ("t1", "zoom", "2")]
    assert len({room_id(*room) for room in rooms}) == len(rooms)


@pytest.mark.parametrize("meeting_id", [None, ""])
def test_a_link_without_a_meeting_id_has_no_room(meeting_id: str | None) -> None:
    assert room_id("t1", "zoom", meeting_id) is None


def sharing(target: Target, shared: SharedBot) -> ObservedState:
    return replace(bot(BotState.CANCELLED, target), shared=shared)


def other_bot(*, here: bool, completed: bool = False, schedule: Target = RUNNING) -> SharedBot:
    return SharedBot(here, completed, schedule.join_at, schedule.end_at)


def decided(observed: ObservedState, desired: DesiredState) -> Action:
    return next_action(observed, desired, now=NOW, lead=LEAD)


targets = st.sampled_from([RUNNING, COMING])
anothers = st.builds(other_bot, here=st.booleans(), completed=st.booleans(), schedule=targets)
desires = st.builds(
    DesiredState,
    target=st.none() | st.builds(moved, targets, minutes.map(lambda count: count * MINUTE)),
    suppressed=st.booleans(),
    expected=st.booleans(),
    over=st.booleans(),
    by_rules_only=st.booleans(),
    in_other_room=st.booleans(),
)


@given(targets, anothers, desires)
def test_a_meeting_that_shares_a_bot_never_touches_the_backend(
    target: Target, shared: SharedBot, desired: DesiredState
) -> None:
    action = decided(sharing(target, shared), desired)
    assert action in (Action.SHARE, Action.LEAVE, Action.CREATE, Action.NOTHING)


@given(targets, anothers, desires)
def test_a_bot_of_its_own_is_made_only_for_a_meeting_that_is_wanted(
    target: Target, shared: SharedBot, desired: DesiredState
) -> None:
    wanted = desired.target is not None and not desired.suppressed and desired.target.end_at > NOW
    action = decided(sharing(target, shared), desired)
    assert wanted or action not in (Action.CREATE, Action.SHARE)


@given(targets, st.booleans())
def test_an_unchanged_meeting_shares_while_the_bot_is_in_the_room(target: Target, completed: bool) -> None:
    shared = other_bot(here=True, completed=completed)
    assert decided(sharing(target, shared), DesiredState(target)) is Action.SHARE


@pytest.mark.parametrize("by", [-LEAD, LEAD])
def test_a_small_move_changes_nothing_about_the_sharing(by: timedelta) -> None:
    desired = DesiredState(moved(RUNNING, by))
    assert decided(sharing(RUNNING, other_bot(here=True)), desired) is Action.SHARE


@pytest.mark.parametrize(
    "desired",
    [DesiredState(moved(RUNNING, 2 * LEAD)), DesiredState(RUNNING, in_other_room=True)],
    ids=["moved", "another room"],
)
def test_a_meeting_that_moves_or_leaves_the_room_gets_a_bot_of_its_own(desired: DesiredState) -> None:
    assert decided(sharing(RUNNING, other_bot(here=True)), desired) is Action.CREATE


def test_a_meeting_that_outlasts_the_shared_bot_gets_a_bot_of_its_own() -> None:
    longer = replace(RUNNING, end_at=RUNNING.end_at + 2 * LEAD)
    shared = other_bot(here=False, completed=True)
    assert decided(sharing(longer, shared), DesiredState(longer)) is Action.CREATE


def test_a_room_booked_twice_for_one_call_has_had_its_bot() -> None:
    shared = other_bot(here=False, completed=True)
    assert decided(sharing(RUNNING, shared), DesiredState(RUNNING)) is Action.NOTHING


def test_a_shared_bot_that_failed_is_followed_by_an_own_one() -> None:
    shared = other_bot(here=False, completed=False)
    assert decided(sharing(RUNNING, shared), DesiredState(RUNNING)) is Action.CREATE


@pytest.mark.parametrize(
    ("desired", "action"),
    [
        (DesiredState(None), Action.LEAVE),
        (DesiredState(RUNNING, suppressed=True), Action.LEAVE),
        (DesiredState(None, over=True), Action.NOTHING),
        (DesiredState(None, by_rules_only=True), Action.NOTHING),
    ],
    ids=["cancelled", "cancelled by hand", "over", "left out by rules"],
)
def test_a_meeting_that_wants_no_bot_any_more_lets_go_of_the_shared_one(desired: DesiredState, action: Action) -> None:
    assert decided(sharing(RUNNING, other_bot(here=True)), desired) is action
