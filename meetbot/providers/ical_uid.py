"""iCalendar UIDs, brought to the one form that every copy of a meeting shares. Pure.

Outlook writes a UID as a hexadecimal Global Object ID ([MS-OXOCAL] 2.2.1.27): 16 fixed bytes, 4 bytes instance date
(year high, year low, month, day; zero for the series), 8 bytes creation time, 8 reserved, 4 bytes little-endian length,
then data. With the instance date zeroed ("clean") it is equal for all occurrences. An invitation from another system is
kept as data ``vCal-Uid`` 01 00 00 00, the foreign UID, NUL; that UID is the one the organiser's copy carries.
"""

from __future__ import annotations

import re
from datetime import date

from meetbot.providers.storable_text import exact

UID_LIMIT = 1024

_GOID_TEXT = re.compile(r"040000008200E00074C5B7101A82E008(?:[0-9A-F]{2})*", re.IGNORECASE)
_INSTANCE_DATE = slice(16, 20)
_DATA_START = 40
_FOREIGN_MARK = b"vCal-Uid\x01\x00\x00\x00"


def normalise_ical_uid(raw: object) -> str | None:
    """Return the UID to compare meetings by.

    A foreign UID is unwrapped, a Global Object ID cleaned, anything else stays as it is. None if there is no UID, or
    one that is too long or cannot be stored: such an event is merged with no other.
    """
    uid = exact(raw.strip(), UID_LIMIT) if isinstance(raw, str) else None
    if uid is None:
        return None
    goid = _goid_bytes(uid)
    if goid is None:
        return uid
    foreign = _foreign_uid(goid)
    if foreign is not None:
        return foreign
    return (goid[: _INSTANCE_DATE.start] + bytes(4) + goid[_INSTANCE_DATE.stop :]).hex().upper()


def instance_date_in_goid(raw: object) -> date | None:
    """Return the date of the one occurrence that a Global Object ID names.

    None for a series, for a single event, and for another kind of UID.
    """
    goid = _goid_bytes(raw.strip()) if isinstance(raw, str) else None
    if goid is None:
        return None
    year_high, year_low, month, day = goid[_INSTANCE_DATE]
    try:
        return date(year_high << 8 | year_low, month, day)
    except ValueError:
        return None


def _goid_bytes(uid: str) -> bytes | None:
    if len(uid) > UID_LIMIT or not _GOID_TEXT.fullmatch(uid):
        return None
    goid = bytes.fromhex(uid)
    return goid if len(goid) >= _DATA_START else None


def _foreign_uid(goid: bytes) -> str | None:
    data = goid[_DATA_START:]
    if not data.startswith(_FOREIGN_MARK):
        return None
    text = data[len(_FOREIGN_MARK) :].split(b"\x00", 1)[0]
    try:
        return exact(text.decode("utf-8").strip(), UID_LIMIT)
    except UnicodeDecodeError:
        return None
