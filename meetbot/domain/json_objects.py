"""JSON as people write it, read so that nothing in it gets lost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any


class JsonObject(dict[str, Any]):
    """A JSON object that knows which of its keys were there more than once.

    Readers keep the last value of such a key, so that a rule would do something else than what is read above it.
    """

    repeated: tuple[str, ...] = ()


def parse_json(text: str, *, parse_constant: Callable[[str], Any] | None = None) -> Any:
    """Raises what `json.loads` does: ValueError for what is no JSON, RecursionError for what nests thousands deep."""
    return json.loads(text, object_pairs_hook=_object, parse_constant=parse_constant)


def repeated_keys(document: object) -> tuple[str, ...]:
    return document.repeated if isinstance(document, JsonObject) else ()


def _object(pairs: list[tuple[str, Any]]) -> JsonObject:
    document = JsonObject(pairs)
    if len(document) < len(pairs):
        times = Counter(key for key, _ in pairs)
        document.repeated = tuple(key for key, count in times.items() if count > 1)
    return document
