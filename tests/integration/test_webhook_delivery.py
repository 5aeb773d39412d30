"""From the outbox row to a customer's server on loopback, with PostgreSQL and OpenBao."""

from __future__ import annotations

import base64
import ipaddress
import itertools
import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import standardwebhooks
import svix.webhooks
from sqlalchemy import select
from sqlmodel import col

from activities.webhooks import WebhookActivities
from meetbot.domain.webhook_state import DeliveryState, EndpointState
from meetbot.errors import VaultUnavailable
from meetbot.settings import Region
from meetbot.storage import outbox, webhook_deliveries, webhook_endpoints
from meetbot.storage.database import Database, create_database
from meetbot.storage.tables import WebhookDelivery, WebhookEndpoint
from meetbot.storage.webhook_deliveries import LogFilter
from meetbot.temporal.messages import DeliveryAttempt, DeliveryResult, DeliveryVerdict
from meetbot.vault.client import TokenAuth, Vault
from meetbot.vault.sealing import SealedSecret, SecretBinding, seal_with
from meetbot.webhooks.endpoint_secrets import rotated, secret_binding, stored_secret
from meetbot.webhooks.outbound import EndpointAnswer, Outbound
from meetbot.webhooks.signing import new_secret, verify_meetbot_signature
from tests.stack import VaultService
from tests.unit.webhooks.receiver import HOSTILE_RETRY_AFTER, Receiver, Reply, running_receiver

pytestmark = pytest.mark.stack

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
unique_numbers = itertools.count(1)


@dataclass(slots=True)
class Clock:
    now: datetime

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True, slots=True)
class DeliveryRig:
    database: Database
    vault: Vault
    receiver: Receiver
    activities: WebhookActivities
    clock: Clock
    tenant_id: str

    def endpoint(self, *event_types: str, path: str = "/hook") -> tuple[str, str]:
        """A new enabled endpoint at the receiver: (id, secret)."""
        secret = new_secret()
        number = next(unique_numbers)
        endpoint = WebhookEndpoint(
            tenant_id=self.tenant_id,
            id=f"whe_{number}",
            url=f"http://127.0.0.1:{self.receiver.port}{path}",
            event_types=list(event_types) or ["*"],
            secrets=[self.sealed(f"whe_{number}", secret)],
        )
        with self.database.transaction(self.tenant_id) as session:
            webhook_endpoints.add(session, endpoint)
        return endpoint.id, secret

    def sealed(self, endpoint_id: str, secret: str) -> dict[str, Any]:
        binding = secret_binding(Region.EU, self.tenant_id, endpoint_id)
        return stored_secret(
            seal_with(self.vault.new_data_key(self.tenant_id), secret.encode(), binding), self.clock.now
        )

    def emit(self, event_type: str = "bot.joined", data: Mapping[str, Any] | None = None) -> str:
        """Queue one message; the id of the only delivery it makes."""
        with self.database.transaction(self.tenant_id) as session:
            assert outbox.emit(session, self.tenant_id, event_type, data or {"id": "bot_1"}) == 1
        return self.deliveries()[-1].id

    def attempt(self, delivery_id: str, number: int = 1, *, last: bool = False) -> DeliveryResult:
        return self.activities.deliver(DeliveryAttempt(self.tenant_id, delivery_id, number, last))

    def deliveries(self) -> list[WebhookDelivery]:
        with self.database.transaction(self.tenant_id) as session:
            return list(session.scalars(select(WebhookDelivery).order_by(col(WebhookDelivery.created_at))).all())

    def delivery(self, delivery_id: str) -> WebhookDelivery:
        return next(delivery for delivery in self.deliveries() if delivery.id == delivery_id)

    def stored_endpoint(self, endpoint_id: str) -> WebhookEndpoint:
        with self.database.transaction(self.tenant_id) as session:
            endpoint = webhook_endpoints.find(session, self.tenant_id, endpoint_id)
            assert endpoint is not None
            return endpoint

    def switch(self, endpoint_id: str, state: EndpointState) -> None:
        with self.database.transaction(self.tenant_id) as session:
            endpoint = webhook_endpoints.find(session, self.tenant_id, endpoint_id)
            assert endpoint is not None
            webhook_endpoints.change_state(endpoint, state, self.clock.now)


