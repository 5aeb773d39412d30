"""Reading the ``Retry-After`` header (RFC 9110, section 10.2.3) of a server that we do not trust."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

# A longer number is more than any bound. Python's own conversion refuses very long ones.
_MOST_DIGITS = 9


def retry_after(header: str | None, *, now: datetime, at_most: timedelta) -> timedelta | None:
    """Return how long the server asks to be left alone, between zero and `at_most`.

    The header holds whole seconds or an HTTP date; `now` is timezone-aware. None if there is no header or it cannot be
    read. Never raises, whatever the header holds.
    """
    value = (header or "").strip()
    if value.isascii() and value.isdecimal():
        return min(timedelta(seconds=int(value[:_MOST_DIGITS])), at_most)
    try:
        instant = parsedate_to_datetime(value)
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=UTC)
        return min(max(instant - now, timedelta(0)), at_most)
    except (ValueError, OverflowError):
        return None
