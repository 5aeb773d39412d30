"""`meetbot links`: JSON lines of events in, JSON lines of meeting links out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from meetbot.events import Platform, Provider
from meetbot.links.finding import find_meeting_link

_MAX_LINE = 32_000_000


def run(lines: Iterable[bytes | str], write: Callable[[str], object]) -> int:
    """Writes one line of `{"platform", "url", "meeting_id", "passcode"}` for each line of `{"provider", "event"}`, in order.

    An event without a link has the platform `none` and nulls. So has a line that cannot be used, with an `error` code
    besides: `line_too_long`, `malformed_json`, `unknown_provider` or `no_event`. Returns the exit code, which is 0.
    """
    for line in lines:
        write(json.dumps(_answer(line), separators=(",", ":")) + "\n")
    return 0


def _answer(line: bytes | str) -> dict[str, str | None]:
    if len(line) > _MAX_LINE:
        return _none("line_too_long")
    try:
        request = _parsed(line)
    except (ValueError, RecursionError):
        return _none("malformed_json")
    if not isinstance(request, Mapping) or request.get("provider") not in tuple(Provider):
        return _none("unknown_provider")
    event = request.get("event")
    return _found(Provider(request["provider"]), event) if isinstance(event, Mapping) else _none("no_event")


def _parsed(line: bytes | str) -> Any:
    """orjson is fast and strict; the standard library takes what providers' own libraries may write (lone surrogates).
    A byte that is no UTF-8 costs only its own character, and a byte order mark nothing."""
    try:
        return orjson.loads(line)
    except (ValueError, RecursionError):
        text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
        return json.loads(text.removeprefix("\N{BYTE ORDER MARK}"))


def _found(provider: Provider, event: Mapping[str, Any]) -> dict[str, str | None]:
    link = find_meeting_link(provider, event)
    if link is None:
        return _none()
    return {"platform": link.platform, "url": link.url, "meeting_id": link.meeting_id, "passcode": link.passcode}


def _none(error: str | None = None) -> dict[str, str | None]:
    answer: dict[str, str | None] = {"platform": Platform.NONE, "url": None, "meeting_id": None, "passcode": None}
    return answer | {"error": error} if error else answer
