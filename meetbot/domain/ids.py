"""Public identifiers: a prefix that names the kind, then 26 lower-case base32 characters.

Random ids are for things that are created once; derived ids are for things that the same input must always name alike.
"""

from __future__ import annotations

import base64
import hashlib
import secrets

_RANDOM_BYTES = 16


def new_id(prefix: str) -> str:
    """Return a fresh random id, such as ``cu_mzxw6ytb...`` (128 random bits)."""
    return f"{prefix}_{_base32(secrets.token_bytes(_RANDOM_BYTES))}"


def derived_id(prefix: str, *parts: str) -> str:
    """Return the id that always belongs to these parts.

    The parts are length-prefixed, so that no two lists collide.
    """
    digest = hashlib.blake2b(digest_size=_RANDOM_BYTES)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(4, "big"))
        digest.update(encoded)
    return f"{prefix}_{_base32(digest.digest())}"


def _base32(raw: bytes) -> str:
    return base64.b32encode(raw).decode("ascii").rstrip("=").lower()