@pytest.fixture
def rig(fresh_database: str, vault_service: VaultService) -> Iterator[DeliveryRig]:
    tenant_id = f"tnt_hook{next(unique_numbers)}"
    with closing(Vault(vault_service.address, TokenAuth(vault_service.tokens.provisioner_token))) as provisioner:
        provisioner.create_tenant_key(tenant_id)
    with (
        running_receiver() as receiver,
        closing(Vault(vault_service.address, TokenAuth(vault_service.tokens.worker_token))) as vault,
        closing(create_database(fresh_database)) as database,
    ):
        clock = Clock(datetime.now(UTC))
        activities = WebhookActivities(database, vault, Region.EU, Outbound(LOOPBACK), clock)
        yield DeliveryRig(database, vault, receiver, activities, clock, tenant_id)


def test_a_message_arrives_in_the_envelope_signed_for_both_schemes(rig: DeliveryRig) -> None:
    _, secret = rig.endpoint()
    delivery_id = rig.emit("bot.joined", {"id": "bot_1", "state": "joining"})

    result = rig.attempt(delivery_id)

    request = rig.receiver.received[0]
    body = json.loads(request.body)
    assert result == DeliveryResult(DeliveryVerdict.DELIVERED, 204)
    assert (body["deliveryId"], body["event"], body["attempt"], body["version"]) == (delivery_id, "bot.joined", 1, 2)
    assert body["data"] == {"id": "bot_1", "state": "joining"}
    assert datetime.fromisoformat(body["emittedAt"]) == rig.delivery(delivery_id).emitted_at
    assert verify_meetbot_signature(secret, request.body, request.headers["x-meetbot-signature"])
    standardwebhooks.Webhook(secret).verify(request.body, request.headers)
    svix.webhooks.Webhook(secret).verify(request.body, request.headers)


def test_a_delivered_message_is_in_the_log(rig: DeliveryRig) -> None:
    rig.endpoint()
    delivery_id = rig.emit()

    rig.attempt(delivery_id)

    delivery = rig.delivery(delivery_id)
    assert (delivery.state, delivery.attempts, delivery.last_status, delivery.last_error) == ("delivered", 1, 204, None)
    assert delivery.last_attempt_at == rig.clock.now


def test_the_id_stays_over_retries_and_the_attempt_counts_on(rig: DeliveryRig) -> None:
    rig.endpoint()
    rig.receiver.replies = [Reply(500), Reply(204)]
    delivery_id = rig.emit()

    first = rig.attempt(delivery_id, 1)
    rig.clock.now += timedelta(seconds=5)
    second = rig.attempt(delivery_id, 2)

    requests = rig.receiver.received
    assert (first.verdict, second.verdict) == (DeliveryVerdict.RETRY, DeliveryVerdict.DELIVERED)
    assert [request.headers["webhook-id"] for request in requests] == [delivery_id] * 2
    assert [json.loads(request.body)["attempt"] for request in requests] == [1, 2]
    timestamps = [int(request.headers["webhook-timestamp"]) for request in requests]
    assert timestamps[1] - timestamps[0] == 5


def test_a_delivered_message_is_not_sent_again(rig: DeliveryRig) -> None:
    """As after a crash between our commit and the workflow's hearing of it."""
    rig.endpoint()
    delivery_id = rig.emit()
    rig.attempt(delivery_id)

    assert rig.attempt(delivery_id).verdict is DeliveryVerdict.DELIVERED
    assert len(rig.receiver.received) == 1


def test_only_endpoints_that_take_the_type_get_the_message(rig: DeliveryRig) -> None:
    rig.endpoint("recording.missed")
    rig.endpoint("bot.failed")
    takers = {rig.endpoint(pattern)[0] for pattern in ("*", "bot.*", "bot.joined")}

    with rig.database.transaction(rig.tenant_id) as session:
        assert outbox.emit(session, rig.tenant_id, "bot.joined", {}) == 3
    assert {delivery.endpoint_id for delivery in rig.deliveries()} == takers


def test_a_message_of_a_transaction_that_failed_was_never_queued(rig: DeliveryRig) -> None:
    rig.endpoint()

    def change_our_mind() -> None:
        with rig.database.transaction(rig.tenant_id) as session:
            outbox.emit(session, rig.tenant_id, "bot.joined", {})
            raise RuntimeError("the caller changes its mind")

    with pytest.raises(RuntimeError):
        change_our_mind()
    assert rig.deliveries() == []


