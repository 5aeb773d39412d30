"""The states of a calendar user, in the words of the public API."""

from __future__ import annotations

from enum import StrEnum


class CalendarUserStatus(StrEnum):
    """How a calendar user's connection stands."""

    CONNECTING = "connecting"
    ACTIVE = "active"
    NEEDS_RECONNECT = "needs_reconnect"
    DISCONNECTING = "disconnecting"
