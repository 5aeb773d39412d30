"""A sync while the provider is down, refuses a token, or has lost the grant."""

from __future__ import annotations

from datetime import timedelta

import pytest

from meetbot.domain.event import Provider
from meetbot.errors import AccessTokenRejected, OperatorRequired, RetryLater
from meetbot.storage.secret_uses import list_secret_uses
from meetbot.storage.tables import CalendarUser
from tests.integration.meetings import BOTH
from tests.rig import Rig

pytestmark = pytest.mark.stack


def test_a_failed_listing_cancels_nothing(rig: Rig) -> None:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    rig.sandbox.event(ada)
    rig.sync(user)
    rig.sandbox.fault(path="/google/calendar/v3", status=503)
    with pytest.raises(RetryLater):
        rig.sync(user)
    rig.sandbox.clear_faults()
    (event,) = rig.events(user)
    assert not event.deleted
    assert rig.sync(user).plan is None


def test_an_outage_disconnects_nobody_and_shows_on_the_calendar_user(rig: Rig) -> None:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    rig.sync(user)
    rig.sandbox.fault(path="/google/calendar/v3", status=500)
    with pytest.raises(RetryLater):
        rig.sync(user)
    row = rig.calendar_user(user)
    assert row.state == "active"
    assert row.error_code


def test_our_own_wrong_client_secret_disconnects_nobody(rig: Rig) -> None:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    rig.sandbox.fault(path="/google/token", status=401, body={"error": "invalid_client"})
    with pytest.raises(OperatorRequired):
        rig.sync(user)
    assert rig.calendar_user(user).state == "connecting"


@BOTH
def test_a_provider_that_rejects_fresh_tokens_disconnects_nobody_for_hours(rig: Rig, provider: Provider) -> None:
    ada = rig.sandbox.account("ada@acme.test", provider)
    user = rig.connect(ada, provider)
    rig.sync(user)
    api = "/google/calendar" if provider is Provider.GOOGLE else "/microsoft/v1.0"
    rig.sandbox.fault(path=api, status=401, reason="authError")
    with pytest.raises(AccessTokenRejected):
        rig.sync(user)
    assert (rig.calendar_user(user).state, rig.calendar_user(user).error_code) == ("active", "access_token_rejected")
    rig.clock.offset = timedelta(hours=7)
    assert rig.sync(user).state == "needs_reconnect"


@BOTH
def test_a_revoked_grant_asks_for_a_reconnect_and_keeps_bots_for_the_grace_period(rig: Rig, provider: Provider) -> None:
    ada = rig.sandbox.account("ada@acme.test", provider)
    user = rig.connect(ada, provider)
    rig.sandbox.event(ada)
    (planned,) = rig.planned(user)
    rig.sandbox.post(f"/control/accounts/{ada}/revoke", {})
    rig.services.tokens.forget(rig.tenant_id, user)
    result = rig.sync(user)
    assert result.state == "needs_reconnect"
    assert rig.calendar_user(user).state == "needs_reconnect"
    (told,) = [data for event_type, data in rig.webhook_events() if event_type == "calendar_user.needs_reconnect"]
    assert told["reconnect_url"].startswith(f"{rig.settings.public_url}/v1/calendar/reconnect/")
    (kept,) = rig.planned(user)
    assert kept.meeting_key == planned.meeting_key


def test_without_a_grace_period_a_revoked_grant_withdraws_the_bots_at_once(rig: Rig) -> None:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    rig.set_tenant(revoked_grace_hours=0)
    rig.sandbox.event(ada)
    rig.sync(user)
    rig.sandbox.post(f"/control/accounts/{ada}/revoke", {})
    rig.services.tokens.forget(rig.tenant_id, user)
    assert rig.sync(user).plan == ()
    (event,) = rig.events(user)
    assert (event.outcome, event.reason) == ("skip", "access_revoked")


@BOTH
def test_an_expired_access_token_is_refreshed_during_the_sync(rig: Rig, provider: Provider) -> None:
    ada = rig.sandbox.account("ada@acme.test", provider)
    user = rig.connect(ada, provider)
    rig.sync(user)
    rig.sandbox.post(f"/control/accounts/{ada}/expire-access-tokens", {})
    rig.sandbox.event(ada)
    assert rig.sync(user).changed == 1


def test_a_rotated_refresh_token_is_stored_sealed_and_used_next(rig: Rig) -> None:
    grace = rig.sandbox.account("grace@acme.test", Provider.MICROSOFT)
    user = rig.connect(grace, Provider.MICROSOFT)
    before = rig.calendar_user(user)
    rig.sync(user)
    after = rig.calendar_user(user)
    assert after.token_version == before.token_version + 1
    assert after.refresh_ciphertext != before.refresh_ciphertext
    rig.services.tokens.forget(rig.tenant_id, user)
    assert rig.sync(user).state == "active"


@pytest.mark.parametrize("other", ["user", "provider", "version"])
def test_a_ciphertext_in_another_place_of_its_tenant_does_not_open(rig: Rig, other: str) -> None:
    """A whole sealed secret is copied, its wrapped key too: only the binding can tell."""
    grace = rig.sandbox.account("grace@acme.test", Provider.MICROSOFT)
    user = rig.connect(grace, Provider.MICROSOFT)
    copied = rig.calendar_user(user)
    if other == "version":
        rig.sync(user)
    else:
        provider = Provider.GOOGLE if other == "provider" else Provider.MICROSOFT
        user = rig.connect(rig.sandbox.account("ada@acme.test", provider), provider)
    rig.services.tokens.forget(rig.tenant_id, user)
    with rig.database.transaction(rig.tenant_id) as session:
        row = session.get_one(CalendarUser, (rig.tenant_id, user))
        row.kek_version, row.wrapped_key = copied.kek_version, copied.wrapped_key
        row.refresh_ciphertext = copied.refresh_ciphertext
    with pytest.raises(OperatorRequired) as refused:
        rig.sync(user)
    assert refused.value.code == "secret_unreadable"


def test_a_refresh_token_that_does_not_open_is_told_and_disconnects_nobody(rig: Rig) -> None:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    rig.sync(user)
    rig.services.tokens.forget(rig.tenant_id, user)
    with rig.database.transaction(rig.tenant_id) as session:
        session.get_one(CalendarUser, (rig.tenant_id, user)).refresh_ciphertext = b"0" * 64
    with pytest.raises(OperatorRequired):
        rig.sync(user)
    with rig.database.transaction(rig.tenant_id) as session:
        stored = session.get_one(CalendarUser, (rig.tenant_id, user))
        assert (stored.state, stored.error_code) == ("active", "secret_unreadable")


def test_a_refresh_is_put_down_to_the_calendar_user_once_for_many_syncs(rig: Rig) -> None:
    user = rig.connect(rig.sandbox.account("ada@acme.test"))
    for _ in range(3):
        rig.sync(user)
    row = rig.calendar_user(user)
    with rig.database.transaction(row.tenant_id) as session:
        (use,) = list_secret_uses(session, row.tenant_id, since=None, until=None, before=None, limit=10)
    assert (use.purpose, use.subject_id, use.uses) == ("token_refresh", row.id, 1)
    assert use.used_by
