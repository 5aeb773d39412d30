"""JSON as providers send it: pages of events, and single objects. Pure.

The events of a page stay bytes. Nearly all of them are as they were at the last sync, and a digest of the bytes tells
so for a fraction of what it costs to build their objects.
"""

from __future__ import annotations

import json
import re
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
import orjson

_LONE_SURROGATES = re.compile("[\ud800-\udfff]")
_REPLACEMENT = "\ufffd"


class RawItem(NamedTuple):
    """One object of a list: its id, its last change as the provider writes it, its bytes.

    And what the reader's `Head` took from them.
    """

    id: str
    updated: object
    body: bytes
    head: Head

    @property
    def is_deleted(self) -> bool:
        """Return whether it is what is left of a deleted event."""
        return bool(self.head.status == "cancelled")


class Head(msgspec.Struct):
    """The fields that tell two versions of an event apart, under the provider's names.

    Subclasses name them.

    They may be of any type, so that one odd event does not make the whole page unreadable.
    """

    id: Any = None
    updated: Any = None
    status: Any = None


_Page = TypeVar("_Page", bound=msgspec.Struct)


class PageReader(Generic[_Page]):
    """A reader of pages of the shape `page`, whose items are raw JSON with the fields of `head`."""

    def __init__(self, page: type[_Page], head: type[Head]) -> None:
        self._page = msgspec.json.Decoder(page)
        self._head = msgspec.json.Decoder(head)

    def page(self, body: bytes) -> _Page | None:
        """Return the page, or None for anything else."""
        try:
            return self._page.decode(body)
        except (msgspec.DecodeError, RecursionError):
            pass
        repaired = _repaired(body)
        try:
            return self._page.decode(repaired) if repaired is not None else None
        except (msgspec.DecodeError, RecursionError):
            return None

    def items(self, bodies: list[msgspec.Raw]) -> list[RawItem]:
        """Return the items that are objects with an id."""
        return [item for body in bodies if (item := self._item(body)) is not None]

    def _item(self, body: msgspec.Raw) -> RawItem | None:
        try:
            head = self._head.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        return RawItem(head.id, head.updated, bytes(body), head) if isinstance(head.id, str) else None


def parse_object(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object, or None for anything else."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = _parsed_leniently(body)
    return parsed if isinstance(parsed, dict) else None


def _parsed_leniently(body: bytes) -> object:
    repaired = _repaired(body)
    try:
        return orjson.loads(repaired) if repaired is not None else None
    except orjson.JSONDecodeError:
        return None


def _repaired(body: bytes) -> bytes | None:
    """Return the JSON object without lone surrogates, or None if it is still none.

    Strict readers refuse lone surrogates.

    One title with half an emoji must not hide a whole calendar.
    """
    if body.lstrip()[:1] != b"{":
        return None
    try:
        lenient = json.loads(body, parse_constant=lambda _: None)
        text = json.dumps(lenient, ensure_ascii=False, allow_nan=False)
    except (ValueError, RecursionError):
        return None
    return _LONE_SURROGATES.sub(_REPLACEMENT, text).encode("utf-8")
