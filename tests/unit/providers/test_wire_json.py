"""JSON as providers send it: read strictly, mended if that is enough, else refused.

Refusing raises no exception.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from meetbot.providers.wire_json import Head, PageReader, parse_object


class Page(msgspec.Struct):
    items: list[msgspec.Raw]
    next: Any = None


READER = PageReader(Page, Head)
TOO_DEEP = b'{"items": [{"id": "a", "deep": ' + b"[" * 100_000 + b"]" * 100_000 + b"}]}"


def ids(body: bytes) -> list[str]:
    page = READER.page(body)
    assert page is not None
    return [item.id for item in READER.items(page.items)]


def test_items_keep_the_bytes_they_came_as() -> None:
    page = READER.page(b'{"next": "n", "items": [{"id": "a",  "updated": "u", "x": 1.0}]}')
    assert page is not None
    (item,) = READER.items(page.items)
    assert (item.id, item.updated, bytes(item.body)) == ("a", "u", b'{"id": "a",  "updated": "u", "x": 1.0}')


def test_items_without_an_id_are_left_out_and_hide_no_other() -> None:
    assert ids(b'{"items": [{"id": 5}, null, 3, "x", [], {}, {"id": "a"}, {"id": "\xff"}]}') == ["a"]


def test_half_an_emoji_hides_no_event() -> None:
    body = rb'{"items": [{"id": "a", "summary": "Party \ud83d!"}, {"id": "b"}]}'
    page = READER.page(body)
    assert page is not None
    first, second = READER.items(page.items)
    assert parse_object(first.body) == {"id": "a", "summary": "Party \ufffd!"}
    assert second.id == "b"


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"items": {}}', b'{"items": [', b"null", b'{"no": "items"}', TOO_DEEP, b"\xff{"]
)
def test_what_is_no_page_is_none(body: bytes) -> None:
    assert READER.page(body) is None


@pytest.mark.parametrize("body", [b"", b"[]", b"3", b"<html>", b'{"a": ', b'{"a": "\xff"}', TOO_DEEP])
def test_what_is_no_object_is_none(body: bytes) -> None:
    assert parse_object(body) is None


def test_an_object_with_half_an_emoji_or_no_number_is_mended() -> None:
    assert parse_object(rb'{"a": "\ud83d", "b": NaN}') == {"a": "\ufffd", "b": None}
