"""Time zones by their IANA names, as far as the installed time zone database knows them."""

from __future__ import annotations

import functools
import zoneinfo


@functools.cache
def zone_names() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


@functools.lru_cache(maxsize=1024)
def zone_named(name: str) -> zoneinfo.ZoneInfo | None:
    # `ZoneInfo` opens a file of that name; only names from the list ever reach it.
    return zoneinfo.ZoneInfo(name) if name in zone_names() else None
