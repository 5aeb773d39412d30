"""What was asked of the sandbox, for tests and the curious: never a token or a code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from urllib.parse import parse_qsl

from pydantic import BaseModel

# Listing parameters that say how somebody syncs; of all others, and of opaque tokens, only the name is kept.
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
    """``at`` is the sandbox's time. ``status`` 0: the connection was dropped. ``fault``: the rule that acted."""

    at: datetime
    method: str
    path: str
    query: dict[str, str]
    account: str | None
    status: int
    milliseconds: float
    fault: str | None = None


def loggable_query(query: str) -> dict[str, str]:
    pairs = parse_qsl(query, keep_blank_values=True)
    return {name: value if name in _OPEN_PARAMETERS else "…" for name, value in pairs}


def count_requests(log: Iterable[LoggedRequest]) -> dict[str, int]:
    """How often each ``METHOD path status`` was seen."""
    return dict(Counter(f"{entry.method} {entry.path} {entry.status}" for entry in log))
