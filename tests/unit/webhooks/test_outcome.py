from __future__ import annotations

from datetime import UTC, datetime

import pytest

from meetbot.temporal.messages import DeliveryResult, DeliveryVerdict
from meetbot.webhooks.outcome import (
    Blame,
    DeliveryState,
    answered,
    result_after,
    state_after,
    unanswered,
    unsigned,
)

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_is_success(status: int) -> None:
    outcome = answered(status, None, NOW)

    assert outcome.delivered
    assert state_after(outcome, last=True) is DeliveryState.DELIVERED
    assert result_after(outcome, DeliveryState.DELIVERED) == DeliveryResult(DeliveryVerdict.DELIVERED, status)


@pytest.mark.parametrize(
    ("status", "error"),
    [(100, "http_status"), (301, "redirect"), (304, "redirect"), (400, "http_status"), (500, "http_status")],
)
def test_any_other_status_is_a_failure_of_the_endpoint(status: int, error: str) -> None:
    outcome = answered(status, None, NOW)

    assert (outcome.blame, outcome.error) == (Blame.ENDPOINT, error)
    assert state_after(outcome, last=False) is DeliveryState.PENDING


def test_410_ends_the_delivery_at_once() -> None:
    outcome = answered(410, None, NOW)

    assert (outcome.gone, outcome.error) == (True, "gone")
    assert state_after(outcome, last=False) is DeliveryState.DEAD


def test_the_last_failure_is_the_end() -> None:
    outcome = unanswered("timeout")

    assert state_after(outcome, last=True) is DeliveryState.DEAD
    assert result_after(outcome, DeliveryState.DEAD) == DeliveryResult(DeliveryVerdict.STOP)


def test_the_workflow_is_told_how_long_the_endpoint_wants_to_be_left_alone() -> None:
    outcome = answered(503, "120", NOW)

    assert result_after(outcome, DeliveryState.PENDING) == DeliveryResult(DeliveryVerdict.RETRY, 503, 120)


def test_what_we_could_not_sign_is_not_the_endpoints_fault() -> None:
    assert unsigned("secret_unreadable").blame is Blame.SERVICE
