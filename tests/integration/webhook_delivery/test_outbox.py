"""Which messages are queued, for which endpoints."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from meetbot.storage import outbox
from tests.integration.webhook_delivery.rig import DeliveryRig

pytestmark = pytest.mark.stack


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
