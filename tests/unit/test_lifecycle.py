"""What becomes of a meeting's bot: the whole table, one line of it per test."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from meetbot.domain.bot_lifecycle import Action, DesiredState, next_action
from meetbot.domain.bot_state import TERMINAL_STATES, BotState
from meetbot.domain.plan import Target
from tests.unit.observed_bots import (
    COMING,
    ENDED,
    HAD_ITS_BOT,
    IN_FLIGHT,
    IN_THE_MEETING,
    LEAD,
    MINUTE,
    NOW,
    OTHER_LINK,
    RUNNING,
    action,
    bot,
    moved,
)

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
