"""A log of requests to the sandbox, for tests and people, without tokens and codes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from urllib.parse import parse_qsl

from pydantic import BaseModel

# Parameters that say how a client lists events. Of all others, and of opaque tokens, only the name is kept.
_OPEN_PARAMETERS = frozenset(
    {
        "timeMin",
        "timeMax",
        "singleEvents",
        "showDeleted",
        "maxResults",
        "orderBy",
        "updatedMin",
        "eventTypes",
        "fields",
        "startDateTime",
        "endDateTime",
        "$top",
        "$skip",
        "$select",
        "$orderby",
    }
)


class LoggedRequest(BaseModel):
    """One request. ``at`` is the sandbox's time, ``fault`` the id of the rule that acted.

    ``status`` 0: the connection was dropped.
    """

    at: datetime
    method: str
    path: str
    query: dict[str, str]
    account: str | None
    status: int
    milliseconds: float
    fault: str | None = None


def loggable_query(query: str) -> dict[str, str]:
    """Return a query with the values that say how a client lists events; others become `…`."""
    pairs = parse_qsl(query, keep_blank_values=True)
    return {name: value if name in _OPEN_PARAMETERS else "…" for name, value in pairs}


def count_requests(log: Iterable[LoggedRequest]) -> dict[str, int]:
    """Count requests by ``METHOD path status``."""
    return dict(Counter(f"{entry.method} {entry.path} {entry.status}" for entry in log))
