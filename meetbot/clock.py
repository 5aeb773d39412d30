"""The wall clock. Whatever decides gets the time passed in; processes pass this."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the present instant, timezone-aware, in UTC."""
    return datetime.now(UTC)


def sleep_until(instant: datetime) -> None:
    """Return at `instant` or just after it, never before; at once if it has passed.

    Blocks the thread.
    """
    while (remaining := (instant - utc_now()).total_seconds()) > 0:
        time.sleep(remaining)
