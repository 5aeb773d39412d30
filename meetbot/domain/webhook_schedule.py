"""The schedule of a webhook's attempts, and how long its endpoint may fail. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

RETRY_GAPS_SECONDS = (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""The published schedule: the wait before each attempt, counted from the one before, to which jitter is added.

At once, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h. A delivery carries the schedule that it was started with.
"""
FAILING_LIMIT = timedelta(days=5)
"""An endpoint that accepted nothing for this long is switched off."""
RETRY_AFTER_LIMIT = timedelta(hours=24)
"""An endpoint that asks for a longer wait is tried again after this one."""


def next_attempt_at(attempt: int, now: datetime, *, asked_seconds: int) -> datetime | None:
    """Return when the attempt after this one is made at the earliest, None if none is.

    ``attempt`` counts from 1 within the schedule. ``asked_seconds`` is the wait that the endpoint asked for.
    """
    if attempt >= len(RETRY_GAPS_SECONDS):
        return None
    return now + timedelta(seconds=max(RETRY_GAPS_SECONDS[attempt], asked_seconds))
