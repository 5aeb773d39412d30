"""Strings as a provider sends them, made safe to keep.

PostgreSQL's ``text`` refuses NUL, and UTF-8 has no form for a lone surrogate; JSON can carry both.
"""

from __future__ import annotations

import re

TITLE_LIMIT = 1024
NAME_LIMIT = 320
ADDRESS_LIMIT = 320  # RFC 3696 erratum 1690: 64 octets, "@", 255 octets
ID_LIMIT = 2048

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def clean(value: object, limit: int) -> str:
    """The text without what cannot be stored, cut at ``limit`` characters; "" for anything that is no text."""
    if not isinstance(value, str):
        return ""
    if len(value) > limit:
        value = value[:limit]
    return _UNSTORABLE.sub("", value)


def exact(value: object, limit: int) -> str | None:
    """The text unchanged, or None where it is empty, too long or unfit to store: half an id is another id."""
    if not isinstance(value, str) or not value or len(value) > limit or _UNSTORABLE.search(value):
        return None
    return value


def address(value: object) -> str | None:
    """An e-mail address, trimmed. Never cut: the front part of a longer address can be somebody else's."""
    return exact(value.strip(), ADDRESS_LIMIT) if isinstance(value, str) else None


def same_address(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and one.lower() == other.lower()
