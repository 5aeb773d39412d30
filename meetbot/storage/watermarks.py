"""Watermarks: opaque texts by which a client asks for changes since its last listing.

A watermark holds the oldest PostgreSQL transaction that was running when the listing was made.
A change made by that transaction or any later one counts as after it, whether or not it has committed yet, so that nothing
falls between two listings.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlmodel import Session

from meetbot.errors import InvalidInput

KEPT_FOR = timedelta(days=30)

_FORM = re.compile(r"w1\.(\d{1,19})\.(\d{1,10})\.[0-9a-f]{16}", re.ASCII)
_CURRENT = text("select (pg_snapshot_xmin(pg_current_snapshot())::text)::bigint, extract(epoch from now())::bigint")


@dataclass(frozen=True, slots=True)
class Watermark:
    """A point in a tenant's changes: those by transaction ``xid`` or a higher one are after it."""

    xid: int
    taken_at: datetime

    def __str__(self) -> str:
        plain = f"w1.{self.xid}.{int(self.taken_at.timestamp())}"
        return base64.urlsafe_b64encode(f"{plain}.{_checksum(plain)}".encode()).decode().rstrip("=")

    def is_expired(self, now: datetime) -> bool:
        """Return whether tombstones that it would need may be deleted already."""
        return now - self.taken_at > KEPT_FOR


def current_watermark(session: Session) -> str:
    """Return the watermark of this moment. It precedes what the transaction itself changes."""
    xid, epoch = session.execute(_CURRENT).one()
    return str(Watermark(int(xid), datetime.fromtimestamp(int(epoch), tz=UTC)))


def parse_watermark(value: str) -> Watermark:
    """Read a watermark that we gave out.

    Raises `InvalidInput` ``invalid_watermark`` for anything else.
    """
    try:
        plain = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        plain = ""
    match = _FORM.fullmatch(plain)
    if match is None or int(match[1]) >= 1 << 63:
        raise _none_of_ours()
    watermark = Watermark(int(match[1]), datetime.fromtimestamp(int(match[2]), tz=UTC))
    # One that was mistyped or cut would silently skip changes, so it must not pass. Forging one gains nothing.
    if str(watermark) != value:
        raise _none_of_ours()
    return watermark


def _none_of_ours() -> InvalidInput:
    return InvalidInput(
        "invalid_watermark",
        "the watermark is none of ours",
        next_step="pass a watermark exactly as a listing gave it",
    )


def _checksum(plain: str) -> str:
    return hashlib.blake2b(plain.encode(), digest_size=8).hexdigest()
