"""What one attempt came to, and what follows from it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from meetbot.domain.webhook_schedule import retry_after_seconds
from meetbot.temporal.messages import DeliveryResult, DeliveryVerdict

_GONE = 410


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


class EndpointState(StrEnum):
    ENABLED = "enabled"
    DISABLED = "disabled"


class DisabledReason(StrEnum):
    """Why an endpoint is switched off: its answer 410, five days of failure, or a person's wish."""

    GONE = "gone"
    FAILING = "failing"
    MANUAL = "manual"


class Blame(StrEnum):
    """Who is at fault for a failed attempt. Only the endpoint's own failures can switch it off."""

    NOBODY = "nobody"
    ENDPOINT = "endpoint"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Outcome:
    """``status`` is the HTTP status where there was one; ``error`` a stable code where the attempt failed."""

    blame: Blame
    status: int | None = None
    error: str | None = None
    retry_after_seconds: int = 0

    @property
    def delivered(self) -> bool:
        return self.blame is Blame.NOBODY

    @property
    def gone(self) -> bool:
        return self.status == _GONE


def answered(status: int, retry_after: str | None, now: datetime) -> Outcome:
    """2xx is success; a redirect is not followed and fails like any other status."""
    if 200 <= status < 300:
        return Outcome(Blame.NOBODY, status)
    return Outcome(Blame.ENDPOINT, status, _error(status), retry_after_seconds(retry_after, now))


def unanswered(code: str) -> Outcome:
    """The request did not get through, for a reason that lies at the endpoint."""
    return Outcome(Blame.ENDPOINT, error=code)


def unsigned(code: str) -> Outcome:
    """We could not sign it: the endpoint never heard of it."""
    return Outcome(Blame.SERVICE, error=code)


def state_after(outcome: Outcome, *, last: bool) -> DeliveryState:
    if outcome.delivered:
        return DeliveryState.DELIVERED
    return DeliveryState.DEAD if last or outcome.gone else DeliveryState.PENDING


def result_after(outcome: Outcome, state: DeliveryState) -> DeliveryResult:
    """What the workflow is told; nothing else goes into its history."""
    verdict = {
        DeliveryState.DELIVERED: DeliveryVerdict.DELIVERED,
        DeliveryState.PENDING: DeliveryVerdict.RETRY,
        DeliveryState.DEAD: DeliveryVerdict.STOP,
    }[state]
    return DeliveryResult(verdict, outcome.status or 0, outcome.retry_after_seconds)


def _error(status: int) -> str:
    if status == _GONE:
        return "gone"
    return "redirect" if 300 <= status < 400 else "http_status"
