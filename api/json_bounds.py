"""Bounds of a JSON text, counted in its bytes before anything is built from them."""

from __future__ import annotations

import re

MAX_NODES = 20_000
"""Values in one body: an object, a list, or what stands between two commas."""
MAX_DEPTH = 64

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")


def fault_of_size(body: bytes) -> str | None:
    """Return the code of the bound that a text breaks, or None.

    The codes are ``too_many_values``, ``too_deep`` and ``malformed_json``.

    A text that is not JSON may be counted wrongly, and never as less than what a parser would build of it.
    """
    if _nodes(body) <= MAX_NODES and _openings(body) <= MAX_DEPTH:
        return None
    bare = _STRING.sub(b"", body)
    if _nodes(bare) > MAX_NODES:
        return "too_many_values"
    deepest, open_at_end = _depths(bare)
    if deepest <= MAX_DEPTH:
        return None
    return "malformed_json" if open_at_end else "too_deep"


def _nodes(body: bytes) -> int:
    return body.count(b",") + _openings(body)


def _openings(body: bytes) -> int:
    return body.count(b"[") + body.count(b"{")


def _depths(bare: bytes) -> tuple[int, int]:
    depth = deepest = 0
    for bracket in _BRACKETS.finditer(bare):
        depth += 1 if bracket.group() in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest, depth
