"""API keys: ``mb_live_{public id}_{secret}``. Pure.

The public id finds the row, the SHA-256 of the whole key proves it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

OPERATOR = "operator"
"""Who acts through the command line."""

_PUBLIC_ID_BYTES = 10
_SECRET_BYTES = 32
_FORM = re.compile(r"mb_(?:live|test)_([a-z2-7]{16})_[a-z2-7]{52}")


class KeyMode(StrEnum):
    """Whether a key is for real calendars or for trying out."""

    LIVE = "live"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A fresh key. ``text`` is shown once and never stored."""

    text: str = field(repr=False)
    public_id: str
    secret_hash: bytes = field(repr=False)
    mode: KeyMode


def new_api_key(mode: KeyMode) -> NewApiKey:
    """Return a fresh key with 256 secret random bits."""
    public_id = _base32(secrets.token_bytes(_PUBLIC_ID_BYTES))
    text = f"mb_{mode}_{public_id}_{_base32(secrets.token_bytes(_SECRET_BYTES))}"
    return NewApiKey(text=text, public_id=public_id, secret_hash=hash_api_key(text), mode=mode)


def key_of(text: str) -> NewApiKey | None:
    """Return the key that another installation of ours has made; None for any other text."""
    public_id = public_id_in(text)
    if public_id is None:
        return None
    mode = KeyMode(text.split("_")[1])
    return NewApiKey(text=text, public_id=public_id, secret_hash=hash_api_key(text), mode=mode)


def public_id_in(text: str) -> str | None:
    """Return the public id of a text with the form of a key; None for any other."""
    match = _FORM.fullmatch(text)
    return match.group(1) if match else None


def hash_api_key(text: str) -> bytes:
    """Return the SHA-256 of a key, the only form in which it is stored."""
    return hashlib.sha256(text.encode("utf-8")).digest()


def matches_hash(text: str, secret_hash: bytes) -> bool:
    """Return whether this is the key of the stored hash, in constant time."""
    return hmac.compare_digest(hash_api_key(text), secret_hash)


class KeyTimes(Protocol):
    """The part of a stored key that says until when it works."""

    @property
    def expires_at(self) -> datetime | None:
        """Return when it expires, None if never."""
        ...

    @property
    def revoked_at(self) -> datetime | None:
        """Return when it was revoked, None if it was not."""
        ...


def is_working(key: KeyTimes, *, now: datetime) -> bool:
    """Return whether the key is neither revoked nor expired."""
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > now)


def _base32(raw: bytes) -> str:
    return base64.b32encode(raw).decode("ascii").rstrip("=").lower()
