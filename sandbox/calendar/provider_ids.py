"""Ids in the shapes that the real providers use.

Outlook's UID is a GOID (MS-OXCICAL 2.1.3.1.1.20.26): a 16-byte class id, 4 bytes of instance date (zero for the series), 8
of creation time, 8 reserved, a little-endian length, and data. Data that begins with ``vCal-Uid`` wraps a foreign UID.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import struct
import uuid
from datetime import date, datetime

_GOID_CLASS = bytes.fromhex("040000008200E00074C5B7101A82E008")
_FOREIGN = b"vCal-Uid\x01\x00\x00\x00"
_BASE32HEX = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789abcdefghijklmnopqrstuv")


def new_key(prefix: str) -> str:
    """Return a new key of a record, with a prefix for its kind."""
    return f"{prefix}_{secrets.token_hex(8)}"


def new_google_id() -> str:
    """Return a new event id: 26 characters of base32hex, as Google makes them."""
    return base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").translate(_BASE32HEX)


def imported_google_id(uid: str) -> str:
    """Return the id that Google gives an event that came in by iCalendar.

    It is made from the UID and begins with an underscore.
    """
    return "_" + base64.b32encode(hashlib.sha256(uid.encode()).digest()).decode().rstrip("=").translate(_BASE32HEX)


def google_instance_id(series_id: str, original_start: datetime, all_day: bool, local_date: date) -> str:
    """Return the id of an occurrence: the series' id and the original start."""
    suffix = local_date.strftime("%Y%m%d") if all_day else original_start.strftime("%Y%m%dT%H%M%SZ")
    return f"{series_id}_{suffix}"


def new_goid() -> str:
    """Return a new UID as Outlook makes them."""
    return _goid(secrets.token_bytes(8), secrets.token_bytes(16), None)


def goid_for_foreign(uid: str, instance: date | None = None) -> str:
    """Return the GOID under which Outlook keeps a meeting that was made elsewhere."""
    return _goid(bytes(8), _FOREIGN + uid.encode() + b"\x00", instance)


def is_goid(uid: str) -> bool:
    """Return whether a UID was made by Outlook."""
    return uid.upper().startswith(_GOID_CLASS.hex().upper())


def goid_with_instance(goid: str, instance: date | None) -> str:
    """Return a GOID with an occurrence's date in it, or with none."""
    raw = bytes.fromhex(goid)
    return (raw[:16] + _instance_bytes(instance) + raw[20:]).hex().upper()


def _goid(created: bytes, data: bytes, instance: date | None) -> str:
    raw = _GOID_CLASS + _instance_bytes(instance) + created + bytes(8) + struct.pack("<I", len(data)) + data
    return raw.hex().upper()


def _instance_bytes(instance: date | None) -> bytes:
    return struct.pack(">HBB", instance.year, instance.month, instance.day) if instance else bytes(4)


def graph_calendar_id(calendar_id: str) -> str:
    """Return Graph's id of a calendar."""
    return "AAMkAGQw" + _url64(hashlib.sha256(calendar_id.encode()).digest()) + "AAAAAEGAAA="


def new_graph_key() -> str:
    """Return a new key of a copy, 12 bytes in hexadecimal; Graph's event ids are made from it."""
    return secrets.token_hex(12)


_CHANGING, _IMMUTABLE = "AAMkAGQw", "AAkALgAA"


def graph_event_id(graph_key: str, calendar_id: str, original_start: datetime | None, immutable: bool) -> str:
    """Return Graph's id of an event or occurrence.

    Unless ``immutable`` it changes when the event moves to another calendar (learn.microsoft.com/graph/outlook-immutable-id).
    """
    stamp = struct.pack(">q", int(original_start.timestamp())) if original_start else b""
    folder = b"" if immutable else hashlib.sha256(calendar_id.encode()).digest()[:6]
    return (_IMMUTABLE if immutable else _CHANGING) + _url64(bytes.fromhex(graph_key) + folder + stamp)


def graph_event_key(event_id: str) -> bytes | None:
    """Return the copy's key (12 bytes) in one of our Graph ids; None if the id is not ours."""
    try:
        raw = base64.urlsafe_b64decode(event_id[8:] + "=" * (-len(event_id[8:]) % 4))
    except ValueError:
        return None
    return raw[:12] if event_id[:8] in (_CHANGING, _IMMUTABLE) and len(raw) >= 12 else None


def graph_event_instant(event_id: str) -> int | None:
    """Return the original start (epoch seconds) in an occurrence's id.

    None for a single meeting or a series.
    """
    raw = base64.urlsafe_b64decode(event_id[8:] + "=" * (-len(event_id[8:]) % 4))
    tail = raw[12 if event_id.startswith(_IMMUTABLE) else 18 :]
    return int(struct.unpack(">q", tail)[0]) if len(tail) == 8 else None


def directory_of(email: str) -> str:
    """Return the Microsoft directory (tenant id) of an address: one per mail domain."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, email.rpartition("@")[2].casefold()))


def new_google_subject() -> str:
    """Return a new Google account id, 21 digits."""
    return str(10**20 + secrets.randbelow(9 * 10**20))


def _url64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
