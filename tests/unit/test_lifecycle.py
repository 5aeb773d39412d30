"""The table of a bot's lifecycle, one line per test, and what holds for all of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetbot.domain.bot_lifecycle import Action, DesiredState, ObservedState, next_action
from meetbot.domain.bot_state import TERMINAL_STATES, BotState
from meetbot.domain.plan import Target

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LEAD = timedelta(seconds=90)
LINK, OTHER_LINK = "https://meet.example/a", "https://meet.example/b"

COMING = Target(NOW + 60 * MINUTE, NOW + 90 * MINUTE, LINK)
RUNNING = Target(NOW - 10 * MINUTE, NOW + 20 * MINUTE, LINK)
ENDED = Target(NOW - 30 * MINUTE, NOW, LINK)

IN_FLIGHT = [BotState.DISPATCHING, BotState.DISPATCHED]
IN_THE_MEETING = [BotState.JOINING, BotState.IN_CALL, BotState.RECORDING]
HAD_ITS_BOT = [BotState.COMPLETED, BotState.FAILED]


def bot(state: BotState, target: Target) -> ObservedState:
    return ObservedState(state, target.join_at, target.end_at, target.join_at - LEAD, target.meeting_url)


def moved(target: Target, by: timedelta) -> Target:
    return replace(target, join_at=target.join_at + by, end_at=target.end_at + by)


def action(
    observed: ObservedState | None,
    target: Target | None,
    *,
    suppressed: bool = False,
    expected: bool = True,
    now: datetime = NOW,
) -> Action:
    return next_action(observed, DesiredState(target, suppressed, expected), now=now, lead=LEAD)


# No bot yet


@pytest.mark.parametrize("target", [COMING, RUNNING])
def test_a_claimed_meeting_gets_its_bot(target: Target) -> None:
    assert action(None, target) is Action.CREATE


def test_a_meeting_nobody_claims_gets_none() -> None:
    assert action(None, None) is Action.NOTHING


def test_a_meeting_that_has_ended_gets_none() -> None:
    assert action(None, ENDED) is Action.NOTHING


def test_a_suppressed_meeting_gets_none() -> None:
    assert action(None, COMING, suppressed=True) is Action.NOTHING


# Waiting for its time


def test_a_waiting_bot_with_an_unchanged_claim_waits_on() -> None:
    assert action(bot(BotState.SCHEDULED, COMING), COMING) is Action.KEEP


@pytest.mark.parametrize(
    "target",
    [
        moved(COMING, MINUTE),
        moved(COMING, -30 * MINUTE),
        replace(COMING, meeting_url=OTHER_LINK),
        replace(COMING, end_at=COMING.end_at + MINUTE),
    ],
    ids=["later", "earlier", "other link", "longer"],
)
def test_a_waiting_bot_follows_every_change(target: Target) -> None:
    assert action(bot(BotState.SCHEDULED, COMING), target) is Action.RESCHEDULE


def test_a_waiting_bot_follows_a_changed_lead() -> None:
    sooner = replace(bot(BotState.SCHEDULED, COMING), dispatch_at=COMING.join_at - 2 * LEAD)

    assert action(sooner, COMING) is Action.RESCHEDULE


@pytest.mark.parametrize("state", [*IN_FLIGHT, *IN_THE_MEETING])
def test_a_changed_lead_leaves_a_sent_bot_alone(state: BotState) -> None:
    assert action(replace(bot(state, RUNNING), dispatch_at=RUNNING.join_at - 2 * LEAD), RUNNING) is Action.KEEP


def test_a_waiting_bot_without_a_claim_is_cancelled() -> None:
    assert action(bot(BotState.SCHEDULED, COMING), None, expected=False) is Action.CANCEL


def test_a_waiting_bot_of_a_user_who_disconnected_is_cancelled() -> None:
    assert action(bot(BotState.SCHEDULED, COMING), None, expected=True) is Action.CANCEL


def test_a_waiting_bot_that_a_person_cancels_is_cancelled_whatever_is_claimed() -> None:
    assert action(bot(BotState.SCHEDULED, COMING), COMING, suppressed=True) is Action.CANCEL


def test_a_waiting_bot_whose_meeting_passed_was_missed() -> None:
    assert action(bot(BotState.SCHEDULED, ENDED), None) is Action.MISS
    assert action(bot(BotState.SCHEDULED, ENDED), ENDED) is Action.MISS


def test_a_bot_nobody_expects_any_more_is_not_missed() -> None:
    assert action(bot(BotState.SCHEDULED, ENDED), None, expected=False) is Action.CANCEL
    assert action(bot(BotState.SCHEDULED, ENDED), None, suppressed=True) is Action.CANCEL


def test_a_meeting_moved_into_the_past_before_its_bot_went_is_cancelled() -> None:
    assert action(bot(BotState.SCHEDULED, COMING), ENDED) is Action.CANCEL


def test_a_meeting_prolonged_past_its_end_still_gets_its_bot() -> None:
    prolonged = replace(ENDED, end_at=NOW + 10 * MINUTE)

    assert action(bot(BotState.SCHEDULED, ENDED), prolonged) is Action.RESCHEDULE


# Sent off


@pytest.mark.parametrize("state", [*IN_FLIGHT, *IN_THE_MEETING, BotState.FINALIZING])
def test_a_bot_that_was_sent_stays_while_its_claim_stands(state: BotState) -> None:
    assert action(bot(state, RUNNING), RUNNING) is Action.KEEP


@pytest.mark.parametrize("state", [*IN_FLIGHT, *IN_THE_MEETING])
def test_a_sent_bot_whose_last_claim_is_gone_is_recalled(state: BotState) -> None:
    assert action(bot(state, RUNNING), None) is Action.WITHDRAW


@pytest.mark.parametrize("state", [*IN_FLIGHT, *IN_THE_MEETING])
def test_a_sent_bot_that_a_person_cancels_is_recalled(state: BotState) -> None:
    assert action(bot(state, RUNNING), RUNNING, suppressed=True) is Action.WITHDRAW
    assert action(bot(state, ENDED), None, suppressed=True) is Action.WITHDRAW


@pytest.mark.parametrize("state", [BotState.DISPATCHED, *IN_THE_MEETING])
def test_a_bot_in_a_meeting_that_runs_long_stays(state: BotState) -> None:
    assert action(bot(state, ENDED), None) is Action.KEEP
    assert action(bot(state, ENDED), ENDED) is Action.KEEP


def test_a_bot_that_the_backend_had_not_accepted_by_the_end_was_missed() -> None:
    assert action(bot(BotState.DISPATCHING, ENDED), None) is Action.MISS


@pytest.mark.parametrize("state", [BotState.DISPATCHED, *IN_THE_MEETING])
@pytest.mark.parametrize("by", [LEAD, -LEAD, MINUTE])
def test_a_sent_bot_is_not_disturbed_by_a_move_within_the_lead(state: BotState, by: timedelta) -> None:
    assert action(bot(state, RUNNING), moved(RUNNING, by)) is Action.KEEP


@pytest.mark.parametrize("state", [*IN_FLIGHT, *IN_THE_MEETING])
@pytest.mark.parametrize("by", [LEAD + timedelta(seconds=1), -LEAD - timedelta(seconds=1)])
def test_a_sent_bot_is_relocated_by_a_move_beyond_the_lead(state: BotState, by: timedelta) -> None:
    assert action(bot(state, RUNNING), moved(RUNNING, by)) is Action.RELOCATE


@pytest.mark.parametrize("state", [*IN_FLIGHT, *IN_THE_MEETING])
def test_a_sent_bot_is_relocated_to_another_link(state: BotState) -> None:
    assert action(bot(state, RUNNING), replace(RUNNING, meeting_url=OTHER_LINK)) is Action.RELOCATE


@pytest.mark.parametrize("state", [BotState.DISPATCHED, *IN_THE_MEETING])
def test_a_sent_bot_stays_in_a_meeting_that_is_prolonged(state: BotState) -> None:
    assert action(bot(state, RUNNING), replace(RUNNING, end_at=RUNNING.end_at + MINUTE)) is Action.KEEP


@pytest.mark.parametrize("target", [None, RUNNING, COMING, replace(RUNNING, meeting_url=OTHER_LINK)])
@pytest.mark.parametrize("suppressed", [True, False])
def test_a_bot_that_is_finalizing_is_left_to_it(target: Target | None, suppressed: bool) -> None:
    assert action(bot(BotState.FINALIZING, RUNNING), target, suppressed=suppressed) is Action.KEEP


@pytest.mark.parametrize("target", [moved(RUNNING, MINUTE), replace(RUNNING, end_at=RUNNING.end_at + 15 * MINUTE)])
def test_a_bot_the_backend_has_not_accepted_yet_follows_a_small_change(target: Target) -> None:
    """It is only sent for the claimed target: if it kept the old one, it would never go."""
    assert action(bot(BotState.DISPATCHING, RUNNING), target) is Action.RESCHEDULE


# At its end


@pytest.mark.parametrize("state", sorted(TERMINAL_STATES))
def test_nothing_follows_a_bots_end_without_a_claim(state: BotState) -> None:
    assert action(bot(state, RUNNING), None) is Action.NOTHING


@pytest.mark.parametrize("state", sorted(TERMINAL_STATES))
def test_a_suppressed_meeting_gets_no_further_bot(state: BotState) -> None:
    assert action(bot(state, RUNNING), replace(COMING, meeting_url=OTHER_LINK), suppressed=True) is Action.NOTHING


def test_a_missed_meeting_that_goes_on_after_all_gets_a_new_bot() -> None:
    assert action(bot(BotState.MISSED, ENDED), RUNNING) is Action.CREATE


def test_a_restored_meeting_gets_a_new_bot() -> None:
    assert action(bot(BotState.CANCELLED, COMING), COMING) is Action.CREATE


@pytest.mark.parametrize("state", HAD_ITS_BOT)
def test_a_meeting_that_had_its_bot_gets_no_second_one(state: BotState) -> None:
    assert action(bot(state, RUNNING), RUNNING) is Action.NOTHING
    assert action(bot(state, RUNNING), replace(RUNNING, end_at=RUNNING.end_at + MINUTE)) is Action.NOTHING


@pytest.mark.parametrize("state", HAD_ITS_BOT)
def test_a_meeting_that_moved_on_after_its_bot_gets_its_next_one(state: BotState) -> None:
    assert action(bot(state, RUNNING), moved(RUNNING, 24 * 60 * MINUTE)) is Action.CREATE
    assert action(bot(state, RUNNING), moved(RUNNING, LEAD)) is Action.NOTHING


@pytest.mark.parametrize("state", HAD_ITS_BOT)
def test_a_meeting_that_went_elsewhere_after_its_bot_gets_its_next_one(state: BotState) -> None:
    assert action(bot(state, RUNNING), replace(RUNNING, meeting_url=OTHER_LINK)) is Action.CREATE


# What holds for the whole table

states = st.sampled_from(list(BotState))
targets = st.builds(
    lambda starts_in, lasts, url: Target(NOW + starts_in, NOW + starts_in + lasts, url),
    st.integers(-180, 180).map(lambda minutes: minutes * MINUTE)
    | st.integers(-100, 100).map(lambda seconds: timedelta(seconds=seconds)),
    st.integers(1, 180).map(lambda minutes: minutes * MINUTE),
    st.sampled_from([LINK, OTHER_LINK]),
)
askings = st.none() | st.integers(-3600, 0).map(lambda seconds: NOW + timedelta(seconds=seconds))
bots = st.builds(
    lambda state, target, asked_at, being_recalled: replace(
        bot(state, target), asked_at=asked_at, being_recalled=being_recalled
    ),
    states,
    targets,
    askings,
    st.booleans(),
)
desired_states = st.builds(
    DesiredState,
    st.none() | targets,
    suppressed=st.booleans(),
    expected=st.booleans(),
    over=st.booleans(),
    by_rules_only=st.booleans(),
)


def decided(observed: ObservedState | None, desired: DesiredState) -> Action:
    return next_action(observed, desired, now=NOW, lead=LEAD)


@given(bots, desired_states)
def test_no_bot_is_created_beside_a_live_one(observed: ObservedState, desired: DesiredState) -> None:
    if observed.state not in TERMINAL_STATES:
        assert decided(observed, desired) is not Action.CREATE


@given(st.none() | bots, desired_states)
def test_a_suppressed_meeting_gets_no_bot_whatever_is_claimed(
    observed: ObservedState | None, desired: DesiredState
) -> None:
    assert decided(observed, replace(desired, suppressed=True)) not in (
        Action.CREATE,
        Action.RESCHEDULE,
        Action.RELOCATE,
    )


@given(st.none() | bots, desired_states)
def test_no_bot_is_made_or_moved_without_a_claim_on_a_meeting_that_goes_on(
    observed: ObservedState | None, desired: DesiredState
) -> None:
    if decided(observed, desired) in (Action.CREATE, Action.RESCHEDULE, Action.RELOCATE):
        assert desired.target is not None
        assert desired.target.end_at > NOW


@given(bots, desired_states)
def test_a_bot_that_may_be_in_a_meeting_is_never_just_written_off_before_its_end(
    observed: ObservedState, desired: DesiredState
) -> None:
    if observed.state not in (BotState.SCHEDULED, *TERMINAL_STATES):
        decision = decided(observed, desired)
        assert decision is not Action.CANCEL
        assert decision is not Action.MISS or observed.end_at <= NOW or desired.over


@given(bots, desired_states)
def test_a_recall_is_finished_whatever_is_wanted_meanwhile(observed: ObservedState, desired: DesiredState) -> None:
    if observed.being_recalled and observed.state not in (BotState.SCHEDULED, *TERMINAL_STATES):
        settled = (Action.RELOCATE, Action.WITHDRAW)
        assert decided(observed, desired) in (
            settled if observed.state is not BotState.DISPATCHING else (*settled, Action.MISS)
        )


@given(bots, desired_states)
def test_an_ended_bot_is_never_touched_again(observed: ObservedState, desired: DesiredState) -> None:
    if observed.state in TERMINAL_STATES and not (observed.state is BotState.MISSED and observed.asked_at):
        assert decided(observed, desired) in (Action.NOTHING, Action.CREATE)


@given(bots, desired_states)
def test_a_live_bot_is_never_overlooked(observed: ObservedState, desired: DesiredState) -> None:
    if observed.state not in TERMINAL_STATES:
        assert decided(observed, desired) is not Action.NOTHING


@given(desired_states)
def test_a_bot_just_created_is_kept(desired: DesiredState) -> None:
    if decided(None, desired) is Action.CREATE:
        assert desired.target is not None
        assert decided(bot(BotState.SCHEDULED, desired.target), desired) is Action.KEEP


@given(bots, desired_states)
def test_a_bot_just_rescheduled_is_kept(observed: ObservedState, desired: DesiredState) -> None:
    if decided(observed, desired) is Action.RESCHEDULE:
        assert desired.target is not None
        assert decided(bot(observed.state, desired.target), desired) is Action.KEEP


@given(bots, desired_states)
def test_whatever_is_still_to_be_sent_is_sent_for_what_is_claimed(
    observed: ObservedState, desired: DesiredState
) -> None:
    """A bot waits only for the very target that is claimed: dispatching refuses others."""
    if observed.state in (BotState.SCHEDULED, BotState.DISPATCHING) and decided(observed, desired) is Action.KEEP:
        assert desired.target is not None
        assert replace(observed, asked_at=None, being_recalled=False) == bot(observed.state, desired.target)


# Once it is over, be it because it was shortened


def test_a_waiting_bot_of_a_meeting_that_turns_out_to_be_over_was_missed() -> None:
    assert (
        next_action(bot(BotState.SCHEDULED, COMING), DesiredState(None, over=True), now=NOW, lead=LEAD) is Action.MISS
    )


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (BotState.DISPATCHED, Action.WITHDRAW),
        (BotState.JOINING, Action.WITHDRAW),
        (BotState.IN_CALL, Action.KEEP),
        (BotState.RECORDING, Action.KEEP),
        (BotState.FINALIZING, Action.KEEP),
    ],
)
def test_of_a_meeting_whose_end_was_moved_to_before_now_a_bot_in_the_call_stays(
    state: BotState, expected: Action
) -> None:
    assert next_action(bot(state, RUNNING), DesiredState(None, over=True), now=NOW, lead=LEAD) is expected


def test_an_unexpected_bot_that_the_backend_never_accepted_was_not_missed() -> None:
    assert action(bot(BotState.DISPATCHING, ENDED), None, expected=False) is Action.WITHDRAW


def test_small_moves_of_a_bot_that_may_be_out_add_up_since_it_was_asked_for() -> None:
    observed = replace(bot(BotState.DISPATCHING, RUNNING), asked_at=RUNNING.join_at - 3 * MINUTE)
    assert action(observed, moved(RUNNING, MINUTE)) is Action.RELOCATE
    assert action(replace(observed, asked_at=None), moved(RUNNING, MINUTE)) is Action.RESCHEDULE


def test_a_missed_bot_that_its_backend_may_have_is_recalled_before_another_is_made() -> None:
    observed = replace(bot(BotState.MISSED, ENDED), asked_at=ENDED.join_at)
    assert action(observed, COMING) is Action.WITHDRAW
    assert action(replace(observed, asked_at=None), COMING) is Action.CREATE


# Only rules leave the meeting out


@pytest.mark.parametrize("state", [BotState.DISPATCHED, *IN_THE_MEETING, BotState.FINALIZING])
def test_changed_rules_recall_no_bot_from_a_meeting(state: BotState) -> None:
    desired = DesiredState(None, by_rules_only=True, expected=False)
    assert next_action(bot(state, RUNNING), desired, now=NOW, lead=LEAD) is Action.KEEP


@pytest.mark.parametrize(
    ("state", "expected"), [(BotState.SCHEDULED, Action.CANCEL), (BotState.DISPATCHING, Action.WITHDRAW)]
)
def test_changed_rules_take_back_a_bot_that_is_not_on_its_way(state: BotState, expected: Action) -> None:
    desired = DesiredState(None, by_rules_only=True, expected=False)
    assert next_action(bot(state, COMING), desired, now=NOW, lead=LEAD) is expected


@pytest.mark.parametrize("state", IN_THE_MEETING)
def test_a_person_recalls_the_bot_whatever_the_rules_say(state: BotState) -> None:
    desired = DesiredState(None, suppressed=True, by_rules_only=True, expected=False)
    assert next_action(bot(state, RUNNING), desired, now=NOW, lead=LEAD) is Action.WITHDRAW
