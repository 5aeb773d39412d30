"""Dead letters are replayed on request."""

from __future__ import annotations

import json

import pytest

from meetbot.domain.webhook_state import DeliveryState
from meetbot.storage import webhook_deliveries
from meetbot.storage.webhook_deliveries import LogFilter
from tests.integration.webhook_delivery.rig import DeliveryRig
from tests.unit.webhooks.receiver import Reply

pytestmark = pytest.mark.stack


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
