"""What one attempt came to, and what follows from it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from meetbot.domain.retry_after import retry_after
from meetbot.domain.webhook_schedule import RETRY_AFTER_LIMIT
from meetbot.domain.webhook_state import DeliveryState
from meetbot.temporal.messages import DeliveryResult, DeliveryVerdict

_GONE = 410


class Blame(StrEnum):
    """Who is at fault for a failed attempt. Only the endpoint's own failures can switch it off."""

    NOBODY = "nobody"
    ENDPOINT = "endpoint"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """What one attempt came to.

    ``status`` is the HTTP status if there was one; ``error`` a stable code if the attempt failed. ``text`` is the beginning
    of the answer.
    """

    blame: Blame
    status: int | None = None
    error: str | None = None
    retry_after_seconds: int = 0
    text: str | None = None
    milliseconds: int = 0

    @property
    def delivered(self) -> bool:
        """Return whether the endpoint took the message."""
        return self.blame is Blame.NOBODY

    @property
    def gone(self) -> bool:
        """Return whether the endpoint said that it is gone for good (410)."""
        return self.status == _GONE


def answered(status: int, retry_after_header: str | None, now: datetime) -> AttemptOutcome:
    """Return the outcome of an answer: 2xx is success.

    A redirect is not followed and fails like any other status.
    """
    if 200 <= status < 300:
        return AttemptOutcome(Blame.NOBODY, status)
    pause = retry_after(retry_after_header, now=now, at_most=RETRY_AFTER_LIMIT)
    return AttemptOutcome(
        Blame.ENDPOINT, status, _error(status), int(pause.total_seconds()) if pause is not None else 0
    )


def unanswered(code: str) -> AttemptOutcome:
    """Return the outcome of a request that did not get through, for a reason at the endpoint."""
    return AttemptOutcome(Blame.ENDPOINT, error=code)


def failed_here(code: str) -> AttemptOutcome:
    """Return the outcome of a failure of ours, such as a secret that does not open.

    It counts as an attempt and never against the endpoint.
    """
    return AttemptOutcome(Blame.SERVICE, error=code)


def state_after(outcome: AttemptOutcome, *, last: bool) -> DeliveryState:
    """Return how the delivery stands after an attempt, the `last` of its schedule or not."""
    if outcome.delivered:
        return DeliveryState.DELIVERED
    return DeliveryState.DEAD if last or outcome.gone else DeliveryState.PENDING


def result_after(outcome: AttemptOutcome, state: DeliveryState) -> DeliveryResult:
    """Return the result for the workflow; nothing else goes into its history."""
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
