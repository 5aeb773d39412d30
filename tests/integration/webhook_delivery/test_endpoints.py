"""What deliveries make of their endpoint: switched off, left alone, or with a clean record."""

from __future__ import annotations

from datetime import timedelta

import pytest

from meetbot.domain.webhook_state import EndpointState
from meetbot.storage import webhook_endpoints
from meetbot.temporal.messages import DeliveryResult, DeliveryVerdict
from tests.integration.webhook_delivery.rig import DeliveryRig
from tests.unit.webhooks.receiver import Reply

pytestmark = pytest.mark.stack


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


def test_a_tenant_has_a_bounded_number_of_endpoints(rig: DeliveryRig) -> None:
    for _ in range(webhook_endpoints.MAX_ENDPOINTS):
        rig.endpoint()

    with pytest.raises(Exception, match="too_many_endpoints"):
        rig.endpoint()
