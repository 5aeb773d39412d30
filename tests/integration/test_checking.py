"""What the worker finds out when a person asks why no bot came."""

from __future__ import annotations

from datetime import timedelta

import pytest

from activities.checking import CheckingActivity
from meetbot.domain.event import Provider
from meetbot.temporal.calendar_messages import ANSWERED, CheckRequest, CheckResult
from tests.integration.meetings import BOTH
from tests.rig import Rig

pytestmark = pytest.mark.stack

ADA = "ada@acme.test"
CALENDARS = {Provider.GOOGLE: "/google/calendar", Provider.MICROSOFT: "/microsoft/v1.0"}


def connected(rig: Rig, provider: Provider = Provider.GOOGLE) -> str:
    return rig.connect(rig.sandbox.account(ADA, provider), provider)


def check(rig: Rig, user: str, *, asks_provider: bool = True) -> CheckResult:
    return CheckingActivity(rig.services).check(CheckRequest(rig.tenant_id, user, asks_provider))


@BOTH
def test_a_good_token_and_a_backend_that_answers_are_found_and_kept(rig: Rig, provider: Provider) -> None:
    user = connected(rig, provider)
    assert check(rig, user) == CheckResult(ANSWERED, ANSWERED)
    row = rig.calendar_user(user)
    assert (row.provider_check, row.backend_check) == (ANSWERED, ANSWERED)
    assert row.checked_at is not None
    assert rig.sandbox.jobs() == []


@BOTH
def test_a_provider_that_is_down_costs_nothing_but_its_own_line(rig: Rig, provider: Provider) -> None:
    user = connected(rig, provider)
    rig.sandbox.fault(path=CALENDARS[provider], status=503)
    assert check(rig, user) == CheckResult("provider_unavailable", ANSWERED)


def test_a_revoked_grant_is_named_and_left_to_the_sync(rig: Rig) -> None:
    user = connected(rig)
    rig.sandbox.post(f"/control/accounts/{ADA}/revoke", {})
    assert check(rig, user).provider == "invalid_grant"
    assert rig.calendar_user(user).state == "connecting"


def test_a_provider_that_need_not_be_asked_is_not(rig: Rig) -> None:
    user = connected(rig)
    assert check(rig, user, asks_provider=False).provider == ""
    assert rig.sandbox.counts(CALENDARS[Provider.GOOGLE]) == 0


def test_the_providers_wait_is_kept(rig: Rig) -> None:
    user = connected(rig)
    rig.sandbox.post(
        "/control/faults",
        {
            "match": {"path": CALENDARS[Provider.GOOGLE]},
            "action": {"status": 429, "reason": "rateLimitExceeded", "headers": {"Retry-After": "1800"}},
        },
    )
    assert check(rig, user).provider == "rate_limited"
    asked = rig.sandbox.counts(CALENDARS[Provider.GOOGLE])
    assert check(rig, user).provider == "provider_wait"
    assert rig.sandbox.counts(CALENDARS[Provider.GOOGLE]) == asked


@pytest.mark.parametrize(
    ("status", "code"), [(401, "backend_refused_401"), (503, "backend_answered_503"), (404, ANSWERED)]
)
def test_the_backends_answer_to_an_impossible_bot_tells_how_it_is(rig: Rig, status: int, code: str) -> None:
    user = connected(rig)
    rig.sandbox.fault(path="/backend", status=status)
    assert check(rig, user).backend == code


def test_the_backend_is_asked_once_in_half_a_minute(rig: Rig) -> None:
    user, activity = connected(rig), CheckingActivity(rig.services)
    request = CheckRequest(rig.tenant_id, user, asks_provider=False)
    for _ in range(3):
        activity.check(request)
    assert rig.sandbox.counts("/backend") == 1
    rig.clock.offset += timedelta(seconds=31)
    activity.check(request)
    assert rig.sandbox.counts("/backend") == 2


def test_of_a_user_who_is_gone_nothing_is_asked(rig: Rig) -> None:
    assert check(rig, "cu_nobody") == CheckResult()
    assert rig.sandbox.counts("/backend") == 0
