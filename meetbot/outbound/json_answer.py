"""JSON of an answer that is used as a whole: an object of bounded depth. Pure."""

from __future__ import annotations

from typing import Any

import orjson

_DEEPEST = 32


def bounded_object(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object, or None for anything else and for one nested too deep.

    NUL characters, which PostgreSQL stores nowhere, become replacement characters.
    """
    try:
        parsed = orjson.loads(body.replace(b"\\u0000", b"\\ufffd"))
    except orjson.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) and not _is_deeper(parsed, _DEEPEST) else None


def _is_deeper(value: object, levels: int) -> bool:
    level: list[object] = [value]
    for _ in range(levels):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return False
    return any(isinstance(item, dict | list) for item in level)


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
