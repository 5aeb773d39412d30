"""The states of a dispatch, on which exactly-once rests, and which may follow which."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from meetbot.domain.transitions import TransitionTable, checked


class DispatchState(StrEnum):
    """What is known of one request to the backend for one generation of a bot.

    `INTENDED`: written before the backend is asked; until its answer is stored, it may or may not have the bot.
    `NOT_ACCEPTED`: the backend surely did not act. `ACCEPTED`: it has the bot. `REFUSED`: it said no for good.
    `RECALLED`: whatever it had is taken back.
    """

    INTENDED = "intended"
    NOT_ACCEPTED = "not_accepted"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    RECALLED = "recalled"


DISPATCH_TRANSITIONS: TransitionTable[DispatchState] = {
    # Intended again: asked once more, its answer still outstanding.
    DispatchState.INTENDED: frozenset(DispatchState),
    DispatchState.NOT_ACCEPTED: frozenset({DispatchState.INTENDED, DispatchState.ACCEPTED, DispatchState.RECALLED}),
    DispatchState.ACCEPTED: frozenset({DispatchState.RECALLED}),
    # Intended again: a late answer says that the backend has the bot all the same, and it must be recalled (once more).
    DispatchState.REFUSED: frozenset({DispatchState.INTENDED, DispatchState.RECALLED}),
    DispatchState.RECALLED: frozenset({DispatchState.INTENDED, DispatchState.RECALLED}),
}

_OUT = frozenset({DispatchState.INTENDED, DispatchState.ACCEPTED})


def followed_by(current: DispatchState, following: DispatchState) -> DispatchState:
    """Return ``following``; raises `IllegalTransition` unless it may follow ``current``."""
    return checked(DISPATCH_TRANSITIONS, current, following)


def may_be_out(state: DispatchState) -> bool:
    """Return whether the backend has or may have the bot, and has not taken it back for good."""
    return state in _OUT


def is_being_recalled(state: DispatchState, recalled_at: datetime | None) -> bool:
    """Return whether the recall has begun and is not settled.

    It is finished whatever happens meanwhile, since the backend may have been told already; and only whoever recalls the
    bot says what becomes of it: cancelled, or sent again.
    """
    return may_be_out(state) and recalled_at is not None
