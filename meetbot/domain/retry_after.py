"""The `Retry-After` header of an HTTP answer (RFC 9110, 10.2.3). Pure.

The sender is not trusted: every value is bounded before anything is computed with it.
"""

from __future__ import annotations

import email.utils
from datetime import UTC, datetime, timedelta

# The longest HTTP date ("Wednesday, 09-Nov-94 08:49:37 GMT") has 33 characters.
_LONGEST_DATE = 48
# More digits than this are cut off before the text becomes a number: nine digits of seconds are 31 years.
_MOST_DIGITS = 9


def retry_after(header: str | None, *, now: datetime, at_most: timedelta) -> timedelta | None:
    """Return how long the sender asks us to wait, from zero to `at_most`.

    The header holds seconds or an HTTP date; a date that has passed means no wait. None if there is no header, or if
    it holds neither. `now` is timezone-aware. Never raises, whatever the header holds.
    """
    value = (header or "").strip()
    if value.isascii() and value.isdigit():
        return _seconds(value, at_most)
    moment = _moment(value)
    return None if moment is None else min(max(moment - now, timedelta(0)), at_most)


def _seconds(digits: str, at_most: timedelta) -> timedelta:
    significant = digits.lstrip("0")
    if len(significant) > _MOST_DIGITS:
        return at_most
    return min(timedelta(seconds=int(significant or "0")), at_most)


def _moment(text: str) -> datetime | None:
    if not text or len(text) > _LONGEST_DATE:
        return None
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        # The standard library raises all of these for dates that are malformed or out of range.
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
