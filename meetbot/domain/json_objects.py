"""JSON documents: their type, and a reader that notices keys that are there twice."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]


class JsonObject(dict[str, Any]):
    """A JSON object that knows which of its keys were there more than once.

    Other readers keep the last value of such a key. A rule could then do something else than what its author reads in it.
    """

    repeated: tuple[str, ...] = ()


def parse_json(text: str, *, parse_constant: Callable[[str], Any] | None = None) -> Any:
    """Parse JSON, with each object as a `JsonObject`.

    Raises what `json.loads` raises: ValueError for text that is not JSON, RecursionError if it nests thousands deep.
    """
    return json.loads(text, object_pairs_hook=_object, parse_constant=parse_constant)


def repeated_keys(document: object) -> tuple[str, ...]:
    """Return the keys that an object of `parse_json` had more than once."""
    return document.repeated if isinstance(document, JsonObject) else ()


def _object(pairs: list[tuple[str, Any]]) -> JsonObject:
    document = JsonObject(pairs)
    if len(document) < len(pairs):
        times = Counter(key for key, _ in pairs)
        document.repeated = tuple(key for key, count in times.items() if count > 1)
    return document
