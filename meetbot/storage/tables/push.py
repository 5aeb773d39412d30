"""The table of push channels."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Boolean, CheckConstraint, Column, Index, LargeBinary, text
from sqlmodel import Field, SQLModel

from meetbot.domain.push import ChannelState
from meetbot.storage import columns


class PushChannel(SQLModel, table=True):
    """One channel through which a provider reports changes of one calendar.

    ``id`` is ours and stands in each notification: as Google's channel id, and in Microsoft's ``clientState``. The secret
    beside it is kept as SHA-256. ``external_id`` is Microsoft's id of the subscription, ``resource_id`` Google's
    of what is watched.
    """

    __tablename__ = "push_channel"
    __table_args__ = (
        Index("ix_push_channel_user", "tenant_id", "calendar_user_id"),
        Index("ix_push_channel_id", "id"),
        CheckConstraint(columns.one_of("state", ChannelState), name="state"),
    )

    tenant_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    calendar_user_id: str
    provider: str
    calendar_id: str
    state: ChannelState = Field(sa_column=columns.state_of(ChannelState))
    token_digest: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    external_id: str | None = None
    resource_id: str | None = None
    created_at: datetime | None = Field(default=None, sa_column=columns.now())
    opened_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    expires_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    verified_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    last_notified_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    renew_asked: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=text("false")))
    failures: int = columns.counted(0)
    last_error: str | None = None
    retry_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
