"""A clock that people and tests can move: real time plus an offset, or standing still."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import BaseModel


class ClockState(BaseModel):
    """The state of the clock. If ``frozen_at`` is set, the offset does not count."""

    offset_seconds: float = 0.0
    frozen_at: datetime | None = None


def read(clock: ClockState) -> datetime:
    """Return the sandbox's time, UTC."""
    return clock.frozen_at or _real_now() + timedelta(seconds=clock.offset_seconds)


def freeze(clock: ClockState, at: datetime | None = None) -> None:
    """Stop the clock, at the given instant or now."""
    clock.frozen_at = (at or read(clock)).astimezone(UTC)


def unfreeze(clock: ClockState) -> None:
    """Let the clock run on from the instant at which it stands."""
    if clock.frozen_at is not None:
        clock.offset_seconds = (clock.frozen_at - _real_now()).total_seconds()
        clock.frozen_at = None


def set_to(clock: ClockState, at: datetime) -> None:
    """Set the clock; a frozen one stays frozen."""
    if clock.frozen_at is not None:
        clock.frozen_at = at.astimezone(UTC)
    else:
        clock.offset_seconds = (at - _real_now()).total_seconds()


def set_offset(clock: ClockState, seconds: float) -> None:
    """Let the clock run at this distance from real time."""
    clock.frozen_at = None
    clock.offset_seconds = seconds


def advance(clock: ClockState, seconds: float) -> None:
    """Move the clock by some seconds; a frozen one stays frozen."""
    if clock.frozen_at is not None:
        clock.frozen_at += timedelta(seconds=seconds)
    else:
        clock.offset_seconds += seconds


def _real_now() -> datetime:
    return datetime.now(UTC)
