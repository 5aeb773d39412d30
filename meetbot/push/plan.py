"""What is to be done so that a calendar user's push channels are as they should be. Pure.

Level-triggered: the same function says to a sync whether anything is due, and to the activity what to do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from meetbot.domain.event import Provider
from meetbot.domain.push import Channel, ChannelState

RENEWED_IN_PLACE = frozenset({Provider.MICROSOFT})
"""Where a channel's life can be prolonged. At the others a new one overlaps with the old."""

RENEW_BEFORE = timedelta(days=1)
"""So long before its end a channel is renewed; at half of its life if it lives for less than two days."""

UNSUPPORTED_PAUSE = timedelta(days=1)
_OPENING_PATIENCE = timedelta(minutes=2)
_FIRST_PAUSE = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(hours=6)
_MOST_DOUBLINGS = 10
# No channel of either provider lives longer.
_FORGOTTEN_AFTER = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Want:
    """A calendar that needs a new channel, and how often one of it has failed before."""

    calendar_id: str
    failures: int = 0
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PushPlan:
    """What is to be done. ``want`` needs new rows, all others name channels by their ids.

    ``end`` are channels that are not needed any more, ``close`` those to be closed at the provider now, ``forget`` rows of
    channels that the provider no longer has.
    """

    want: tuple[Want, ...] = ()
    open: tuple[str, ...] = ()
    renew: tuple[str, ...] = ()
    end: tuple[str, ...] = ()
    close: tuple[str, ...] = ()
    forget: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any((self.want, self.open, self.renew, self.end, self.close, self.forget))


def pause_after(failures: int) -> timedelta:
    """Return how long to wait after so many failures in a row: minutes, then hours."""
    doublings = min(max(failures - 1, 0), _MOST_DOUBLINGS)
    pause: timedelta = _FIRST_PAUSE * 2**doublings
    return min(pause, _LONGEST_PAUSE)


def plan_push(
    channels: Sequence[Channel], calendars: Collection[str] | None, *, provider: Provider, now: datetime
) -> PushPlan:
    """Return what is to be done for a user whose ``calendars`` are to be reported on.

    None leaves the calendars as they are: those that have a row. An empty collection ends all channels.
    """
    of_calendar: dict[str, list[Channel]] = {}
    for channel in channels:
        if channel.state is not ChannelState.ENDING:
            of_calendar.setdefault(channel.calendar_id, []).append(channel)
    wanted = set(of_calendar) if calendars is None else set(calendars)
    plans = [
        _plan_calendar(name, of_calendar.get(name, []), in_place=provider in RENEWED_IN_PLACE, now=now)
        for name in sorted(wanted)
    ]
    left = [channel for name in sorted(set(of_calendar) - wanted) for channel in of_calendar[name]]
    ending = [channel for channel in channels if channel.state is ChannelState.ENDING]
    return _joined([*plans, _retire(left), _finish(ending, now)])


def _plan_calendar(calendar_id: str, channels: Sequence[Channel], *, in_place: bool, now: datetime) -> PushPlan:
    lapsed = [one for one in channels if one.state is ChannelState.ACTIVE and not one.lives(now)]
    mute = [one for one in channels if one.is_mute(now)]
    unknown = [one for one in channels if one.state is ChannelState.OPENING and _is_overdue(one, now)]
    under_way = [one for one in channels if one.state is ChannelState.OPENING and one not in unknown]
    wanted = [one for one in channels if one.state is ChannelState.WANTED]
    living = sorted((one for one in channels if one.lives(now) and one not in mute), key=_opened, reverse=True)
    newest = living[0] if living else None
    due = newest is not None and _is_renewal_due(newest, now)
    renew = (newest.id,) if newest is not None and due and in_place and _may_try(newest, now) else ()
    is_needed = (newest is None or (due and not in_place)) and not under_way
    failed = [*lapsed, *mute, *unknown]
    return PushPlan(
        want=(_want(calendar_id, failed, now),) if is_needed and not wanted else (),
        open=tuple(one.id for one in wanted[:1] if is_needed and _may_try(one, now)),
        renew=renew,
        end=tuple(one.id for one in [*mute, *unknown, *_superseded(living, now), *wanted[1:]]),
        forget=tuple(one.id for one in lapsed) + tuple(one.id for one in wanted[:1] if not is_needed),
    )


def _want(calendar_id: str, failed: Sequence[Channel], now: datetime) -> Want:
    if all(one.verified_at is not None for one in failed):
        # There was none, or one that has worked until its end: the next is opened at once.
        return Want(calendar_id)
    # The pause after a failure that was noted has begun already.
    failures = max(one.failures + (one.retry_at is None) for one in failed)
    begun = [one.retry_at for one in failed if one.retry_at is not None]
    return Want(calendar_id, failures, max(begun, default=now + pause_after(failures)))


def _superseded(living: Sequence[Channel], now: datetime) -> list[Channel]:
    """Return the older ones, once the provider has reached us through a newer one."""
    working = next((place for place, one in enumerate(living) if one.works(now)), len(living))
    return list(living[working + 1 :])


def _opened(channel: Channel) -> float:
    return channel.opened_at.timestamp() if channel.opened_at else 0.0


def _is_overdue(channel: Channel, now: datetime) -> bool:
    return channel.opened_at is None or now >= channel.opened_at + _OPENING_PATIENCE


def _is_renewal_due(channel: Channel, now: datetime) -> bool:
    if channel.renew_asked or channel.expires_at is None:
        return True
    life = channel.expires_at - (channel.opened_at or now)
    return now >= channel.expires_at - min(RENEW_BEFORE, life / 2)


def _may_try(channel: Channel, now: datetime) -> bool:
    return channel.retry_at is None or now >= channel.retry_at


def _retire(channels: Iterable[Channel]) -> PushPlan:
    """End channels of calendars that are not read any more; forget what was never opened."""
    is_opened = {channel.id: channel.state is not ChannelState.WANTED for channel in channels}
    return PushPlan(
        end=tuple(one for one, opened in is_opened.items() if opened),
        forget=tuple(one for one, opened in is_opened.items() if not opened),
    )


def _finish(channels: Iterable[Channel], now: datetime) -> PushPlan:
    close, forget = [], []
    for channel in channels:
        end = channel.expires_at or (channel.opened_at or now) + _FORGOTTEN_AFTER
        if now >= end or (channel.opened_at is None and not channel.closable):
            forget.append(channel.id)
        elif channel.closable and _may_try(channel, now):
            close.append(channel.id)
    return PushPlan(close=tuple(close), forget=tuple(forget))


def _joined(plans: Sequence[PushPlan]) -> PushPlan:
    return PushPlan(
        want=tuple(one for plan in plans for one in plan.want),
        open=tuple(one for plan in plans for one in plan.open),
        renew=tuple(one for plan in plans for one in plan.renew),
        end=tuple(one for plan in plans for one in plan.end),
        close=tuple(one for plan in plans for one in plan.close),
        forget=tuple(one for plan in plans for one in plan.forget),
    )
