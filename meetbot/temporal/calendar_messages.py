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


def calendar_check_workflow_id(tenant_id: str, calendar_user_id: str) -> str:
    """Return the workflow id of a check of a calendar user: one at a time."""
    return f"calendar-check/{tenant_id}/{calendar_user_id}"


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """Asks what only the worker can find out about a calendar user.

    ``asks_provider``: a request with the user's token is to be made, since nothing that is stored tells whether it is good.
    """

    tenant_id: str
    calendar_user_id: str
    asks_provider: bool = True


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What the worker found: `ANSWERED`, or the code of the failure; empty if it did not ask."""

    provider: str = ""
    backend: str = ""


ANSWERED = "answered"


@dataclass(frozen=True, slots=True)
class PushRequest:
    """Asks for the push channels of a calendar user to be put right."""

    tenant_id: str
    calendar_user_id: str
