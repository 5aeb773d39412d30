"""The slots at which a calendar is synced, at a phase of the calendar user's own."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta


def sync_phase(calendar_user_id: str, interval: timedelta) -> timedelta:
    """Return this user's place within the interval, evenly spread over all users.

    Without it a hundred thousand calendars would be read in the same second.
    """
    digest = hashlib.blake2b(calendar_user_id.encode(), digest_size=8).digest()
    return interval * (int.from_bytes(digest, "big") / 2**64)


def next_slot(now: datetime, interval: timedelta, phase: timedelta) -> datetime:
    """Return the first instant after ``now`` that is a whole number of intervals from the phase.

    Slots are counted from start to start: however long a sync takes, the rate stays the same.
    """
    epoch = datetime.fromtimestamp(0, tz=now.tzinfo) + phase
    return epoch + interval * ((now - epoch) // interval + 1)
