"""Instants inside cursors: whole microseconds, as exact as the database's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from meetbot.errors import InvalidInput

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros_of(instant: datetime | None) -> int | None:
    return None if instant is None else (instant - _EPOCH) // timedelta(microseconds=1)


def instant_of(micros: object) -> datetime:
    """Raises `InvalidInput` (``invalid_cursor``) for what `micros_of` never gave."""
    try:
        return _EPOCH + timedelta(microseconds=int(str(micros)))
    except (ValueError, OverflowError):
        raise InvalidInput("invalid_cursor", "not a cursor of this listing") from None
