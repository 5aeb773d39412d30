"""Time zones by their IANA names, as far as the installed time zone database knows them."""

from __future__ import annotations

import functools
import zoneinfo
from typing import Final

_NO_PLACE: Final = frozenset(("Factory", "localtime"))
"""In the database, but of no place: one stands for a zone that was never set, the other for whatever this machine's is."""


@functools.cache
def zone_names() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones()) - _NO_PLACE


@functools.lru_cache(maxsize=1024)
def zone_named(name: str) -> zoneinfo.ZoneInfo | None:
    # `ZoneInfo` opens a file of that name; only names from the list ever reach it.
    return zoneinfo.ZoneInfo(name) if name in zone_names() else None
