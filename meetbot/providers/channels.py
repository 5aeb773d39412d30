"""The interface of push: channels through which a provider reports that a calendar changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from meetbot.errors import ProviderError


class PushUnsupported(ProviderError):
    """The provider does not report on this calendar, or not to our address."""


class ChannelExists(ProviderError):
    """The provider has a channel for this calendar already, which is not one that we know."""


@dataclass(frozen=True, slots=True)
class ChannelRequest:
    """Asks for a channel.

    ``channel_id`` and ``secret`` come back in every notification. ``address`` is ours; Microsoft tells what happens to the
    channel itself at ``lifecycle_address``. ``until`` is when it is to end, at the latest.
    """

    channel_id: str
    secret: str
    calendar_id: str
    address: str
    lifecycle_address: str
    until: datetime

    def __repr__(self) -> str:
        return f"ChannelRequest({self.channel_id!r})"


@dataclass(frozen=True, slots=True)
class ChannelName:
    """What names a channel at its provider.

    Google takes our id with its own of the resource, Microsoft its own id.
    """

    channel_id: str
    external_id: str | None = None
    resource_id: str | None = None


@dataclass(frozen=True, slots=True)
class OpenedChannel:
    """A channel as the provider opened it.

    ``is_verified``: the provider has reached us already.
    """

    name: ChannelName
    expires_at: datetime
    is_verified: bool


class ChannelProvider(Protocol):
    """One provider's calls about channels.

    All block, are bounded by ``timeout_seconds``, and raise `ProviderError`s.
    """

    def open_channel(self, access_token: str, request: ChannelRequest, *, timeout_seconds: float) -> OpenedChannel:
        """Open a channel.

        Raises `PushUnsupported`, or `ChannelExists`. After `RetryLater` it may be open nevertheless.
        """
        ...

    def renew_channel(
        self, access_token: str, name: ChannelName, *, until: datetime, timeout_seconds: float
    ) -> datetime:
        """Prolong a channel's life and return its end. Raises `ResourceGone` if it has ended."""
        ...

    def close_channel(self, access_token: str, name: ChannelName, *, timeout_seconds: float) -> None:
        """End a channel; one that has ended is no error."""
        ...

    def close_others(
        self, access_token: str, calendar_id: str, *, known: frozenset[str], timeout_seconds: float
    ) -> None:
        """End the account's channels for a calendar whose own ids are not among the ``known`` ones."""
        ...
