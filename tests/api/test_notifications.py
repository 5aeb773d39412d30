"""Push notifications: which are believed, and what they lead to."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import select

from api.push_signals import PushSignals
from meetbot.domain.ids import new_id
from meetbot.domain.push import ChannelState
from meetbot.storage.calendar_users import CalendarUserRef
from meetbot.storage.push_channels import digest_of
from meetbot.storage.tables import CalendarUser, PushChannel
from meetbot.temporal.messages import CalendarUserSignal
from tests.api.conftest import Front, Tenant
from tests.api.stand_ins import RecordingOrchestrator

SECRET = "s3cret-of-this-channel"
PATIENCE_SECONDS = 20.0
GOOGLE, MICROSOFT, LIFECYCLE = ("/v1/notifications/" + name for name in ("google", "microsoft", "microsoft/lifecycle"))


def add_channel(tenant: Tenant, user: CalendarUser, **changes: Any) -> PushChannel:
    now = datetime.now(UTC)
    own = {"resource_id": "res-1"} if user.provider == "google" else {"external_id": "sub-1"}
    values: dict[str, Any] = {
        "tenant_id": tenant.id,
        "id": new_id("psh"),
        "calendar_user_id": user.id,
        "provider": user.provider,
        "calendar_id": "primary",
        "state": ChannelState.ACTIVE,
        "token_digest": digest_of(SECRET),
        "opened_at": now,
        "expires_at": now + timedelta(days=6),
        "verified_at": now,
        **own,
    }
    with tenant.front.database.transaction(tenant.id) as session:
        row = PushChannel(**(values | changes))
        session.add(row)
    return row


def stored(tenant: Tenant, channel: PushChannel) -> PushChannel:
    with tenant.front.database.transaction(tenant.id) as session:
        return session.get_one(PushChannel, (tenant.id, channel.id))


def from_google(front: Front, channel: PushChannel, *, state: str = "exists", **changes: str) -> Any:
    headers = {
        "X-Goog-Channel-ID": channel.id,
        "X-Goog-Channel-Token": SECRET,
        "X-Goog-Resource-ID": "res-1",
        "X-Goog-Resource-State": state,
        "X-Goog-Message-Number": "7",
    }
    return front.client.post(GOOGLE, headers=headers | changes)


def item(channel: PushChannel, **changes: Any) -> dict[str, Any]:
    return {
        "subscriptionId": "sub-1",
        "clientState": f"{channel.id}.{SECRET}",
        "changeType": "updated",
        "resource": "Users/1/Events/2",
        "tenantId": "t",
        "resourceData": {"id": "2"},
        **changes,
    }


def from_microsoft(front: Front, *items: Any, path: str = MICROSOFT) -> Any:
    return front.client.post(path, json={"value": list(items)})


def signalled(front: Front, *users: CalendarUser) -> bool:
    """Whether exactly these users are signalled in the end."""
    wanted = sorted((user.id, CalendarUserSignal.SYNC_NOW) for user in users)
    return until(lambda: sorted(front.orchestrator.signals) == wanted)


def until(look: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if look():
            return True
        time.sleep(0.005)
    return look()


def nothing_is_done(front: Front) -> bool:
    front.app.state.push_signals.ask([])
    return front.orchestrator.signals == [] and front.app.state.push_signals._coalescer.waiting == []


@pytest.fixture
def google(tenant: Tenant) -> CalendarUser:
    return tenant.add_user()


@pytest.fixture
def microsoft(tenant: Tenant) -> CalendarUser:
    return tenant.add_user(provider="microsoft")


def test_a_change_at_google_has_the_calendar_synced(tenant: Tenant, google: CalendarUser) -> None:
    channel = add_channel(tenant, google)
    assert from_google(tenant.front, channel).status_code == 204
    assert signalled(tenant.front, google)
    assert stored(tenant, channel).last_notified_at is not None


def test_googles_first_message_is_acknowledged_and_leads_to_nothing_else(tenant: Tenant, google: CalendarUser) -> None:
    channel = add_channel(tenant, google, verified_at=None)
    assert from_google(tenant.front, channel, state="sync").status_code == 204
    assert nothing_is_done(tenant.front)
    assert stored(tenant, channel).verified_at is not None


def test_googles_first_message_may_come_before_the_answer(tenant: Tenant, google: CalendarUser) -> None:
    channel = add_channel(tenant, google, state=ChannelState.OPENING, resource_id=None, verified_at=None)
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(days=5)
    expiration = end.strftime("%a, %d %b %Y %H:%M:%S GMT")
    answer = from_google(tenant.front, channel, state="sync", **{"X-Goog-Channel-Expiration": expiration})
    row = stored(tenant, channel)
    assert answer.status_code == 204
    assert (row.state, row.resource_id, row.expires_at) == (ChannelState.ACTIVE, "res-1", end)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"X-Goog-Channel-Token": "guessed"}, 401),
        ({"X-Goog-Channel-Token": ""}, 401),
        ({"X-Goog-Resource-ID": "res-2"}, 404),
        ({"X-Goog-Resource-ID": ""}, 404),
        ({"X-Goog-Channel-ID": "psh_aaaaaaaaaaaaaaaaaaaaaaaaaa"}, 404),
        ({"X-Goog-Channel-ID": ""}, 404),
        ({"X-Goog-Channel-ID": "a,b"}, 404),
        ({"X-Goog-Channel-ID": "x" * 2000}, 422),
    ],
)
def test_a_forged_notification_of_google_does_nothing(
    tenant: Tenant, google: CalendarUser, changes: dict[str, str], status: int
) -> None:
    channel = add_channel(tenant, google)
    answer = from_google(tenant.front, channel, **changes)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert nothing_is_done(tenant.front)
    assert stored(tenant, channel).last_notified_at is None


def test_a_channel_of_one_provider_is_unknown_to_the_other(
    tenant: Tenant, google: CalendarUser, microsoft: CalendarUser
) -> None:
    assert from_google(tenant.front, add_channel(tenant, microsoft)).status_code == 404
    assert from_microsoft(tenant.front, item(add_channel(tenant, google))).status_code == 404
    assert nothing_is_done(tenant.front)


def test_an_ending_channel_is_acknowledged_and_leads_to_nothing(tenant: Tenant, google: CalendarUser) -> None:
    assert from_google(tenant.front, add_channel(tenant, google, state=ChannelState.ENDING)).status_code == 204
    assert nothing_is_done(tenant.front)


@pytest.mark.parametrize("path", [MICROSOFT, LIFECYCLE])
def test_the_handshake_is_echoed_as_plain_text(front: Front, path: str) -> None:
    token = "Validation: <b>Testing</b> & more"
    answer = front.client.post(path, params={"validationToken": token}, headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.text) == (200, token)
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_an_endless_handshake_is_refused(front: Front) -> None:
    assert front.client.post(MICROSOFT, params={"validationToken": "x" * 5000}).status_code == 422


def test_a_change_at_microsoft_has_the_calendar_synced(tenant: Tenant, microsoft: CalendarUser) -> None:
    answer = from_microsoft(tenant.front, item(add_channel(tenant, microsoft)))
    assert (answer.status_code, answer.content) == (202, b"")
    assert signalled(tenant.front, microsoft)


def test_a_batch_may_be_about_several_users_and_tenants(
    new_tenant: Callable[[], Tenant], microsoft: CalendarUser, tenant: Tenant
) -> None:
    other = new_tenant()
    stranger = other.add_user(provider="microsoft")
    channels = [add_channel(tenant, microsoft), add_channel(other, stranger)]
    assert from_microsoft(tenant.front, *map(item, channels), item(channels[0])).status_code == 202
    assert signalled(tenant.front, microsoft, stranger)


def test_good_items_are_taken_beside_forged_ones(tenant: Tenant, microsoft: CalendarUser) -> None:
    other = tenant.add_user(provider="microsoft", subject="2")
    forged = item(add_channel(tenant, other), clientState=f"{add_channel(tenant, other).id}.wrong")
    assert from_microsoft(tenant.front, forged, item(add_channel(tenant, microsoft))).status_code == 202
    assert signalled(tenant.front, microsoft)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"clientState": None}, 404),
        ({"clientState": SECRET}, 404),
        ({"clientState": "psh_unknown." + SECRET}, 404),
        ({"clientState": "x" * 10_000}, 422),
        ({"clientState": 7}, 422),
        ({"subscriptionId": {"a": 1}}, 422),
    ],
)
def test_a_forged_notification_of_microsoft_does_nothing(
    tenant: Tenant, microsoft: CalendarUser, changes: dict[str, Any], status: int
) -> None:
    channel = add_channel(tenant, microsoft)
    for path in (MICROSOFT, LIFECYCLE):
        assert from_microsoft(tenant.front, item(channel, **changes), path=path).status_code == status
    assert nothing_is_done(tenant.front)


def test_a_wrong_secret_is_401(tenant: Tenant, microsoft: CalendarUser) -> None:
    channel = add_channel(tenant, microsoft)
    answer = from_microsoft(tenant.front, item(channel, clientState=f"{channel.id}.wrong"))
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_channel_token")


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"", "application/json", 422),
        (b"{}", "application/json", 422),
        (b"[]", "application/json", 422),
        (b'{"value": []}', "application/json", 422),
        (b'{"value": null}', "application/json", 422),
        (b'{"value": [null]}', "application/json", 422),
        (b"<html>", "application/json", 400),
        (b'{"value": [{}]}', "text/html", 415),
        (b'{"value": ["' + b"x" * 300_000 + b'"]}', "application/json", 413),
        (b"[" * 5000 + b"]" * 5000, "application/json", 422),
        (b'{"value": [' + b",".join([b"{}"] * 251) + b"]}", "application/json", 422),
    ],
)
def test_bad_bodies_are_refused(front: Front, content: bytes, content_type: str, status: int) -> None:
    answer = front.client.post(MICROSOFT, content=content, headers={"Content-Type": content_type})
    assert answer.status_code == status, answer.text
    assert nothing_is_done(front)


def test_a_subscription_to_be_authorised_again_is_renewed(tenant: Tenant, microsoft: CalendarUser) -> None:
    channel = add_channel(tenant, microsoft)
    assert (
        from_microsoft(
            tenant.front, item(channel, lifecycleEvent="reauthorizationRequired"), path=LIFECYCLE
        ).status_code
        == 202
    )
    assert stored(tenant, channel).renew_asked
    assert signalled(tenant.front, microsoft)


def test_a_removed_subscription_is_wanted_anew(tenant: Tenant, microsoft: CalendarUser) -> None:
    channel = add_channel(tenant, microsoft)
    from_microsoft(tenant.front, item(channel, lifecycleEvent="subscriptionRemoved"), path=LIFECYCLE)
    row = stored(tenant, channel)
    assert (row.state, row.external_id) == (ChannelState.WANTED, None)
    assert signalled(tenant.front, microsoft)


@pytest.mark.parametrize("event", ["missed", "somethingNew", None])
def test_missed_notifications_lead_to_a_look(tenant: Tenant, microsoft: CalendarUser, event: str | None) -> None:
    channel = add_channel(tenant, microsoft)
    from_microsoft(tenant.front, item(channel, lifecycleEvent=event), path=LIFECYCLE)
    assert stored(tenant, channel).state is ChannelState.ACTIVE
    assert signalled(tenant.front, microsoft)


def test_a_second_subscription_with_our_secret_is_ended(tenant: Tenant, microsoft: CalendarUser) -> None:
    channel = add_channel(tenant, microsoft)
    for _ in range(2):
        from_microsoft(tenant.front, item(channel, subscriptionId="sub-lost"))
    with tenant.front.database.transaction(tenant.id) as session:
        rows = session.exec(select(PushChannel).where(PushChannel.id != channel.id)).all()
    assert [(row.state, row.external_id) for row in rows] == [(ChannelState.ENDING, "sub-lost")]
    assert signalled(tenant.front, microsoft)


def test_a_burst_becomes_one_signal_at_once_and_one_at_the_end() -> None:
    orchestrator = RecordingOrchestrator()
    signals, user = PushSignals(orchestrator, period=0.2), CalendarUserRef("ten", "cu_1", "google")
    signals.ask([user])
    assert until(lambda: len(orchestrator.signals) == 1)
    for _ in range(100):
        signals.ask([user])
    assert until(lambda: len(orchestrator.signals) == 2)
    signals.stop()
    assert len(orchestrator.signals) == 2


def test_while_temporal_is_away_the_signal_is_tried_again() -> None:
    orchestrator = RecordingOrchestrator(is_up=False)
    signals = PushSignals(orchestrator, period=0.01)
    signals.ask([CalendarUserRef("ten", "cu_1", "google")])
    assert until(lambda: len(orchestrator.signals) >= 3)
    orchestrator.is_up = True
    signals.stop()
    assert not signals._coalescer.waiting


def test_what_waits_is_told_when_the_process_ends() -> None:
    orchestrator = RecordingOrchestrator()
    signals, user = PushSignals(orchestrator, period=1000.0), CalendarUserRef("ten", "cu_1", "google")
    signals.ask([user])
    assert until(lambda: len(orchestrator.signals) == 1)
    signals.ask([user])
    signals.stop()
    assert len(orchestrator.signals) == 2


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "active"),
        ({"verified_at": None}, "pending"),
        ({"state": ChannelState.WANTED, "failures": 1, "verified_at": None}, "failing"),
        ({"expires_at": datetime(2026, 1, 1, tzinfo=UTC)}, "failing"),
    ],
)
def test_a_calendar_user_shows_the_health_of_its_push(
    tenant: Tenant, google: CalendarUser, changes: dict[str, Any], state: str
) -> None:
    channel = add_channel(tenant, google, **changes)
    for shown in (tenant.get(f"/calendar/users/{google.id}").json(), tenant.get("/calendar/users").json()["data"][0]):
        assert shown["push"]["state"] == state
        if state == "active":
            assert datetime.fromisoformat(shown["push"]["expires_at"]) == channel.expires_at


def test_push_is_off_where_the_provider_cannot_reach_us(tenant: Tenant, google: CalendarUser) -> None:
    add_channel(tenant, google)
    tenant.front.with_settings(outbound_allow_cidrs=())
    assert tenant.get(f"/calendar/users/{google.id}").json()["push"] == {"state": "off", "expires_at": None}


def test_push_is_off_while_access_is_lost(tenant: Tenant) -> None:
    user = tenant.add_user(state="needs_reconnect")
    add_channel(tenant, user)
    assert tenant.get(f"/calendar/users/{user.id}").json()["push"]["state"] == "off"
