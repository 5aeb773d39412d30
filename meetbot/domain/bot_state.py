"""The states of a bot, in the words of the public API, and which may follow which."""

from __future__ import annotations

from enum import StrEnum

from meetbot.domain.transitions import TransitionTable, checked


class BotState(StrEnum):
    """A bot's state as the public API names it."""

    SCHEDULED = "scheduled"
    DISPATCHING = "dispatching"
    DISPATCHED = "dispatched"
    JOINING = "joining"
    IN_CALL = "in_call"
    RECORDING = "recording"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    MISSED = "missed"


TERMINAL_STATES = frozenset({BotState.COMPLETED, BotState.FAILED, BotState.CANCELLED, BotState.MISSED})
LIVE_STATES = tuple(state for state in BotState if state not in TERMINAL_STATES)
"""A meeting has at most one bot in one of these; a unique index of the database holds that."""

SENT_STATES = tuple(state for state in LIVE_STATES if state is not BotState.SCHEDULED)
"""The backend has been asked for the bot, and it has not ended."""

# In the order in which a bot goes through them; a report of an earlier state than the known one is late news.
PROGRESS = (
    BotState.DISPATCHED,
    BotState.JOINING,
    BotState.IN_CALL,
    BotState.RECORDING,
    BotState.FINALIZING,
    BotState.COMPLETED,
    BotState.FAILED,
)

# Recalled and sent again, recalled for good, or ended by its backend: possible at any time once it was sent.
_AFTER_SENDING = frozenset({BotState.SCHEDULED, BotState.CANCELLED, BotState.FAILED})

BOT_TRANSITIONS: TransitionTable[BotState] = {
    BotState.SCHEDULED: frozenset({BotState.DISPATCHING, BotState.CANCELLED, BotState.MISSED}),
    # Each attempt to send it begins here again.
    BotState.DISPATCHING: _AFTER_SENDING | {BotState.DISPATCHING, BotState.DISPATCHED, BotState.MISSED},
    # Reports may be lost, so that states are skipped. One that ends in the call was in the call before.
    BotState.DISPATCHED: _AFTER_SENDING
    | {BotState.JOINING, BotState.IN_CALL, BotState.RECORDING, BotState.FINALIZING, BotState.MISSED},
    BotState.JOINING: _AFTER_SENDING | {BotState.IN_CALL, BotState.RECORDING, BotState.FINALIZING, BotState.MISSED},
    BotState.IN_CALL: _AFTER_SENDING | {BotState.RECORDING, BotState.FINALIZING, BotState.COMPLETED},
    BotState.RECORDING: _AFTER_SENDING | {BotState.FINALIZING, BotState.COMPLETED},
    BotState.FINALIZING: _AFTER_SENDING | {BotState.COMPLETED},
    BotState.COMPLETED: frozenset(),
    BotState.FAILED: frozenset(),
    BotState.CANCELLED: frozenset(),
    # Its backend says later that the bot was in the meeting after all.
    BotState.MISSED: frozenset({BotState.DISPATCHED}),
}


def followed_by(current: BotState, following: BotState) -> BotState:
    """Return ``following``; raises `IllegalTransition` unless it may follow ``current``."""
    return checked(BOT_TRANSITIONS, current, following)
