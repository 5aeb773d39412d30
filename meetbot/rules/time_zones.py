"""Time zones by their IANA names, as far as the installed time zone database knows them."""

from __future__ import annotations

import functools
import zoneinfo
from typing import Final

_NOT_A_PLACE: Final = frozenset(("Factory", "localtime"))
"""Names in the database that stand for no place: a zone that was never set, and the zone of the machine that reads it."""


@functools.cache
def time_zone_names() -> frozenset[str]:
    """Return the names that a rule may use as a time zone."""
    return frozenset(zoneinfo.available_timezones()) - _NOT_A_PLACE


@functools.lru_cache(maxsize=1024)
def find_time_zone(name: str) -> zoneinfo.ZoneInfo | None:
    """Return the zone of a name; None if there is no such zone."""
    # `ZoneInfo` opens a file of that name, so it is given only names from the list.
    return zoneinfo.ZoneInfo(name) if name in time_zone_names() else None
