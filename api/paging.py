"""Cutting a listing into pages, each with an opaque cursor that leads to the next.

A listing reads one row more than a page holds (`rows_to_read`) and has `cut_page` cut it:

    place = decode_cursor(query.cursor, asked=asked, shape=BY_CREATION)
    rows = list_things(session, after=place, limit=rows_to_read(query))
    shown, next_cursor = cut_page(rows, query, asked=asked, place_of=place_by_creation)
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Generic, Protocol, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, PlainValidator, StringConstraints, TypeAdapter

from meetbot.errors import Fault, InvalidInput

DEFAULT_LIMIT = 50
MAX_LIMIT = 250
_CHECKSUM_BYTES = 8
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Item = TypeVar("Item")
Place = TypeVar("Place")
Row = TypeVar("Row")


class PageQuery(BaseModel):
    """The query parameters of every listing. Unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT, description="Rows per page.")] = DEFAULT_LIMIT
    cursor: Annotated[
        str | None, Field(max_length=2000, description="`next_cursor` of the page before, with the same filters.")
    ] = None

    def question(self) -> str:
        """Return all filters as text: everything but the page's beginning and length."""
        return self.model_dump_json(exclude={"limit", "cursor"})


class Page(BaseModel, Generic[Item]):
    """One page of a listing."""

    data: list[Item]
    next_cursor: str | None = Field(description="Give it as `cursor` to get the next page; null on the last.")


def rows_to_read(query: PageQuery) -> int:
    """Return how many rows to read for one page.

    One more than it shows, to see whether another page follows.
    """
    return query.limit + 1


def cut_page(
    rows: Sequence[Row], query: PageQuery, *, asked: str, place_of: Callable[[Row], Sequence[str | int | None]]
) -> tuple[list[Row], str | None]:
    """Cut the rows that were read to one page; return them and the next page's cursor.

    The cursor is None on the last page. `place_of` gives a row's place in the listing's order, from which the next page
    goes on.
    """
    shown = list(rows[: query.limit])
    more = len(rows) > query.limit
    return shown, encode_cursor(place_of(shown[-1]), asked=asked) if more else None


def encode_cursor(place: Sequence[str | int | None], *, asked: str) -> str:
    """Return the cursor that leads to `place`.

    `asked` is the question being paged: tenant, route and filters.
    """
    payload = orjson.dumps(place)
    return base64.urlsafe_b64encode(_checksum(payload, asked) + payload).decode("ascii").rstrip("=")


def decode_cursor(cursor: str | None, *, asked: str, shape: TypeAdapter[Place]) -> Place | None:
    """Return the place that a cursor leads to, None for the first page.

    Raises `InvalidInput` (``invalid_cursor``). The checksum is no signature: a made-up place is refused only if it has not
    the `shape`, and shows nothing that the listing itself would not.
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


def micros_of(instant: datetime | None) -> int | None:
    """Return an instant as whole microseconds since 1970; None stays None.

    The database's instants are no finer.
    """
    return None if instant is None else (instant - _EPOCH) // timedelta(microseconds=1)


def instant_of(micros: object) -> datetime:
    """Return the instant of `micros_of`.

    Raises ``ValueError`` for anything that `micros_of` never gives.
    """
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

BY_CREATION: TypeAdapter[tuple[datetime, str]] = TypeAdapter(tuple[PlaceInstant, PlaceText])
"""The place in a listing ordered by creation: (created_at, id)."""


class CreatedRow(Protocol):
    """A row of a listing ordered by creation."""

    @property
    def id(self) -> str:
        """Return the public id."""
        ...

    @property
    def created_at(self) -> datetime | None:
        """Return when the row was written; set by the database."""
        ...


def place_by_creation(row: CreatedRow) -> tuple[int | None, str]:
    """Return a row's place in a listing ordered by creation, as `BY_CREATION` reads it."""
    return micros_of(row.created_at), row.id
