"""JSON as providers send it.

The events of a listing stay the bytes they came as: nearly all of them are as they were at the last sync, which a digest
tells for a fraction of what it costs to build their objects.
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
    """One object of a list: its id, its last change as the provider words it, and its own piece of the answer."""

    id: str
    updated: object
    body: bytes


class Head(msgspec.Struct):
    """What tells two versions of an event apart. Subclasses rename. Of any type: what is odd is only left out."""

    id: Any = None
    updated: Any = None


_Page = TypeVar("_Page", bound=msgspec.Struct)


class PageReader(Generic[_Page]):
    """Reads pages of the shape ``_Page``, whose items are `msgspec.Raw`, and items that begin like ``head``."""

    def __init__(self, page: type[_Page], head: type[Head]) -> None:
        self._page = msgspec.json.Decoder(page)
        self._head = msgspec.json.Decoder(head)

    def page(self, body: bytes) -> _Page | None:
        """None for what is no such page: HTML, broken JSON, a list that is none."""
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
        """The objects among them that have an id."""
        return [item for body in bodies if (item := self._item(body)) is not None]

    def _item(self, body: msgspec.Raw) -> RawItem | None:
        try:
            head = self._head.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        return RawItem(head.id, head.updated, bytes(body)) if isinstance(head.id, str) else None


def parse_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object, or None for anything else."""
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
    """One title with half an emoji (a lone surrogate) must not hide a whole calendar; strict readers refuse those."""
    if body.lstrip()[:1] != b"{":
        return None
    try:
        lenient = json.loads(body, parse_constant=lambda _: None)
        text = json.dumps(lenient, ensure_ascii=False, allow_nan=False)
    except (ValueError, RecursionError):
        return None
    return _LONE_SURROGATES.sub(_REPLACEMENT, text).encode("utf-8")
