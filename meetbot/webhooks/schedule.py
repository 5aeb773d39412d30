"""When an endpoint is tried again, and how long it may fail. Pure.

The gaps between attempts themselves travel in `meetbot.temporal.messages.WebhookStart`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

# An endpoint that took nothing for this long is switched off.
FAILING_LIMIT = timedelta(days=5)
RETRY_AFTER_LIMIT = timedelta(hours=24)

_SECONDS = re.compile(r"[0-9]{1,10}")


def retry_after_seconds(header: str | None, now: datetime) -> int:
    """An endpoint's ``Retry-After`` (RFC 9110, 10.2.3: seconds or an HTTP date) in seconds from ``now``.

    0 where it stated none or nonsense; never more than 24 hours.
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
