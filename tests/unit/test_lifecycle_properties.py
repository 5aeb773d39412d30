"""What holds for the whole table of a bot's lifecycle."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from meetbot.domain.bot_lifecycle import Action, DesiredState, ObservedState, next_action
from meetbot.domain.bot_state import TERMINAL_STATES, BotState
from meetbot.domain.plan import Target
from tests.unit.observed_bots import LEAD, LINK, MINUTE, NOW, OTHER_LINK, bot

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
    """A bot is kept waiting only for the very target that is claimed.

    Dispatching refuses any other.
    """
    if observed.state in (BotState.SCHEDULED, BotState.DISPATCHING) and decided(observed, desired) is Action.KEEP:
        assert desired.target is not None
        assert replace(observed, asked_at=None, being_recalled=False) == bot(observed.state, desired.target)