def test_another_tenants_endpoints_hear_nothing(rig: DeliveryRig) -> None:
    rig.endpoint()

    with rig.database.transaction("tnt_other") as session:
        assert outbox.emit(session, "tnt_other", "bot.joined", {}) == 0


def test_each_delivery_of_several_messages_has_an_id_of_its_own(rig: DeliveryRig) -> None:
    rig.endpoint()
    rig.endpoint()
    messages = [outbox.Message("bot.joined", {"n": number}) for number in range(50)]

    with rig.database.transaction(rig.tenant_id) as session:
        assert outbox.emit_many(session, rig.tenant_id, messages) == 100
    assert len({delivery.id for delivery in rig.deliveries()}) == 100
    assert all(len(delivery.id) == 30 for delivery in rig.deliveries())


def test_text_that_postgresql_cannot_hold_does_not_stop_the_caller(rig: DeliveryRig) -> None:
    rig.endpoint()
    delivery_id = rig.emit("job.finalized", {"note": "a\x00b\\u0000", "at": datetime(2026, 3, 1, tzinfo=UTC)})

    assert rig.delivery(delivery_id).data == {"note": "ab\\u0000", "at": "2026-03-01T00:00:00Z"}


@pytest.mark.parametrize(
    "event_type", ["", "bot", "Bot.joined", "bot.", "bot..joined", "bot.joined\n", "a." * 40 + "b"]
)
def test_a_malformed_event_type_is_the_callers_fault(rig: DeliveryRig, event_type: str) -> None:
    with pytest.raises(ValueError, match="event type"), rig.database.transaction(rig.tenant_id) as session:
        outbox.emit(session, rig.tenant_id, event_type, {})


@pytest.mark.parametrize(
    ("reply", "error"),
    [(Reply(500), "http_status"), (Reply(404), "http_status"), (Reply(302, {"location": "/elsewhere"}), "redirect")],
)
def test_a_failure_is_stored_with_its_code_and_tried_again(rig: DeliveryRig, reply: Reply, error: str) -> None:
    rig.endpoint()
    rig.receiver.replies = [reply]
    delivery_id = rig.emit()

    result = rig.attempt(delivery_id)

    delivery = rig.delivery(delivery_id)
    assert result == DeliveryResult(DeliveryVerdict.RETRY, reply.status)
    assert (delivery.state, delivery.last_status, delivery.last_error) == ("pending", reply.status, error)
    assert len(rig.receiver.received) == 1


def test_the_last_failure_makes_a_dead_letter(rig: DeliveryRig) -> None:
    rig.endpoint()
    rig.receiver.replies = [Reply(500)]
    delivery_id = rig.emit()

    assert rig.attempt(delivery_id, 10, last=True).verdict is DeliveryVerdict.STOP
    assert rig.delivery(delivery_id).state == "dead"


def test_the_endpoints_retry_after_reaches_the_workflow(rig: DeliveryRig) -> None:
    rig.endpoint()
    rig.receiver.replies = [Reply(429, {"retry-after": "900"})]

    assert rig.attempt(rig.emit()) == DeliveryResult(DeliveryVerdict.RETRY, 429, 900)


@pytest.mark.parametrize("header", HOSTILE_RETRY_AFTER)
def test_a_hostile_retry_after_counts_as_an_attempt(rig: DeliveryRig, header: str) -> None:
    rig.endpoint()
    rig.receiver.replies = [Reply(503, {"retry-after": header})]
    delivery_id = rig.emit()

    rig.attempt(delivery_id)

    assert (rig.delivery(delivery_id).attempts, rig.delivery(delivery_id).last_status) == (1, 503)


class BrokenOutbound(Outbound):
    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> EndpointAnswer:
        super().post(url, body, headers)
        raise RuntimeError("the answer cannot be read")


def test_a_failure_after_sending_counts_but_not_against_the_endpoint(rig: DeliveryRig) -> None:
    endpoint_id, _ = rig.endpoint()
    delivery_id = rig.emit()
    broken = replace(rig.activities, outbound=BrokenOutbound(LOOPBACK))

    result = broken.deliver(DeliveryAttempt(rig.tenant_id, delivery_id, 1, last=False))

    delivery = rig.delivery(delivery_id)
    assert result == DeliveryResult(DeliveryVerdict.RETRY)
    assert (delivery.state, delivery.attempts, delivery.last_error) == ("pending", 1, "internal_error")
    assert rig.stored_endpoint(endpoint_id).failing_since is None


