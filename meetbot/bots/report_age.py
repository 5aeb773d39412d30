"""Whether a backend's report is recent enough to be believed. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from meetbot.errors import InvalidInput

OLDEST = timedelta(days=4)
"""The backend repeats a report that we did not take for 76 hours and some jitter, with the `emittedAt` of the first time."""

_LONGEST = 40


def is_fresh(emitted_at: object, now: datetime, *, clock_skew: timedelta) -> bool:
    """Return whether `emittedAt`, as it stands in the report, is between `OLDEST` ago and now.

    Raises `InvalidInput` (``invalid_report``) if it is no instant.
    """
    emitted = _instant(emitted_at)
    return now - OLDEST - clock_skew <= emitted <= now + clock_skew


def _instant(emitted_at: object) -> datetime:
    if isinstance(emitted_at, str) and len(emitted_at) <= _LONGEST:
        try:
            emitted = datetime.fromisoformat(emitted_at)
        except ValueError:
            pass
        else:
            if emitted.tzinfo is not None:
                return emitted
    raise InvalidInput("invalid_report", "the body is no report: emittedAt is needed, an instant with its offset")
