"""A provider that asks us to wait is not asked again before, unless a person asks."""

from __future__ import annotations

import email.utils
from datetime import timedelta
from typing import Any

import pytest

from meetbot.domain.event import Provider
from meetbot.errors import RetryLater
from meetbot.storage import calendar_user_state
from tests.integration.meetings import BOTH, connected_with_meeting, dispatch, scheduled
from tests.rig import Rig

pytestmark = pytest.mark.stack

HALF_AN_HOUR = {"retry-after": "1800"}


def refuse(rig: Rig, provider: Provider, **action: Any) -> None:
    path = "/google/calendar" if provider is Provider.GOOGLE else "/microsoft/v1.0"
    reason = "rateLimitExceeded" if provider is Provider.GOOGLE else "TooManyRequests"
    fault = {"status": 429, "reason": reason, "headers": HALF_AN_HOUR} | action
    rig.sandbox.post("/control/faults", {"match": {"path": path}, "action": fault})


def requests(rig: Rig) -> int:
    return rig.sandbox.counts("/google/calendar") + rig.sandbox.counts("/microsoft/v1.0")


def refused_once(rig: Rig, user: str) -> int:
    """Sync against a refusal, lift it, and return how many requests there were."""
    with pytest.raises(RetryLater):
        rig.sync(user)
    rig.sandbox.clear_faults()
    return requests(rig)


@BOTH
def test_none_asks_before_the_half_hour_is_over(rig: Rig, provider: Provider) -> None:
    user = rig.connect(rig.sandbox.account("ada@acme.test", provider), provider)
    rig.sync(user)
    refuse(rig, provider)
    asked = refused_once(rig, user)
    for seconds in (0, 71, 371, 671, 1790):
        rig.clock.offset = timedelta(seconds=seconds)
        assert rig.sync(user).error == "rate_limited"
    assert requests(rig) == asked
    assert rig.calendar_user(user).error_code == "rate_limited"
    rig.clock.offset = timedelta(seconds=1801)
    assert rig.sync(user).error == ""
    assert requests(rig) > asked
    assert rig.calendar_user(user).error_code is None


def test_a_date_in_the_header_is_a_wait_too(rig: Rig) -> None:
    user = rig.connect(rig.sandbox.account("ada@acme.test"))
    until = rig.clock() + timedelta(minutes=20)
    refuse(rig, Provider.GOOGLE, status=503, headers={"retry-after": email.utils.format_datetime(until, usegmt=True)})
    asked = refused_once(rig, user)
    rig.clock.offset = timedelta(minutes=19)
    rig.sync(user)
    assert requests(rig) == asked


def test_the_wait_of_a_token_endpoint_holds_for_the_mailbox(rig: Rig) -> None:
    user = rig.connect(rig.sandbox.account("ada@acme.test"))
    rig.sandbox.fault(path="/google/token", status=429, headers=HALF_AN_HOUR)
    with pytest.raises(RetryLater):
        rig.sync(user)
    asked = rig.sandbox.counts("/google/token")
    rig.sync(user)
    assert rig.sandbox.counts("/google/token") == asked


def test_the_wait_of_one_mailbox_is_not_anothers(rig: Rig) -> None:
    ada, bob = (rig.connect(rig.sandbox.account(f"{name}@acme.test")) for name in ("ada", "bob"))
    refuse(rig, Provider.GOOGLE)
    asked = refused_once(rig, ada)
    rig.sync(bob)
    assert requests(rig) > asked


def test_the_wait_of_the_whole_application_holds_for_all_mailboxes(rig: Rig) -> None:
    names = ("ada", "bob")
    ada, bob = (
        rig.connect(rig.sandbox.account(f"{name}@acme.test", Provider.MICROSOFT), Provider.MICROSOFT) for name in names
    )
    other = rig.connect(rig.sandbox.account("cyd@acme.test"))
    refuse(rig, Provider.MICROSOFT, reason="ApplicationThrottled")
    asked = refused_once(rig, ada)
    assert rig.sync(bob).error == "provider_wait"
    assert requests(rig) == asked
    rig.sync(other)
    assert requests(rig) > asked


def test_whoever_asks_in_person_is_answered_at_once(rig: Rig) -> None:
    user = rig.connect(rig.sandbox.account("ada@acme.test", Provider.MICROSOFT), Provider.MICROSOFT)
    refuse(rig, Provider.MICROSOFT, reason="ApplicationThrottled")
    asked = refused_once(rig, user)
    with rig.database.transaction(rig.tenant_id) as session:
        calendar_user_state.note_asked(session, rig.tenant_id, user, now=rig.clock())
    assert rig.sync(user).error == ""
    assert requests(rig) > asked


def test_a_secondary_calendars_wait_holds_for_the_mailbox(rig: Rig) -> None:
    ada = rig.sandbox.account("ada@acme.test")
    rig.sandbox.post(f"/control/accounts/{ada}/calendars", {"name": "Second"})
    user = rig.connect(ada)
    rig.sync(user)
    rig.sandbox.post(
        "/control/faults",
        {
            "match": {"path_regex": "calendars/[^/]*group.calendar.google.com/events"},
            "action": {"status": 429, "reason": "rateLimitExceeded", "headers": HALF_AN_HOUR},
        },
    )
    rig.sync(user)
    asked = requests(rig)
    rig.sync(user)
    assert requests(rig) == asked


def test_the_look_before_a_bot_goes_waits_too_and_the_bot_goes(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    assert step.recheck_at is not None
    with rig.database.transaction(rig.tenant_id) as session:
        calendar_user_state.note_wait(session, rig.tenant_id, user, until=step.recheck_at + timedelta(hours=1))
    rig.clock.sleep_until(step.recheck_at)
    asked = requests(rig)
    dispatch(rig, key, step)
    assert requests(rig) == asked
    assert len(rig.sandbox.jobs()) == 1
