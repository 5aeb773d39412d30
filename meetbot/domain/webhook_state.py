"""The states of webhook endpoints and of deliveries, in the words of the public API."""

from __future__ import annotations

from enum import StrEnum


class DeliveryState(StrEnum):
    """The state of one message for one endpoint."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


class EndpointState(StrEnum):
    """Whether an endpoint takes webhooks."""

    ENABLED = "enabled"
    DISABLED = "disabled"


class DisabledReason(StrEnum):
    """Why an endpoint is switched off.

    It answered 410, it failed for five days, or the tenant did it.
    """

    GONE = "gone"
    FAILING = "failing"
    MANUAL = "manual"
