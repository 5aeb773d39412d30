"""Messages between the loop of a calendar and its activities besides the sync."""

from __future__ import annotations

from dataclasses import dataclass

from meetbot.domain.calendar_user import CalendarUserStatus

UNCHANGED = "Unchanged"
"""The type of the failure by which a poll that found nothing new is repeated at the next slot."""


@dataclass(frozen=True, slots=True)
class WatchRequest:
    """Asks to poll a calendar until there is something to tell.

    ``plan_digest``, ``state`` and ``wait_seconds`` are what the workflow knows. ``at_once``: the first poll does not wait for a
    slot.
    """

    tenant_id: str
    calendar_user_id: str
    plan_digest: str
    state: CalendarUserStatus
    interval_seconds: int
    at_once: bool
    wait_seconds: int = 0


@dataclass(frozen=True, slots=True)
class PushRequest:
    """Asks for the push channels of a calendar user to be put right."""

    tenant_id: str
    calendar_user_id: str
