"""Instants inside cursors: whole microseconds, as exact as the database's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros_of(instant: datetime | None) -> int | None:
    return None if instant is None else (instant - _EPOCH) // timedelta(microseconds=1)


def instant_of(micros: object) -> datetime:
    """Raises ValueError for what `micros_of` never gave."""
    if not isinstance(micros, int):
        raise ValueError("no whole number of microseconds")
    try:
        return _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        raise ValueError("no instant that a datetime can hold") from None
