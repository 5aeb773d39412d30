"""Single attempts: what is sent, what is stored of the answer, with which secrets."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import standardwebhooks
import svix.webhooks

from meetbot.errors import VaultUnavailable
from meetbot.storage import webhook_endpoints
from meetbot.temporal.messages import DeliveryAttempt, DeliveryResult, DeliveryVerdict
from meetbot.vault.sealing import SealedSecret, SecretBinding
from meetbot.webhooks.endpoint_secrets import rotated
from meetbot.webhooks.outbound import EndpointAnswer, Outbound
from meetbot.webhooks.signing import new_secret, verify_meetbot_signature
from tests.integration.webhook_delivery.rig import LOOPBACK, DeliveryRig
from tests.unit.webhooks.receiver import HOSTILE_RETRY_AFTER, Reply

pytestmark = pytest.mark.stack


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
