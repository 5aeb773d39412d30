"""A tenant's endpoints at a web server on loopback, and deliveries to them."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlmodel import col

from activities.webhooks import WebhookActivities
from meetbot.domain.webhook_state import EndpointState
from meetbot.settings import Region
from meetbot.storage import outbox, webhook_endpoints
from meetbot.storage.database import Database
from meetbot.storage.tables import WebhookDelivery, WebhookEndpoint
from meetbot.temporal.messages import DeliveryAttempt, DeliveryResult
from meetbot.vault.client import Vault
from meetbot.vault.sealing import seal_with
from meetbot.webhooks.endpoint_secrets import secret_binding, stored_secret
from meetbot.webhooks.signing import new_secret
from tests.unit.webhooks.receiver import Receiver

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
