from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetbot.domain.webhook_state import DeliveryState
from meetbot.temporal.messages import DeliveryResult, DeliveryVerdict
from meetbot.webhooks.outcome import (
    Blame,
    answered,
    failed_here,
    result_after,
    state_after,
    unanswered,
)
from tests.unit.webhooks.receiver import HOSTILE_RETRY_AFTER

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
A_DAY = 24 * 3600


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


def test_the_result_carries_the_endpoints_retry_after() -> None:
    outcome = answered(503, "120", NOW)

    assert result_after(outcome, DeliveryState.PENDING) == DeliveryResult(DeliveryVerdict.RETRY, 503, 120)


def test_what_we_could_not_sign_is_not_the_endpoints_fault() -> None:
    assert failed_here("secret_unreadable").blame is Blame.SERVICE


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("0", 0),
        (" 120 ", 120),
        ("Sun, 01 Mar 2026 09:02:00 GMT", 120),
        ("Sun, 01 Mar 2026 08:00:00 GMT", 0),
        ("Sun, 01 Mar 2026 09:02:00 -0000", 120),
        ("99999999", A_DAY),
        ("Mon, 01 Mar 2027 09:00:00 GMT", A_DAY),
        ("-5", 0),
        ("1.5", 0),
        ("soon", 0),
        ("Sun, 99 Mar 2026 09:02:00 GMT", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_at_most_a_day(header: str | None, seconds: int) -> None:
    assert answered(503, header, NOW).retry_after_seconds == seconds


@pytest.mark.parametrize("header", HOSTILE_RETRY_AFTER)
def test_a_hostile_retry_after_stays_within_a_day(header: str) -> None:
    assert 0 <= answered(503, header, NOW).retry_after_seconds <= A_DAY


@given(st.text())
def test_no_retry_after_header_raises(header: str) -> None:
    assert 0 <= answered(503, header, NOW).retry_after_seconds <= A_DAY


def test_retry_after_does_not_depend_on_the_zone_of_the_clock() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5)))

    assert answered(503, "Sun, 01 Mar 2026 09:02:00 GMT", elsewhere).retry_after_seconds == 120