def test_410_switches_the_endpoint_off_and_tells_the_others(rig: DeliveryRig) -> None:
    gone, _ = rig.endpoint("bot.joined")
    other, _ = rig.endpoint("webhook_endpoint.*")
    rig.receiver.replies = [Reply(410)]
    delivery_id = rig.emit()

    assert rig.attempt(delivery_id).verdict is DeliveryVerdict.STOP

    endpoint, notice = rig.stored_endpoint(gone), rig.deliveries()[-1]
    assert (endpoint.state, endpoint.disabled_reason) == ("disabled", "gone")
    assert rig.delivery(delivery_id).state == "dead"
    assert (notice.endpoint_id, notice.event_type) == (other, "webhook_endpoint.disabled")
    assert (notice.data["id"], notice.data["disabled_reason"]) == (gone, "gone")
    assert "secrets" not in notice.data


def test_an_endpoint_that_took_nothing_for_five_days_is_switched_off(rig: DeliveryRig) -> None:
    failing, _ = rig.endpoint("bot.joined")
    rig.receiver.replies = [Reply(500)]
    delivery_id = rig.emit()

    rig.attempt(delivery_id)
    rig.clock.now += timedelta(days=5) - timedelta(seconds=1)
    rig.attempt(delivery_id, 2)
    almost = rig.stored_endpoint(failing)
    rig.clock.now += timedelta(seconds=1)
    rig.attempt(delivery_id, 3)
    after = rig.stored_endpoint(failing)

    assert almost.state == "enabled"
    assert (after.state, after.disabled_reason) == ("disabled", "failing")


def test_one_success_makes_the_record_clean(rig: DeliveryRig) -> None:
    endpoint_id, _ = rig.endpoint()
    rig.receiver.replies = [Reply(500), Reply(200), Reply(500)]
    rig.attempt(rig.emit())
    failing_since = rig.stored_endpoint(endpoint_id).failing_since
    rig.attempt(rig.emit())

    assert failing_since == rig.clock.now
    assert rig.stored_endpoint(endpoint_id).failing_since is None


@pytest.mark.parametrize("state", ["disabled", "deleted"])
def test_an_endpoint_that_is_no_more_is_left_alone(rig: DeliveryRig, state: str) -> None:
    endpoint_id, _ = rig.endpoint()
    delivery_id = rig.emit()
    if state == "disabled":
        rig.switch(endpoint_id, EndpointState.DISABLED)
    else:
        with rig.database.transaction(rig.tenant_id) as session:
            assert webhook_endpoints.remove(session, rig.tenant_id, endpoint_id)

    assert rig.attempt(delivery_id) == DeliveryResult(DeliveryVerdict.STOP)
    assert rig.receiver.received == []
    assert [delivery.state for delivery in rig.deliveries()] == (["dead"] if state == "disabled" else [])


def test_during_a_rotation_both_secrets_verify_and_after_it_only_the_newer(rig: DeliveryRig) -> None:
    endpoint_id, older = rig.endpoint()
    newer = new_secret()
    with rig.database.transaction(rig.tenant_id) as session:
        endpoint = webhook_endpoints.find(session, rig.tenant_id, endpoint_id)
        assert endpoint is not None
        secrets = rotated(endpoint.secrets, rig.sealed(endpoint_id, newer), rig.clock.now)
        webhook_endpoints.change_secrets(endpoint, secrets, rig.clock.now)

    rig.attempt(rig.emit())
    rig.clock.now += timedelta(hours=24)
    rig.attempt(rig.emit())

    during, after = (request.headers["webhook-signature"].split() for request in rig.receiver.received)
    assert (len(during), len(after)) == (2, 1)
    request = rig.receiver.received[0]
    for secret in (newer, older):
        standardwebhooks.Webhook(secret).verify(request.body, request.headers)


