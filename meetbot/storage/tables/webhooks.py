"""The tables of webhooks: endpoints, and the deliveries to them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Column, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from meetbot.storage import columns


class WebhookEndpoint(SQLModel, table=True):
    """An address at which a tenant receives webhooks.

    ``secrets`` are sealed; the newest is first, older ones carry an expiry.
    """

    __tablename__ = "webhook_endpoint"
    __table_args__ = (CheckConstraint("state in ('enabled','disabled')", name="state"),)

    tenant_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    url: str = Field(sa_column=Column(Text, nullable=False))
    event_types: list[str] = Field(default_factory=list, sa_column=columns.json('["*"]'))
    state: str = "enabled"
    disabled_reason: str | None = None
    failing_since: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    secrets: list[columns.JsonObject] = Field(default_factory=list, sa_column=columns.json("[]"))
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
