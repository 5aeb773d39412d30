"""A connection that fails: whose matter it is, how soon that is noticed, who is told."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from activities.prove_grant import GrantCheck
from meetbot.domain.calendar_user import CalendarUserStatus
from meetbot.domain.connection_health import ErrorClass, health_of
from meetbot.domain.event import Provider
from meetbot.domain.grant_checks import NOTICED_WITHIN
from meetbot.errors import OperatorRequired, ProviderError
from meetbot.storage.calendar_users import GivenConsent, renew_calendar_user
from meetbot.storage.tables import CalendarUser
from meetbot.temporal.calendar_messages import WatchRequest
from meetbot.temporal.messages import SyncScope
from tests.integration.meetings import BOTH
from tests.rig import Rig

pytestmark = pytest.mark.stack

TOKEN = {Provider.GOOGLE: "/google/token", Provider.MICROSOFT: "/microsoft/common/oauth2/v2.0/token"}
API = {Provider.GOOGLE: "/google/calendar/v3", Provider.MICROSOFT: "/microsoft/v1.0"}
HOURLY = 3600


def connected(rig: Rig, provider: Provider, email: str = "ada@acme.test") -> str:
    user = rig.connect(rig.sandbox.account(email, provider), provider)
    rig.sync(user)
    return user


def revoke(rig: Rig, by: str) -> None:
    rig.sandbox.post("/control/accounts/ada@acme.test/revoke", {"by": by})


def advance(rig: Rig, by: timedelta) -> None:
    """Let time pass for us and for the providers."""
    rig.clock.offset += by
    rig.sandbox.post("/control/clock", {"offset_seconds": rig.clock.offset.total_seconds()})


def told(rig: Rig, event_type: str = "calendar_user.needs_reconnect") -> list[dict[str, Any]]:
    return [data for told_type, data in rig.webhook_events() if told_type == event_type]


def detail(rig: Rig, user: str) -> str | None:
    row = rig.calendar_user(user)
    health = health_of(CalendarUserStatus(row.state), row.error_code)
    return None if health is None else health.detail


# Three classes


REFUSED_LOGINS: dict[Provider, list[tuple[int, dict[str, Any], str]]] = {
    Provider.GOOGLE: [
        (400, {"error": "invalid_grant", "error_description": "Bad Request"}, "reconnect:invalid_grant"),
        (400, {"error": "admin_policy_enforced"}, "reconnect:admin_policy_enforced"),
        (401, {"error": "invalid_client"}, "operator:invalid_client"),
        (401, {"error": "deleted_client"}, "operator:deleted_client"),
        (503, {}, "retry:login_unavailable"),
    ],
    Provider.MICROSOFT: [
        (400, {"error": "interaction_required", "error_codes": [50076]}, "reconnect:interaction_required"),
        (400, {"error": "invalid_grant", "error_codes": [65001]}, "reconnect:invalid_grant"),
        (401, {"error": "invalid_client", "error_codes": [7000222]}, "operator:invalid_client"),
        (400, {"error": "invalid_grant", "error_codes": [50196]}, "retry:login_loop"),
        (429, {}, "retry:login_unavailable"),
    ],
}
REFUSED_CALENDARS: dict[Provider, list[tuple[int, str, str]]] = {
    Provider.GOOGLE: [
        (403, "insufficientPermissions", "reconnect:scope_missing"),
        (403, "accessNotConfigured", "operator:api_not_enabled"),
        (403, "rateLimitExceeded", "retry:rate_limited"),
        (500, "backendError", "retry:provider_unavailable"),
        (401, "authError", "retry:access_token_rejected"),
    ],
    Provider.MICROSOFT: [
        (403, "Authorization_RequestDenied", "reconnect:scope_missing"),
        (403, "ErrorAccessDenied", "operator:access_denied"),
        (429, "MailboxConcurrency", "retry:rate_limited"),
        (503, "ServiceUnavailable", "retry:provider_unavailable"),
        (401, "InvalidAuthenticationToken", "retry:access_token_rejected"),
    ],
}


@BOTH
def test_a_refusal_of_the_login_is_of_its_class(rig: Rig, provider: Provider) -> None:
    for status, body, expected in REFUSED_LOGINS[provider]:
        user = connected(rig, provider, f"{expected.partition(':')[2]}@acme.test")
        rig.services.tokens.forget(rig.tenant_id, user)
        rig.sandbox.fault(path=TOKEN[provider], status=status, body=body)
        assert outcome(rig, user) == expected
        rig.sandbox.clear_faults()


@BOTH
def test_a_refusal_of_the_calendar_is_of_its_class(rig: Rig, provider: Provider) -> None:
    for status, reason, expected in REFUSED_CALENDARS[provider]:
        user = connected(rig, provider, f"{expected.partition(':')[2]}@acme.test")
        rig.sandbox.fault(path=API[provider], status=status, reason=reason)
        assert outcome(rig, user) == expected
        rig.sandbox.clear_faults()


def outcome(rig: Rig, user: str) -> str | None:
    """Sync, and return what the calendar user says then; only one class may disconnect."""
    is_raised: ErrorClass = ErrorClass.RECONNECT
    try:
        rig.sync(user)
    except ProviderError as error:
        is_raised = ErrorClass.OPERATOR if isinstance(error, OperatorRequired) else ErrorClass.RETRY
    said = detail(rig, user)
    assert said is not None
    assert said.partition(":")[0] == is_raised
    assert (rig.calendar_user(user).state == "needs_reconnect") is (is_raised is ErrorClass.RECONNECT)
    return said


@BOTH
def test_what_is_mended_is_forgotten_at_the_next_sync(rig: Rig, provider: Provider) -> None:
    user = connected(rig, provider)
    rig.services.tokens.forget(rig.tenant_id, user)
    rig.sandbox.fault(path=TOKEN[provider], status=401, body={"error": "invalid_client"})
    with pytest.raises(OperatorRequired):
        rig.sync(user)
    rig.sandbox.clear_faults()
    rig.sync(user)
    assert detail(rig, user) is None


# Noticed within five minutes


@pytest.mark.parametrize(
    ("provider", "by"),
    [
        (Provider.GOOGLE, "user"),
        (Provider.GOOGLE, "administrator"),
        (Provider.MICROSOFT, "user"),
        (Provider.MICROSOFT, "administrator"),
        (Provider.MICROSOFT, "password_reset"),
    ],
)
def test_the_next_poll_notices_that_access_was_taken_back(rig: Rig, provider: Provider, by: str) -> None:
    """At Microsoft the access token would still do: only a refresh tells."""
    user = connected(rig, provider)
    revoke(rig, by)
    advance(rig, NOTICED_WITHIN)
    assert rig.sync(user).state == "needs_reconnect"


@BOTH
def test_a_changed_password_costs_nobody_the_connection(rig: Rig, provider: Provider) -> None:
    user = connected(rig, provider)
    revoke(rig, "password_change")
    advance(rig, NOTICED_WITHIN)
    assert rig.sync(user).state == "active"


def watch_request(rig: Rig, user: str, *, wait_seconds: int = HOURLY) -> WatchRequest:
    return WatchRequest(rig.tenant_id, user, "", CalendarUserStatus.ACTIVE, 300, False, wait_seconds)


@BOTH
def test_between_slow_polls_only_the_login_is_asked(rig: Rig, provider: Provider) -> None:
    user = connected(rig, provider)
    needs_poll = GrantCheck(rig.services).needs_poll
    listings, logins = rig.sandbox.counts(API[provider]), rig.sandbox.counts(TOKEN[provider])
    advance_within_slot(rig, user)
    assert not needs_poll(watch_request(rig, user))
    assert rig.sandbox.counts(API[provider]) == listings
    assert rig.sandbox.counts(TOKEN[provider]) == logins + 1


def advance_within_slot(rig: Rig, user: str) -> None:
    """Let five minutes pass, and count the calendar as read just before."""
    advance(rig, NOTICED_WITHIN)
    with rig.database.transaction(rig.tenant_id) as session:
        session.get_one(CalendarUser, (rig.tenant_id, user)).last_synced_at = rig.clock()


@BOTH
def test_a_grant_that_ended_between_slow_polls_calls_for_a_poll(rig: Rig, provider: Provider) -> None:
    user = connected(rig, provider)
    revoke(rig, "user")
    advance_within_slot(rig, user)
    assert GrantCheck(rig.services).needs_poll(watch_request(rig, user))
    assert rig.sync(user).state == "needs_reconnect"


@BOTH
def test_a_login_that_is_down_disconnects_nobody_and_lets_calendars_be_read(rig: Rig, provider: Provider) -> None:
    user = connected(rig, provider)
    rig.sandbox.fault(path=TOKEN[provider], status=503)
    rig.sandbox.event("ada@acme.test")
    advance_within_slot(rig, user)
    assert not GrantCheck(rig.services).needs_poll(watch_request(rig, user))
    assert rig.sync(user).changed == 1


def test_a_slow_poll_is_due_once_in_its_interval(rig: Rig) -> None:
    user = connected(rig, Provider.GOOGLE)
    advance(rig, timedelta(seconds=HOURLY))
    assert GrantCheck(rig.services).needs_poll(watch_request(rig, user))


# What the tenant is told


@BOTH
def test_a_lost_connection_tells_what_is_at_risk_the_nearest_first(rig: Rig, provider: Provider) -> None:
    user = connected(rig, provider)
    for number in reversed(range(22)):
        rig.sandbox.event("ada@acme.test", title=f"Meeting {number}", starts_in_minutes=60 + 90 * number)
    rig.sandbox.event("ada@acme.test", title="no link", starts_in_minutes=30, platform=None)
    rig.sync(user)
    revoke(rig, "user")
    advance(rig, NOTICED_WITHIN)
    rig.sync(user)
    (data,) = told(rig)
    wanted = [event for event in rig.events(user) if event.outcome == "record"][:20]
    assert [one["event_id"] for one in data["at_risk"]] == [event.id for event in wanted]
    assert [datetime.fromisoformat(one["start"]) for one in data["at_risk"]] == [event.start_at for event in wanted]
    assert (data["state_detail"], bool(data["next_step"])) == ("reconnect:invalid_grant", True)


@BOTH
def test_a_lost_connection_is_told_again_after_one_three_and_seven_days(rig: Rig, provider: Provider) -> None:
    user = connected(rig, provider)
    rig.sandbox.event("ada@acme.test", starts_in_minutes=60 * 24 * 9)
    rig.sync(user)
    revoke(rig, "user")
    advance(rig, NOTICED_WITHIN)
    rig.sync(user)
    counts = []
    for hours in (23, 2, 46, 2, 94, 2, 24 * 30):
        rig.clock.offset += timedelta(hours=hours)
        for _ in range(2):
            rig.sync(user, SyncScope.DECISIONS)
        counts.append(len(told(rig)))
    assert counts == [1, 2, 2, 3, 3, 4, 4]
    sequences = [data["sequence"] for data in told(rig)]
    assert sequences == sorted(set(sequences))
    assert all(data["reconnect_url"] == told(rig)[0]["reconnect_url"] for data in told(rig))
    # The tenant's grace is over by then: what was to be recorded is at risk nevertheless.
    assert [len(data["at_risk"]) for data in told(rig)[:3]] == [1, 1, 1]


def test_a_service_that_stood_still_for_days_tells_once(rig: Rig) -> None:
    user = connected(rig, Provider.GOOGLE)
    revoke(rig, "user")
    rig.sync(user)
    rig.clock.offset += timedelta(days=5)
    for _ in range(2):
        rig.sync(user)
    assert len(told(rig)) == 2


@BOTH
def test_a_reconnect_heals_all_and_ends_the_notices(rig: Rig, provider: Provider) -> None:
    user = connected(rig, provider)
    rig.sandbox.event("ada@acme.test", starts_in_minutes=60 * 24 * 9)
    rig.sync(user)
    revoke(rig, "user")
    advance(rig, NOTICED_WITHIN)
    rig.sync(user)
    advance(rig, timedelta(days=2))
    rig.sync(user)
    assert [event.reason for event in rig.events(user)] == ["access_revoked"]
    consent_again(rig, user, provider)
    assert rig.sync(user).state == "active"
    rig.clock.offset += timedelta(days=8)
    rig.services.tokens.forget(rig.tenant_id, user)
    assert [event.outcome for event in rig.events(user)] == ["record"]
    assert (detail(rig, user), rig.calendar_user(user).reconnect_notices, len(told(rig))) == (None, 0, 2)


def consent_again(rig: Rig, user: str, provider: Provider) -> None:
    """Give consent in the sandbox, and store it as the callback does."""
    row = rig.calendar_user(user)
    grant = rig.consent("ada@acme.test", provider)
    sealed = rig.sealed_token(user, provider, row.subject, grant, version=row.token_version + 1)
    with rig.database.transaction(rig.tenant_id) as session:
        stored = session.get_one(CalendarUser, (rig.tenant_id, user))
        given = GivenConsent(stored.email, sorted(grant.scopes), sealed, None)
        renew_calendar_user(session, stored, consent=given, attributes=None, now=rig.clock())


# A client in testing


def test_a_grant_that_ends_after_seven_days_is_put_down_to_a_client_in_testing(rig: Rig) -> None:
    rig.sandbox.post("/control/behaviour", {"google_client_in_testing": True})
    user = connected(rig, Provider.GOOGLE)
    note_consent(rig, user)
    advance(rig, timedelta(days=6, hours=23))
    assert rig.sync(user).state == "active"
    advance(rig, timedelta(hours=1, minutes=30))
    assert rig.sync(user).state == "needs_reconnect"
    (data,) = told(rig)
    assert (data["error_code"], data["state_detail"]) == (
        "oauth_client_in_testing",
        "reconnect:oauth_client_in_testing",
    )
    assert "testing mode" in data["next_step"]


def note_consent(rig: Rig, user: str, *, age: timedelta = timedelta()) -> None:
    with rig.database.transaction(rig.tenant_id) as session:
        session.get_one(CalendarUser, (rig.tenant_id, user)).consented_at = rig.clock() - age


@pytest.mark.parametrize(("provider", "days"), [(Provider.GOOGLE, 3), (Provider.GOOGLE, 9), (Provider.MICROSOFT, 7)])
def test_a_grant_that_ends_at_another_time_is_not(rig: Rig, provider: Provider, days: int) -> None:
    user = connected(rig, provider)
    note_consent(rig, user, age=timedelta(days=days))
    revoke(rig, "user")
    advance(rig, NOTICED_WITHIN)
    rig.sync(user)
    assert rig.calendar_user(user).error_code == "invalid_grant"


def test_a_client_to_which_an_older_grant_stands_is_not_in_testing(rig: Rig) -> None:
    older = rig.connect(rig.sandbox.account("grace@acme.test"))
    note_consent(rig, older, age=timedelta(days=30))
    user = connected(rig, Provider.GOOGLE)
    note_consent(rig, user, age=timedelta(days=7))
    revoke(rig, "user")
    rig.sync(user)
    assert rig.calendar_user(user).error_code == "invalid_grant"


# A sequence


@BOTH
def test_each_change_of_a_calendar_is_told_with_a_higher_sequence(rig: Rig, provider: Provider) -> None:
    user = connected(rig, provider)
    for number in range(3):
        rig.sandbox.event("ada@acme.test", title=f"Meeting {number}", starts_in_minutes=60 + number)
        rig.sync(user)
    revoke(rig, "user")
    advance(rig, NOTICED_WITHIN)
    rig.sync(user)
    sequences = [data["sequence"] for _, data in rig.webhook_events() if "sequence" in data and "watermark" in data]
    assert len(sequences) == 3
    assert sequences == sorted(set(sequences))
    # They are the calendar user's own, so that its other messages are in line.
    assert told(rig)[0]["sequence"] > sequences[-1]
