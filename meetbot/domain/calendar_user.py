"""The states of a calendar user, defined once for database, workflow and API."""

from __future__ import annotations

from enum import StrEnum


class CalendarUserStatus(StrEnum):
    """State of a calendar user: `CONNECTING` until the first sync, then `ACTIVE`.

    `NEEDS_RECONNECT` if the provider withdrew access, `DISCONNECTING` while its bots are released and its data erased.
    `GONE` is never stored: a sync says so if the row is no longer there, and the workflow ends.
    """

    CONNECTING = "connecting"
    ACTIVE = "active"
    NEEDS_RECONNECT = "needs_reconnect"
    DISCONNECTING = "disconnecting"
    GONE = "gone"


CONNECTED = frozenset({CalendarUserStatus.CONNECTING, CalendarUserStatus.ACTIVE})
"""The states in which the calendar is read."""

ENDED = frozenset({CalendarUserStatus.DISCONNECTING, CalendarUserStatus.GONE})
"""The states in which nothing of the calendar is recorded any more and its workflow ends."""
