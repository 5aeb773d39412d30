"""Times as providers write them, turned into timezone-aware UTC datetimes or None. Pure.

Google: RFC 3339 with an offset, or a date. Microsoft: no offset, seven fractional digits, and a zone beside it that is
an IANA name, a Windows name, or ``tzone://Microsoft/…``; years 0001 and 9999 stand for "none".
"""

from __future__ import annotations

import functools
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from tzlocal.windows_tz import win_tz

_FIRST_YEAR = 1970
_LAST_YEAR = 2200
_LONGEST = 48
_LONGEST_ZONE = 64
_UTC_NAMES = frozenset({"utc", "etc/utc", "gmt", "z", "tzone://microsoft/utc"})


def parse_instant(value: object, zone_name: object = None) -> datetime | None:
    """Return the instant of an ISO 8601 text, in UTC.

    A text without an offset is read in the zone `zone_name`. None for a text with neither, for dates before 1970 or
    after 2200, and for anything that is no such text.
    """
    if not isinstance(value, str) or len(value) > _LONGEST or "T" not in value:
        return None
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            zone = find_zone(zone_name)
            return None if zone is None else _in_range(moment.replace(tzinfo=zone).astimezone(UTC))
        return _in_range(moment.astimezone(UTC))
    except (ValueError, OverflowError):
        return None


def parse_day(value: object) -> datetime | None:
    """Return midnight UTC of a ``YYYY-MM-DD`` text, or None for anything else.

    An all-day event has no instant of its own; this one is the same for every reader.
    """
    if not isinstance(value, str) or len(value) != len("2026-01-01") or value[7] != "-":
        return None
    try:
        day = date.fromisoformat(value)
    except ValueError:
        return None
    return _in_range(datetime(day.year, day.month, day.day, tzinfo=UTC))


def find_zone(name: object) -> tzinfo | None:
    """Return the time zone of an IANA or Windows name; None for any other value."""
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_ZONE:
        return None
    if name.lower() in _UTC_NAMES:
        return UTC
    return _load_zone(win_tz.get(name, name))


@functools.lru_cache(maxsize=1024)
def _load_zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # unknown; not a plain relative name; a folder of zones
        return None


def to_wire(moment: datetime, *, up: bool = False) -> str:
    """Return the instant as RFC 3339 in UTC with whole seconds, rounded down, or `up`.

    Raises ValueError for a naive datetime.
    """
    if moment.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    if up and moment.microsecond:
        moment += timedelta(seconds=1)
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _in_range(moment: datetime) -> datetime | None:
    return moment if _FIRST_YEAR <= moment.year <= _LAST_YEAR else None
