"""Channels of both providers, as the sandbox keeps them."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field


class GoogleChannel(BaseModel, extra="forbid"):
    """A channel made by events.watch. ``message_number`` is that of the last message sent."""

    id: str
    account: str
    calendar: str
    resource_id: str
    resource_uri: str
    token: str | None
    address: str
    expires_at: datetime
    message_number: int = 0


class Subscription(BaseModel, extra="forbid"):
    """A subscription of Graph's to the events of one calendar."""

    id: str
    account: str
    calendar: str
    resource: str
    change_types: list[str]
    notification_url: str
    lifecycle_url: str | None
    client_state: str | None
    expires_at: datetime


class PushSettings(BaseModel, extra="forbid"):
    """How push behaves.

    ``lose``: what is sent from now on never arrives. ``sync_first``: Google's first message comes before the answer to watch.
    ``most_seconds``: no channel is given a longer life.
    """

    lose: bool = False
    sync_first: bool = False
    most_seconds: int | None = Field(default=None, ge=1)
