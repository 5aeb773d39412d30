"""Webhook endpoints and deliveries as customers see them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from meetbot.domain.webhook_state import DeliveryState, DisabledReason, EndpointState
from meetbot.storage.tables import WebhookAttempt, WebhookDelivery, WebhookEndpoint


class EndpointResource(BaseModel):
    """An endpoint: an address at which a tenant takes webhooks.

    The secret is no part of it: it is shown once, when it is made.
    """

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


def endpoint_resource(row: WebhookEndpoint) -> EndpointResource:
    """Return the resource of a row."""
    return EndpointResource.model_validate(row)


def endpoint_document(row: WebhookEndpoint, *, now: datetime) -> dict[str, Any]:
    """Return the ``data`` of a webhook about this endpoint.

    Its ``sequence`` is the time in milliseconds.
    """
    return endpoint_resource(row).model_dump(mode="json") | {"sequence": int(now.timestamp() * 1000)}


class DeliveryResource(BaseModel):
    """One message for one endpoint.

    ``id`` is the ``deliveryId`` of its envelope and its ``webhook-id``.
    """

    model_config = ConfigDict(from_attributes=True)

    id: str
    endpoint_id: str
    event_type: str
    state: DeliveryState
    attempts: int = Field(description="How often it was tried, replays included.")
    replays: int
    last_attempt_at: datetime | None = None
    last_status: int | None = Field(default=None, description="The last HTTP status, if an answer came.")
    last_error: str | None = Field(
        default=None,
        description="A stable code: `http_status`, `redirect`, `gone`, `timeout`, `dns_failed`, `connection_failed`, "
        "`tls_failed`, `protocol_error`, `destination_not_allowed`, `url_scheme`, `url_port`, `endpoint_disabled`, "
        "`secret_unreadable`, `internal_error`.",
    )
    emitted_at: datetime
    created_at: datetime


def delivery_resource(row: WebhookDelivery) -> DeliveryResource:
    """Return the resource of a row."""
    return DeliveryResource.model_validate(row)


class AttemptResource(BaseModel):
    """One attempt of a delivery."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "examples": [
                {
                    "number": 1,
                    "replay": 0,
                    "at": "2026-11-28T11:07:01.300000Z",
                    "milliseconds": 84,
                    "status": 500,
                    "error": "http_status",
                    "answer": '{"error": "relation does not exist"}',
                    "next_at": "2026-11-28T11:07:06.300000Z",
                }
            ]
        },
    )

    number: int = Field(description="Counts on over replays, as the envelope's `attempt`.")
    replay: int = Field(description="0 for the first sending, then the number of the replay.")
    at: datetime
    milliseconds: int = Field(description="From the resolving of the name to the end of the answer.")
    status: int | None = Field(description="The HTTP status, if an answer came.")
    error: str | None = Field(description="A stable code, as `last_error` of the delivery; null if it was taken.")
    answer: str | None = Field(
        description="The first 2 KB of the endpoint's answer, if it says that it is text. Show it as text, never as HTML."
    )
    next_at: datetime | None = Field(description="When the next attempt was to be made at the earliest, if one was.")


def attempt_resource(row: WebhookAttempt) -> AttemptResource:
    """Return the resource of a row."""
    return AttemptResource.model_validate(row)
