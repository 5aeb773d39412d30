"""The states of a bot, in the words of the public API."""

from __future__ import annotations

from enum import StrEnum


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
