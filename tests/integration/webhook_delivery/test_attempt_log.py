"""Each attempt of a delivery is kept, with what the endpoint answered."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlmodel import col, select

from meetbot.storage import webhook_deliveries
from meetbot.storage.tables import WebhookAttempt
from tests.integration.webhook_delivery.rig import DeliveryRig
from tests.unit.webhooks.receiver import Reply

pytestmark = pytest.mark.stack


def kept(rig: DeliveryRig) -> list[WebhookAttempt]:
    with rig.database.transaction(rig.tenant_id) as session:
        return list(session.exec(select(WebhookAttempt).order_by(col(WebhookAttempt.number))))


def test_each_attempt_is_kept_with_its_answer_and_when_the_next_comes(rig: DeliveryRig) -> None:
    rig.endpoint()
    rig.receiver.replies = [Reply(500, {"content-type": "application/json"}, b'{"error": "no table"}'), Reply(204)]
    delivery_id = rig.emit()
    rig.attempt(delivery_id)
    rig.attempt(delivery_id, 2)
    failed, taken = kept(rig)
    assert (failed.number, failed.status, failed.error, failed.answer) == (
        1, 500, "http_status", '{"error": "no table"}',
    )  # fmt: skip
    assert failed.next_at == rig.clock.now + timedelta(seconds=5)
    assert (taken.number, taken.status, taken.error, taken.answer, taken.next_at) == (2, 204, None, None, None)
    assert (rig.delivery(delivery_id).attempts, rig.delivery(delivery_id).state) == (2, "delivered")


def test_a_wait_that_the_endpoint_asks_for_puts_the_next_attempt_off(rig: DeliveryRig) -> None:
    rig.endpoint()
    rig.receiver.replies = [Reply(503, {"retry-after": "3600"})]
    rig.attempt(rig.emit())
    assert kept(rig)[0].next_at == rig.clock.now + timedelta(hours=1)


def test_the_last_attempt_of_the_schedule_has_no_next(rig: DeliveryRig) -> None:
    rig.endpoint()
    rig.receiver.replies = [Reply(500)]
    rig.attempt(rig.emit(), 10, last=True)
    assert kept(rig)[0].next_at is None


def test_a_replay_counts_on_and_is_told_apart(rig: DeliveryRig) -> None:
    rig.endpoint()
    delivery_id = rig.emit()
    rig.attempt(delivery_id)
    with rig.database.transaction(rig.tenant_id) as session:
        assert webhook_deliveries.replay(session, rig.tenant_id, delivery_id)
    rig.attempt(delivery_id)
    assert [(row.number, row.replay) for row in kept(rig)] == [(1, 0), (2, 1)]


def test_a_long_answer_is_cut_and_a_binary_one_is_not_kept(rig: DeliveryRig) -> None:
    rig.endpoint()
    rig.receiver.replies = [
        Reply(500, {"content-type": "text/html; charset=utf-8"}, "ü".encode() * 30_000),
        Reply(500, {"content-type": "image/png"}, b"\x89PNG\x00"),
        Reply(500, {"content-type": "text/plain"}, b"a\x00b"),
    ]
    delivery_id = rig.emit()
    for number in (1, 2, 3):
        rig.attempt(delivery_id, number)
    assert [row.answer for row in kept(rig)] == ["ü" * 1024, None, "a\ufffdb"]


def test_an_attempt_that_got_no_answer_says_why(rig: DeliveryRig) -> None:
    endpoint, _ = rig.endpoint()
    with rig.database.transaction(rig.tenant_id) as session:
        row = rig.stored_endpoint(endpoint)
        session.merge(row).url = "http://127.0.0.1:1/"
    rig.attempt(rig.emit())
    (attempt,) = kept(rig)
    assert (attempt.status, attempt.error) == (None, "connection_failed")
    assert attempt.milliseconds >= 0