def test_a_secret_that_does_not_open_is_no_fault_of_the_endpoint(rig: DeliveryRig) -> None:
    endpoint_id, _ = rig.endpoint()
    with rig.database.transaction(rig.tenant_id) as session:
        endpoint = webhook_endpoints.find(session, rig.tenant_id, endpoint_id)
        assert endpoint is not None
        stored = endpoint.secrets[0]
        broken = bytes([base64.b64decode(stored["ciphertext"])[0] ^ 1]) + base64.b64decode(stored["ciphertext"])[1:]
        endpoint.secrets = [{**stored, "ciphertext": base64.b64encode(broken).decode()}]
    delivery_id = rig.emit()

    assert rig.attempt(delivery_id).verdict is DeliveryVerdict.RETRY
    assert rig.delivery(delivery_id).last_error == "secret_unreadable"
    assert rig.stored_endpoint(endpoint_id).failing_since is None
    assert rig.receiver.received == []


class SealedVault:
    def open(self, tenant_id: str, sealed: SealedSecret, binding: SecretBinding) -> bytes:
        raise VaultUnavailable("vault_sealed", "sealed")


def test_an_outage_of_the_vault_leaves_the_delivery_as_it_was(rig: DeliveryRig) -> None:
    endpoint_id, _ = rig.endpoint()
    delivery_id = rig.emit()
    without_vault = replace(rig.activities, vault=SealedVault())

    with pytest.raises(VaultUnavailable):
        without_vault.deliver(DeliveryAttempt(rig.tenant_id, delivery_id, 1, last=True))

    delivery = rig.delivery(delivery_id)
    assert (delivery.state, delivery.attempts) == ("pending", 0)
    assert rig.stored_endpoint(endpoint_id).failing_since is None


def test_an_address_inside_is_a_failure_with_its_code(rig: DeliveryRig) -> None:
    rig.endpoint()
    delivery_id = rig.emit()
    guarded = replace(rig.activities, outbound=Outbound())

    result = guarded.deliver(DeliveryAttempt(rig.tenant_id, delivery_id, 1, last=False))

    assert result == DeliveryResult(DeliveryVerdict.RETRY)
    assert rig.delivery(delivery_id).last_error == "destination_not_allowed"
    assert rig.receiver.received == []


def test_a_dead_letter_is_replayed_with_its_id_and_counts_on(rig: DeliveryRig) -> None:
    rig.endpoint()
    rig.receiver.replies = [Reply(500), Reply(204)]
    delivery_id = rig.emit()
    rig.attempt(delivery_id, 10, last=True)

    with rig.database.transaction(rig.tenant_id) as session:
        assert webhook_deliveries.replay(session, rig.tenant_id, delivery_id)
    replayed = rig.delivery(delivery_id)
    rig.attempt(delivery_id)

    assert (replayed.state, replayed.replays, replayed.relayed_at) == ("pending", 1, None)
    assert rig.delivery(delivery_id).state == "delivered"
    assert [json.loads(request.body)["attempt"] for request in rig.receiver.received] == [1, 2]
    assert {request.headers["webhook-id"] for request in rig.receiver.received} == {delivery_id}


def test_a_delivery_under_way_is_not_replayed(rig: DeliveryRig) -> None:
    rig.endpoint()
    delivery_id = rig.emit()

    with rig.database.transaction(rig.tenant_id) as session:
        assert not webhook_deliveries.replay(session, rig.tenant_id, delivery_id)


def test_all_dead_letters_of_an_endpoint_are_replayed_at_once(rig: DeliveryRig) -> None:
    endpoint_id, _ = rig.endpoint()
    rig.receiver.replies = [Reply(500), Reply(500), Reply(204)]
    for _ in range(2):
        rig.attempt(rig.emit(), 10, last=True)
    delivered = rig.emit()
    rig.attempt(delivered)

    dead = LogFilter(state=DeliveryState.DEAD)
    with rig.database.transaction(rig.tenant_id) as session:
        assert webhook_deliveries.replay_many(session, rig.tenant_id, endpoint_id, dead) == 2
    assert sorted(delivery.state for delivery in rig.deliveries()) == ["delivered", "pending", "pending"]


def test_a_tenant_has_a_bounded_number_of_endpoints(rig: DeliveryRig) -> None:
    for _ in range(webhook_endpoints.MAX_ENDPOINTS):
        rig.endpoint()

    with pytest.raises(Exception, match="too_many_endpoints"):
        rig.endpoint()
