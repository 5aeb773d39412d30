"""The words of push: channels at a provider, their states, and the health of push."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class ChannelState(StrEnum):
    """State of a push channel.

    `WANTED`: there is none at the provider; it is to be opened. `OPENING`: asked for, and the answer is not known. `ACTIVE`:
    the provider has it. `ENDING`: not needed any more; it is to be closed at the provider.
    """

    WANTED = "wanted"
    OPENING = "opening"
    ACTIVE = "active"
    ENDING = "ending"


class PushState(StrEnum):
    """How healthy push is for a calendar user.

    `OFF`: no provider is asked. `PENDING`: channels are being opened. `ACTIVE`: all calendars are reported on. `FAILING`: at
    least one is not, and all are polled as without push.
    """

    OFF = "off"
    PENDING = "pending"
    ACTIVE = "active"
    FAILING = "failing"


# A provider's first message comes within seconds. One that has not come by then cannot reach us.
VERIFICATION_PATIENCE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One push channel of a calendar user, as it is stored.

    ``expires_at`` is None before the first opening. ``verified_at`` is when the provider first reached us through it.
    ``retry_at`` is the earliest instant for the next request about it. ``renew_asked``: the provider wants it renewed.
    ``closable``: enough is known of it to close it at the provider.
    """

    id: str
    calendar_id: str
    state: ChannelState
    opened_at: datetime | None = None
    expires_at: datetime | None = None
    verified_at: datetime | None = None
    last_notified_at: datetime | None = None
    failures: int = 0
    last_error: str | None = None
    retry_at: datetime | None = None
    renew_asked: bool = False
    closable: bool = False

    def lives(self, now: datetime) -> bool:
        """Return whether the provider has the channel."""
        return self.state is ChannelState.ACTIVE and self.expires_at is not None and now < self.expires_at

    def works(self, now: datetime) -> bool:
        """Return whether the provider has the channel and has reached us through it."""
        return self.lives(now) and self.verified_at is not None

    def is_mute(self, now: datetime) -> bool:
        """Return whether the provider should have reached us through it by now and has not."""
        waited = self.opened_at is not None and now >= self.opened_at + VERIFICATION_PATIENCE
        return self.lives(now) and self.verified_at is None and waited


@dataclass(frozen=True, slots=True)
class PushHealth:
    """How healthy push is, and the instant at which the first channel of all ends."""

    state: PushState
    expires_at: datetime | None = None


NO_PUSH = PushHealth(PushState.OFF)


def push_health(channels: Iterable[Channel], *, now: datetime, is_on: bool) -> PushHealth:
    """Return the health of push for the calendar user that has these channels."""
    if not is_on:
        return NO_PUSH
    by_calendar: dict[str, list[Channel]] = {}
    for channel in channels:
        if channel.state is not ChannelState.ENDING:
            by_calendar.setdefault(channel.calendar_id, []).append(channel)
    ends = [_working_until(of_calendar, now) for of_calendar in by_calendar.values()]
    known = [end for end in ends if end is not None]
    if ends and len(known) == len(ends):
        return PushHealth(PushState.ACTIVE, min(known))
    failing = any(
        end is None and any(_has_failed(channel, now) for channel in of_calendar)
        for end, of_calendar in zip(ends, by_calendar.values(), strict=True)
    )
    return PushHealth(PushState.FAILING if failing else PushState.PENDING, min(known, default=None))


def _working_until(channels: Sequence[Channel], now: datetime) -> datetime | None:
    ends = [channel.expires_at for channel in channels if channel.works(now) and channel.expires_at is not None]
    return max(ends, default=None)


def _has_failed(channel: Channel, now: datetime) -> bool:
    has_lapsed = channel.state is ChannelState.ACTIVE and not channel.lives(now)
    return channel.failures > 0 or has_lapsed or channel.is_mute(now)
