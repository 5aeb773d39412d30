"""The tables of webhooks: endpoints, and the deliveries to them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Column, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import deferred
from sqlmodel import Field, SQLModel

from meetbot.storage import columns

_SECRETS = columns.json("[]")
_SECRETS.name = "secrets"


class WebhookEndpoint(SQLModel, table=True):
    """An address at which a tenant receives webhooks.

    ``secrets`` are sealed; the newest is first, older ones carry an expiry. They are not loaded with a row, since the api may
    not read them.
    """

    __tablename__ = "webhook_endpoint"
    __table_args__ = (CheckConstraint("state in ('enabled','disabled')", name="state"),)
    __mapper_args__ = {"properties": {"secrets": deferred(_SECRETS)}}

    tenant_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    url: str = Field(sa_column=Column(Text, nullable=False))
    event_types: list[str] = Field(default_factory=list, sa_column=columns.json('["*"]'))
    state: str = "enabled"
    disabled_reason: str | None = None
    failing_since: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    secrets: list[columns.JsonObject] = Field(default_factory=list, sa_column=_SECRETS)
    created_at: datetime | None = Field(default=None, sa_column=columns.now())
    updated_at: datetime | None = Field(default=None, sa_column=columns.now())


class WebhookDelivery(SQLModel, table=True):
    """One message for one endpoint: the transactional outbox.

    It is written in the transaction of what it tells about.
    """

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        Index("ix_webhook_delivery_unrelayed", "created_at", postgresql_where=text("relayed_at is null")),
        Index("ix_webhook_delivery_endpoint", "tenant_id", "endpoint_id", "created_at"),
        CheckConstraint("state in ('pending','delivered','dead')", name="state"),
    )

    tenant_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    endpoint_id: str
    event_type: str
    data: columns.JsonObject = Field(sa_column=Column(JSONB, nullable=False))
    state: str = "pending"
    attempts: int = 0
    replays: int = 0
    last_attempt_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    last_status: int | None = None
    last_error: str | None = None
    emitted_at: datetime | None = Field(default=None, sa_column=columns.now())
    created_at: datetime | None = Field(default=None, sa_column=columns.now())
    relayed_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))


class WebhookAttempt(SQLModel, table=True):
    """One attempt of a delivery, never changed again but for an erasure.

    ``number`` counts on over replays, ``replay`` says which one it belongs to. ``answer`` is the beginning of the endpoint's
    text. ``next_at`` is when the next attempt was to be made at the earliest.
    """

    __tablename__ = "webhook_attempt"

    tenant_id: str = Field(primary_key=True)
    delivery_id: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    replay: int
    at: datetime = Field(sa_column=columns.instant())
    milliseconds: int
    status: int | None = None
    error: str | None = None
    answer: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    next_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
