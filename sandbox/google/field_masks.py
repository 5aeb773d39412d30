"""Google's `fields` parameter, such as ``a,b/c,items(id,start/dateTime)``.

Source: developers.google.com/workspace/calendar/api/guides/performance.
"""

from __future__ import annotations

import re
from typing import Any

_TOKEN = re.compile(r"[A-Za-z0-9_*.-]+|[(),/]")
_MAX_LENGTH, _MAX_DEPTH = 4000, 10

Mask = dict[str, "Mask"]


class FieldsError(ValueError):
    """A `fields` parameter that cannot be read."""


def parse_fields(text: str) -> Mask:
    """Return what is wanted, as names and what is wanted of each; empty means everything."""
    tokens = _TOKEN.findall(text)
    if len(text) > _MAX_LENGTH or "".join(tokens) != text.replace(" ", ""):
        raise FieldsError("Invalid field selection")
    mask, rest = _selection(tokens, 0)
    if rest:
        raise FieldsError("Invalid field selection")
    return mask


def apply_fields(mask: Mask, value: Any) -> Any:
    """Cut a document down to what is wanted."""
    if not mask or "*" in mask:
        return value
    if isinstance(value, list):
        return [apply_fields(mask, item) for item in value]
    if isinstance(value, dict):
        return {name: apply_fields(mask[name], inner) for name, inner in value.items() if name in mask}
    return value


def _selection(tokens: list[str], depth: int) -> tuple[Mask, list[str]]:
    mask: Mask = {}
    while tokens:
        tokens = _item(tokens, mask, depth)
        if not tokens or tokens[0] != ",":
            return mask, tokens
        tokens = tokens[1:]
    raise FieldsError("Invalid field selection")


def _item(tokens: list[str], mask: Mask, depth: int) -> list[str]:
    if not tokens or tokens[0] in "(),/" or depth > _MAX_DEPTH:
        raise FieldsError("Invalid field selection")
    inner = mask.setdefault(tokens[0], {})
    tokens = tokens[1:]
    if tokens[:1] == ["/"]:
        return _item(tokens[1:], inner, depth + 1)
    if tokens[:1] == ["("]:
        selected, tokens = _selection(tokens[1:], depth + 1)
        inner |= selected
        if tokens[:1] != [")"]:
            raise FieldsError("Invalid field selection")
        return tokens[1:]
    return tokens
