"""When a webhook is tried again, and how long its endpoint may fail. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

RETRY_GAPS_SECONDS = (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""The published schedule: the wait before each attempt, counted from the one before, to which jitter is added.

At once, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h. A delivery carries the schedule that it was started with.
"""
FAILING_LIMIT = timedelta(days=5)
"""An endpoint that accepted nothing for this long is switched off."""
RETRY_AFTER_LIMIT = timedelta(hours=24)
"""An endpoint that asks for a longer wait is tried again after this one."""

_SECONDS = re.compile(r"[0-9]{1,10}")


def retry_after_seconds(header: str | None, now: datetime) -> int:
    """Return the seconds from ``now`` that an endpoint's ``Retry-After`` asks for.

    It is a number of seconds or an HTTP date (RFC 9110, 10.2.3). 0 if there is none or it is nonsense; 24 hours at most.
    """
    if header is None:
        return 0
    value = header.strip()
    seconds = int(value) if _SECONDS.fullmatch(value) else _seconds_until(value, now)
    return min(max(seconds, 0), int(RETRY_AFTER_LIMIT.total_seconds()))


def _seconds_until(http_date: str, now: datetime) -> int:
    try:
        instant = parsedate_to_datetime(http_date)
    except ValueError:
        return 0
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return int((instant - now).total_seconds())
