"""Push channels at both providers: opened, renewed, lost, replaced and closed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bench.harness import for_another_tenant
from meetbot.domain.erasure import ErasureStep
from meetbot.domain.event import Provider
from meetbot.domain.push import ChannelState, PushState, push_health
from meetbot.errors import RetryLater
from meetbot.storage.push_channels import as_channels
from tests.integration.erasing import begin, erase, withdraw
from tests.integration.meetings import BOTH
from tests.integration.pushing import Pushing, pushing, reaching
from tests.rig import Rig

__all__ = ["pushing"]

pytestmark = pytest.mark.stack

EMAIL = "ada@acme.test"
WATCHES = {
    Provider.GOOGLE: "/google/calendar/v3/calendars/primary/events/watch",
    Provider.MICROSOFT: "/microsoft/v1.0/subscriptions",
}


def state_of(rig: Rig, user: str) -> PushState:
    return push_health(as_channels(rig.channels(user)), now=rig.clock(), is_on=True).state


@BOTH
def test_after_the_first_sync_a_channel_is_opened_and_then_nothing_is_due(pushing: Pushing, provider: Provider) -> None:
    user = pushing.connected(EMAIL, provider)
    (channel,) = pushing.rig.channels(user)
    assert (channel.state, channel.calendar_id) == (ChannelState.ACTIVE, "primary")
    assert len(pushing.at_provider()) == 1
    assert state_of(pushing.rig, user) is PushState.ACTIVE
    assert not pushing.keep(user)


@BOTH
def test_a_change_is_told_and_its_calendar_signalled(pushing: Pushing, provider: Provider) -> None:
    user = pushing.connected(EMAIL, provider)
    assert pushing.orchestrator.signals == []
    pushing.rig.sandbox.event(EMAIL)
    pushing.until_signalled(user)


@BOTH
def test_each_calendar_of_an_account_has_its_own_channel(pushing: Pushing, provider: Provider) -> None:
    rig, email = pushing.rig, pushing.rig.sandbox.account(EMAIL, provider)
    side = rig.sandbox.post(f"/control/accounts/{email}/calendars", {"name": "Side"})
    user = rig.connect(email, provider)
    pushing.keep(user)
    assert len({row.calendar_id for row in rig.channels(user)}) == len(pushing.at_provider()) == 2
    rig.sandbox.http.delete(f"/control/accounts/{email}/calendars/{side['id']}").raise_for_status()
    pushing.keep(user)
    assert [row.calendar_id for row in rig.channels(user)] == ["primary"]
    assert len(pushing.at_provider()) == 1


def test_no_secret_of_a_channel_is_stored(pushing: Pushing) -> None:
    user = pushing.connected(EMAIL, Provider.GOOGLE)
    (channel,) = pushing.rig.channels(user)
    assert channel.token_digest is not None
    assert len(channel.token_digest) == 32


def test_a_channel_at_microsoft_is_renewed_before_its_end(pushing: Pushing) -> None:
    pushing.play(most_seconds=7200)
    user = pushing.connected(EMAIL, Provider.MICROSOFT)
    (before,) = pushing.rig.channels(user)
    pushing.rig.clock.offset += timedelta(minutes=61)
    pushing.rig.sandbox.post("/control/clock", {"advance_seconds": 61 * 60})
    assert pushing.keep(user)
    (after,) = pushing.rig.channels(user)
    assert after.external_id == before.external_id
    assert after.expires_at is not None
    assert before.expires_at is not None
    assert after.expires_at > before.expires_at
    assert not pushing.keep(user)


def test_a_channel_at_google_overlaps_with_its_successor(pushing: Pushing) -> None:
    pushing.play(most_seconds=7200)
    user = pushing.connected(EMAIL, Provider.GOOGLE)
    (old,) = pushing.rig.channels(user)
    pushing.rig.clock.offset += timedelta(minutes=61)
    pushing.rig.sandbox.post("/control/clock", {"advance_seconds": 61 * 60})
    assert pushing.keep(user)
    assert len(pushing.at_provider()) == 2
    pushing.until_verified(user)
    assert pushing.keep(user)
    (new,) = pushing.rig.channels(user)
    assert new.id != old.id
    assert [one["id"] for one in pushing.at_provider()] == [new.id]
    assert not pushing.keep(user)


@BOTH
def test_a_channel_that_lapsed_is_replaced(pushing: Pushing, provider: Provider) -> None:
    user = pushing.connected(EMAIL, provider)
    rig = pushing.rig
    rig.clock.offset += timedelta(days=8)
    rig.sandbox.post("/control/clock", {"advance_seconds": 8 * 86_400})
    assert state_of(rig, user) is PushState.FAILING
    assert pushing.keep(user)
    pushing.until_verified(user)
    assert state_of(rig, user) is PushState.ACTIVE


@BOTH
@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 429, "headers": {"Retry-After": "60"}}, {"drop": True}])
def test_an_opening_that_fails_is_polled_as_without_and_tried_again(
    pushing: Pushing, provider: Provider, fault: dict[str, Any]
) -> None:
    rig, email = pushing.rig, pushing.rig.sandbox.account(EMAIL, provider)
    user = rig.connect(email, provider)
    rig.sandbox.fault(path=WATCHES[provider], **fault)
    pushing.keep(user)
    assert state_of(rig, user) is PushState.FAILING
    assert rig.sync(user).wait_seconds == 0
    rig.sandbox.clear_faults()
    rig.sandbox.event(email)
    # What was said about the whole mailbox holds for the polls too.
    rig.clock.offset += timedelta(minutes=2)
    assert rig.sync(user).changed == 1
    rig.clock.offset += timedelta(minutes=10)
    for _ in range(2):
        pushing.keep(user)
    pushing.until_verified(user)
    assert state_of(rig, user) is PushState.ACTIVE
    assert len([row for row in rig.channels(user) if row.state is ChannelState.ACTIVE]) == 1


@BOTH
def test_a_calendar_that_cannot_be_reported_on_is_asked_about_once_a_day(pushing: Pushing, provider: Provider) -> None:
    rig, email = pushing.rig, pushing.rig.sandbox.account(EMAIL, provider)
    user = rig.connect(email, provider)
    reason = {Provider.GOOGLE: "pushNotSupportedForRequestedResource", Provider.MICROSOFT: "ExtensionError"}[provider]
    rig.sandbox.fault(path=WATCHES[provider], status=400, reason=reason)
    pushing.keep(user)
    (channel,) = rig.channels(user)
    assert (channel.state, channel.last_error) == (ChannelState.WANTED, "push_unsupported")
    assert channel.retry_at is not None
    assert channel.retry_at - rig.clock() > timedelta(hours=23)
    assert not pushing.keep(user)


@BOTH
def test_an_opening_whose_answer_is_lost_leaves_one_channel_in_the_end(pushing: Pushing, provider: Provider) -> None:
    rig, email = pushing.rig, pushing.rig.sandbox.account(EMAIL, provider)
    user = rig.connect(email, provider)
    rig.sandbox.fault(path=WATCHES[provider], when="after", times=1, drop=True)
    pushing.keep(user)
    assert len(pushing.at_provider()) == 1
    if provider is Provider.GOOGLE:
        # Its first message says what the answer would have said.
        pushing.until_verified(user)
    else:
        rig.clock.offset += timedelta(minutes=10)
        for _ in range(2):
            pushing.keep(user)
    assert state_of(rig, user) is PushState.ACTIVE
    assert len(pushing.at_provider()) == 1
    rig.sandbox.event(email)
    pushing.until_signalled(user)


def test_a_second_connection_of_an_account_does_not_end_the_firsts_channel(pushing: Pushing) -> None:
    pushing.connected(EMAIL, Provider.MICROSOFT)
    (first,) = pushing.at_provider()
    other = for_another_tenant(pushing.rig)
    user = other.connect(EMAIL, Provider.MICROSOFT)
    other.sync(user)
    other.ensure_push(user)
    (channel,) = other.channels(user)
    assert (channel.state, channel.last_error) == (ChannelState.WANTED, "channel_exists")
    assert pushing.at_provider() == [first]


def test_googles_first_message_before_its_answer_is_taken(pushing: Pushing) -> None:
    pushing.play(sync_first=True)
    user = pushing.connected(EMAIL, Provider.GOOGLE)
    (channel,) = pushing.rig.channels(user)
    assert channel.state is ChannelState.ACTIVE
    assert channel.verified_at is not None


def test_a_channel_through_which_google_never_comes_is_given_up(pushing: Pushing) -> None:
    pushing.play(lose=True)
    rig = pushing.rig
    user = rig.connect(rig.sandbox.account(EMAIL))
    pushing.keep(user)
    assert state_of(rig, user) is PushState.PENDING
    rig.clock.offset += timedelta(minutes=11)
    assert state_of(rig, user) is PushState.FAILING
    pushing.keep(user)
    assert len(pushing.at_provider()) == 0
    pushing.play()
    rig.clock.offset += timedelta(minutes=2)
    pushing.keep(user)
    pushing.until_verified(user)
    assert state_of(rig, user) is PushState.ACTIVE


@BOTH
def test_a_change_whose_notification_is_lost_is_found_by_the_poll(pushing: Pushing, provider: Provider) -> None:
    user = pushing.connected(EMAIL, provider)
    pushing.play(lose=True)
    pushing.rig.sandbox.event(EMAIL)
    assert pushing.rig.sync(user).changed == 1
    assert pushing.orchestrator.signals == []


@pytest.mark.parametrize("event", ["reauthorizationRequired", "subscriptionRemoved", "missed"])
def test_microsofts_lifecycle_is_obeyed(pushing: Pushing, event: str) -> None:
    user = pushing.connected(EMAIL, Provider.MICROSOFT)
    pushing.rig.sandbox.post("/control/push/lifecycle", {"email": EMAIL, "event": event})
    pushing.until_signalled(user)
    assert pushing.keep(user) is (event != "missed")
    (channel,) = pushing.rig.channels(user)
    assert (channel.state, channel.renew_asked) == (ChannelState.ACTIVE, False)
    assert [one["id"] for one in pushing.at_provider()] == [channel.external_id]


def test_while_push_is_healthy_polls_are_relaxed(pushing: Pushing) -> None:
    user = pushing.connected(EMAIL, Provider.GOOGLE)
    services = replace(pushing.rig.services, push=replace(pushing.rig.services.push, slowest_poll=timedelta(hours=1)))
    relaxed = replace(pushing.rig, sync_activities=type(pushing.rig.sync_activities)(services))
    assert relaxed.sync(user).wait_seconds == 3600
    assert pushing.rig.sync(user).wait_seconds == 0
    relaxed.clock.offset += timedelta(days=6, hours=23)
    assert relaxed.sync(user).wait_seconds == 0


@BOTH
def test_when_push_is_switched_off_all_channels_are_closed(pushing: Pushing, provider: Provider) -> None:
    user = pushing.connected(EMAIL, provider)
    services = replace(pushing.rig.services, push=replace(pushing.rig.services.push, is_on=False))
    off = replace(
        pushing.rig,
        sync_activities=type(pushing.rig.sync_activities)(services),
        push_activity=type(pushing.rig.push_activity)(services),
    )
    assert off.sync(user).push_due
    off.ensure_push(user)
    assert pushing.at_provider() == []
    assert off.channels(user) == []
    assert not off.sync(user).push_due


def test_when_access_is_lost_its_channels_are_to_end(pushing: Pushing) -> None:
    user = pushing.connected(EMAIL, Provider.GOOGLE)
    rig = pushing.rig
    rig.sandbox.post(f"/control/accounts/{EMAIL}/revoke", {})
    rig.services.tokens.forget(rig.tenant_id, user)
    rig.sync(user)
    assert [row.state for row in rig.channels(user)] == [ChannelState.ENDING]


@BOTH
def test_an_erasure_closes_the_channels_at_the_provider(pushing: Pushing, provider: Provider) -> None:
    user = pushing.connected(EMAIL, provider)
    done = erase(pushing.rig, user)
    assert pushing.at_provider() == []
    assert pushing.rig.channels(user) == []
    assert done.counts["push_channel"] == 1
    assert "push_channel.unclosed" not in done.counts
    assert ErasureStep.PUSH_STOPPED in done.steps


def test_while_the_provider_is_down_an_erasure_tries_again(pushing: Pushing) -> None:
    user = pushing.connected(EMAIL, Provider.GOOGLE)
    rig = pushing.rig
    ref = begin(rig, user)
    withdraw(rig, ref)
    rig.sandbox.fault(path="/google/calendar/v3/channels/stop", status=503)
    with pytest.raises(RetryLater):
        rig.erasing_activities.stop_push(ref)
    rig.sandbox.clear_faults()
    rig.erasing_activities.stop_push(ref)
    assert pushing.at_provider() == []


def test_a_dead_token_leaves_channels_that_end_by_themselves(pushing: Pushing) -> None:
    user = pushing.connected(EMAIL, Provider.GOOGLE)
    rig = pushing.rig
    rig.sandbox.post(f"/control/accounts/{EMAIL}/revoke", {})
    done = erase(rig, user)
    assert done.counts["push_channel.unclosed"] == 1
    assert rig.channels(user) == []
    rig.sandbox.event(EMAIL)
    sent = rig.sandbox.http.get("/control/push")
    assert sent.status_code == 200
    assert pushing.orchestrator.signals == []


def test_an_opening_that_ends_after_an_erasure_began_is_undone(
    pushing: Pushing, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = pushing.rig
    user = rig.connect(rig.sandbox.account(EMAIL))
    rig.sync(user)
    google = rig.services.push.providers[Provider.GOOGLE]
    opening = type(google).open_channel

    def erased_meanwhile(*arguments: object, **named: object) -> object:
        opened = opening(*arguments, **named)  # type: ignore[arg-type]
        begin(rig, user)
        return opened

    monkeypatch.setattr(type(google), "open_channel", erased_meanwhile)
    rig.ensure_push(user)
    assert pushing.at_provider() == []


def test_an_address_that_nobody_answers_is_no_channel_at_microsoft(rig: Rig) -> None:
    nowhere = reaching(rig, "http://127.0.0.1:1")
    user = nowhere.connect(nowhere.sandbox.account(EMAIL, Provider.MICROSOFT), Provider.MICROSOFT)
    nowhere.sync(user)
    nowhere.ensure_push(user)
    (channel,) = nowhere.channels(user)
    assert (channel.state, channel.last_error) == (ChannelState.WANTED, "push_unsupported")
