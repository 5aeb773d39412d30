"""Endpoints and deliveries as customers see them, over HTTP and inside webhooks."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from meetbot.webhooks.outcome import DeliveryState, DisabledReason, EndpointState


class EndpointResource(BaseModel):
    """Where a tenant takes webhooks. The secret is no part of it: it is shown once, when it is made."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    url: str
    event_types: list[str]
    state: EndpointState
    disabled_reason: DisabledReason | None = Field(
        default=None, description="`gone`: it answered 410. `failing`: it took nothing for five days. `manual`: by you."
    )
    failing_since: datetime | None = Field(default=None, description="Since when no attempt has succeeded.")
    created_at: datetime
    updated_at: datetime


class DeliveryResource(BaseModel):
    """One message for one endpoint. ``id`` is the ``deliveryId`` of its envelope and its ``webhook-id``."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    endpoint_id: str
    event_type: str
    state: DeliveryState
    attempts: int = Field(description="How often it was tried, replays included.")
    replays: int
    last_attempt_at: datetime | None = None
    last_status: int | None = Field(default=None, description="The last HTTP status, where an answer came.")
    last_error: str | None = Field(
        default=None,
        description="A stable code: `http_status`, `redirect`, `gone`, `timeout`, `dns_failed`, `connection_failed`, "
        "`tls_failed`, `protocol_error`, `destination_not_allowed`, `url_scheme`, `url_port`, `endpoint_disabled`, "
        "`secret_unreadable`, `internal_error`.",
    )
    emitted_at: datetime
    created_at: datetime
