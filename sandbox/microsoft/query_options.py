"""OData query options and the Prefer header, as far as the sandbox serves them.

Sources: learn.microsoft.com/graph/query-parameters, learn.microsoft.com/graph/api/user-list-calendarview.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import Request

from sandbox.calendar.instances import Instance
from sandbox.microsoft import errors
from sandbox.microsoft.events import Preferences

_WINDOWS_ZONES = {
    "UTC": "UTC",
    "Greenwich Standard Time": "Atlantic/Reykjavik",
    "GMT Standard Time": "Europe/London",
    "W. Europe Standard Time": "Europe/Berlin",
    "Romance Standard Time": "Europe/Paris",
    "Central Europe Standard Time": "Europe/Budapest",
    "India Standard Time": "Asia/Kolkata",
    "Nepal Standard Time": "Asia/Kathmandu",
    "Tokyo Standard Time": "Asia/Tokyo",
    "Eastern Standard Time": "America/New_York",
    "Central Standard Time": "America/Chicago",
    "Mountain Standard Time": "America/Denver",
    "Pacific Standard Time": "America/Los_Angeles",
}


def read_window_bound(http: Request, name: str) -> datetime:
    """Read a required bound of the window; without an offset it is UTC."""
    text = http.query_params.get(name)
    if text is None:
        message = f"This request requires a time window specified by the query string parameter {name}."
        raise errors.bad_request("ErrorInvalidParameter", message)
    try:
        parsed = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
    except ValueError as error:
        raise errors.bad_request("ErrorInvalidParameter", f"The value of {name} is no date and time.") from error
    return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def refuse_unserved_options(http: Request) -> None:
    """Raise `GraphError` (501) for options that the real Graph serves and the sandbox does not."""
    unserved = [name for name in ("$filter", "$expand", "$search", "$count") if name in http.query_params]
    if unserved:
        raise errors.GraphError(501, "NotImplemented", f"The sandbox does not serve {', '.join(unserved)}.")


def read_preferences(http: Request) -> Preferences:
    """Read the Prefer header: time zone (Windows or IANA name), immutable ids, text bodies."""
    preferences = ",".join(http.headers.getlist("prefer"))
    named = re.search(r'outlook\.timezone\s*=\s*"([^"]*)"', preferences, re.IGNORECASE)
    zone_name = named[1] if named else "UTC"
    try:
        zone = ZoneInfo(_WINDOWS_ZONES.get(zone_name, zone_name))
    except (ZoneInfoNotFoundError, ValueError) as error:
        message = (
            f"A valid TimeZone value must be specified. The following TimeZone value is not supported: {zone_name!r}."
        )
        raise errors.bad_request("TimeZoneNotSupportedException", message) from error
    immutable = re.search(r'IdType\s*=\s*"?ImmutableId"?', preferences, re.IGNORECASE) is not None
    text = re.search(r'outlook\.body-content-type\s*=\s*"text"', preferences, re.IGNORECASE) is not None
    return Preferences(zone, zone_name, immutable, text)


def preference_headers(preferences: Preferences) -> dict[str, str]:
    """Return the Preference-Applied header that answers a Prefer header."""
    immutable = ', IdType="ImmutableId"' if preferences.immutable_ids else ""
    return {"Preference-Applied": f'outlook.timezone="{preferences.zone_name}"{immutable}'}


def select_properties(http: Request, item: dict[str, Any], always: tuple[str, ...]) -> dict[str, Any]:
    """Cut an item down to the properties in `$select` and the ones that are always there."""
    select = http.query_params.get("$select")
    if not select:
        return item
    wanted = {*always, *(name.strip() for name in select.split(","))}
    return {name: value for name, value in item.items() if name in wanted}


def sort_events(http: Request, found: list[Instance]) -> list[Instance]:
    """Sort events by `$orderby`, by default by start. Raises `GraphError` (400)."""
    order = http.query_params.get("$orderby", "start/dateTime")
    name, _, direction = order.partition(" ")
    keys = {
        "start/dateTime": lambda each: each.start,
        "end/dateTime": lambda each: each.end,
        "subject": lambda each: each.title,
        "lastModifiedDateTime": lambda each: each.updated,
    }
    if name not in keys or direction not in ("", "asc", "desc"):
        raise errors.bad_request("ErrorInvalidUrlQuery", "The property cannot be ordered by here.")
    return sorted(found, key=keys[name], reverse=direction == "desc")


def read_count(http: Request, name: str, default: int) -> int:
    """Read `$top` or `$skip`. Raises `GraphError` (400)."""
    text = http.query_params.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise errors.bad_request("ErrorInvalidUrlQuery", f"The value of {name} is no count.")
    return int(text)
