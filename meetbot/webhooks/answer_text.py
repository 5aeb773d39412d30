"""What is kept of an endpoint's answer: the beginning of its text, for people to read. Pure."""

from __future__ import annotations

import re

MAX_BYTES = 2048
_TEXT_TYPE = re.compile(r"(?:text/[\w.+-]+|application/(?:[\w.+-]+\+)?(?:json|xml))\s*(?:;.*)?", re.IGNORECASE)
# All but tabs and line ends: a database refuses NUL, and the others can do harm in a terminal.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def text_of(content_type: str | None, body: bytes) -> str | None:
    """Return the text of an answer that says it is one, else None; an empty one is no text."""
    if not body or content_type is None or _TEXT_TYPE.fullmatch(content_type.strip()) is None:
        return None
    # A character that the cut goes through is left out.
    text = body[:MAX_BYTES].decode("utf-8", "replace").rstrip("\N{REPLACEMENT CHARACTER}")
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text) or None
