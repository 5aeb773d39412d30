"""When each of many bots due together is armed, looked at again and claimed. Pure.

Arming is the costly part and may come early: it is spread over a window that grows with the number. The last look may not:
a change one second before the dispatch counts.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta

# One bot's arming through Temporal takes a tenth of a second of CPU time; two cores do it in this time.
_ARMING_EACH = timedelta(milliseconds=60)
_LONGEST_WINDOW = timedelta(minutes=2)
# So few arm at once.
_FEW = 10
_LOOK_AHEAD = timedelta(milliseconds=800)
# A change before this counts for every bot.
_EARLIEST_LOOK = timedelta(milliseconds=950)
_LATEST_LOOK = timedelta(milliseconds=300)
_LOOK_EACH = timedelta(milliseconds=2)
_CLAIM_AHEAD = timedelta(milliseconds=30)
_CLAIM_EACH = timedelta(microseconds=500)
_EARLIEST_CLAIM = timedelta(milliseconds=250)


def arming_window(due_together: int) -> timedelta:
    """Return over how long the arming of so many bots is spread.

    Not at all for a few; over a minute for a thousand.
    """
    return min(due_together * _ARMING_EACH, _LONGEST_WINDOW) if due_together > _FEW else timedelta()


def arming_offset(bot_id: str, due_together: int) -> timedelta:
    """Return how much earlier than needed this one of them is armed."""
    return arming_window(due_together) * place_of(bot_id)


def look_ahead(bot_id: str, due_together: int) -> timedelta:
    """Return how long before the instant the provider is asked for the last time."""
    spread = due_together * _LOOK_EACH
    earliest = min(_LOOK_AHEAD + spread, _EARLIEST_LOOK)
    latest = max(_LOOK_AHEAD - spread, _LATEST_LOOK)
    return earliest - (earliest - latest) * place_of(bot_id)


def claim_ahead(due_together: int) -> timedelta:
    """Return how long before the instant the intents are written.

    As late as can be: after it, a cancellation has to recall the bot.
    """
    return min(_CLAIM_AHEAD + due_together * _CLAIM_EACH, _EARLIEST_CLAIM)


def place_of(bot_id: str) -> float:
    """Return where in a spread the bot is, from 0 to 1, the same in every process."""
    return int.from_bytes(hashlib.sha256(bot_id.encode()).digest()[:4]) / 2**32
