"""Pages by cursor: opaque, bound to the question they were given for."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field

from meetbot.errors import Fault, InvalidInput

DEFAULT_LIMIT = 50
MAX_LIMIT = 250
_CHECKSUM_BYTES = 8
Item = TypeVar("Item")


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


def decode_cursor(cursor: str | None, *, asked: str, length: int) -> list[Any] | None:
    """The place, or None for the first page. Raises `InvalidInput` (``invalid_cursor``)."""
    if cursor is None:
        return None
    try:
        raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        checksum, payload = raw[:_CHECKSUM_BYTES], raw[_CHECKSUM_BYTES:]
        place = orjson.loads(payload) if checksum == _checksum(payload, asked) else None
    except ValueError:
        place = None
    if not isinstance(place, list) or len(place) != length:
        reason = "not a cursor of this listing with these filters"
        raise InvalidInput("invalid_cursor", reason, (Fault("cursor", "invalid_cursor", reason),))
    return place


def _checksum(payload: bytes, asked: str) -> bytes:
    return hashlib.blake2b(payload + b"\n" + asked.encode(), digest_size=_CHECKSUM_BYTES).digest()
