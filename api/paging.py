"""Pages by cursor: opaque, bound to the question they were given for."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Generic, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, PlainValidator, StringConstraints, TypeAdapter

from meetbot.errors import Fault, InvalidInput

DEFAULT_LIMIT = 50
MAX_LIMIT = 250
_CHECKSUM_BYTES = 8
Item = TypeVar("Item")
Place = TypeVar("Place")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros_of(instant: datetime | None) -> int | None:
    """Return an instant as whole microseconds since 1970, as exact as the database's; None stays None."""
    return None if instant is None else (instant - _EPOCH) // timedelta(microseconds=1)


def instant_of(micros: object) -> datetime:
    """Return the instant of `micros_of`. Raises ``ValueError`` for anything that `micros_of` never gives."""
    if not isinstance(micros, int):
        raise ValueError("no whole number of microseconds")
    try:
        return _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        raise ValueError("no instant that a datetime can hold") from None


PlaceText = Annotated[str, StringConstraints(strict=True, max_length=500, pattern=r"^[ -~]*$")]
PlaceInstant = Annotated[datetime, PlainValidator(instant_of)]
"""From whole microseconds, as `micros_of` gives them."""
PlaceNumber = Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)]


class PageQuery(BaseModel):
    """What every listing takes. Unknown parameters are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT, description="Rows per page.")] = DEFAULT_LIMIT
    cursor: Annotated[
        str | None, Field(max_length=2000, description="`next_cursor` of the page before, with the same filters.")
    ] = None

    def question(self) -> str:
        """All but where the page begins and how long it is."""
        return self.model_dump_json(exclude={"limit", "cursor"})


class Page(BaseModel, Generic[Item]):
    data: list[Item]
    next_cursor: str | None = Field(description="Give it as `cursor` to get the next page; null on the last.")


def encode_cursor(place: Sequence[str | int | None], *, asked: str) -> str:
    """``asked`` is the question whose answer is paged through: tenant, route and filters."""
    payload = orjson.dumps(place)
    return base64.urlsafe_b64encode(_checksum(payload, asked) + payload).decode("ascii").rstrip("=")


def decode_cursor(cursor: str | None, *, asked: str, shape: TypeAdapter[Place]) -> Place | None:
    """The place, or None for the first page. Raises `InvalidInput` (``invalid_cursor``).

    The checksum is no signature: a place that somebody made up is refused where it has not the ``shape``, and shows nothing
    that the listing itself would not.
    """
    if cursor is None:
        return None
    try:
        raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        checksum, payload = raw[:_CHECKSUM_BYTES], raw[_CHECKSUM_BYTES:]
        if checksum == _checksum(payload, asked):
            return shape.validate_python(orjson.loads(payload))
    except ValueError:
        pass
    reason = "not a cursor of this listing with these filters"
    raise InvalidInput("invalid_cursor", reason, (Fault("cursor", "invalid_cursor", reason),))


def _checksum(payload: bytes, asked: str) -> bytes:
    return hashlib.blake2b(payload + b"\n" + asked.encode(), digest_size=_CHECKSUM_BYTES).digest()
