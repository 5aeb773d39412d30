"""`meetbot links`: JSON lines of events in, JSON lines of meeting links out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from meetbot.domain.event import Platform, Provider
from meetbot.links.finder import find_meeting_link

_MAX_LINE = 32_000_000


_NONE: Mapping[str, str | None] = {"platform": Platform.NONE, "url": None, "meeting_id": None, "passcode": None}


class _Unusable(Exception):
    """A line that is no event of a provider; the text is a code."""


def _complain(text: str) -> None:
    sys.stderr.write(text)


def run(
    lines: Iterable[bytes | str], write: Callable[[str], object], complain: Callable[[str], object] = _complain
) -> int:
    """Writes one line of `{"platform", "url", "meeting_id", "passcode"}` for each line of `{"provider", "event"}`, in order.

    An event without a link has the platform `none` and nulls. So has a line that cannot be used; `complain` (standard
    error) is told its number and why: `line_too_long`, `malformed_json`, `unknown_provider` or `no_event`. Returns the
    exit code, which is 0.
    """
    for number, line in enumerate(lines, start=1):
        try:
            answer = _answer(line)
        except _Unusable as reason:
            answer = _NONE
            complain(f"line {number}: {reason}\n")
        write(json.dumps(answer, separators=(",", ":")) + "\n")
    return 0


def _answer(line: bytes | str) -> Mapping[str, str | None]:
    if len(line) > _MAX_LINE:
        raise _Unusable("line_too_long")
    try:
        request = _parsed(line)
    except (ValueError, RecursionError):
        raise _Unusable("malformed_json") from None
    if not isinstance(request, Mapping) or request.get("provider") not in tuple(Provider):
        raise _Unusable("unknown_provider")
    event = request.get("event")
    if not isinstance(event, Mapping):
        raise _Unusable("no_event")
    return _found(Provider(request["provider"]), event)


def _parsed(line: bytes | str) -> Any:
    """orjson is fast and strict; the standard library takes what providers' own libraries may write (lone surrogates).
    A byte that is no UTF-8 costs only its own character, and a byte order mark nothing."""
    try:
        return orjson.loads(line)
    except (ValueError, RecursionError):
        text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
        return json.loads(text.removeprefix("\N{BYTE ORDER MARK}"))


def _found(provider: Provider, event: Mapping[str, Any]) -> Mapping[str, str | None]:
    link = find_meeting_link(provider, event)
    if link is None:
        return _NONE
    return {"platform": link.platform, "url": link.url, "meeting_id": link.meeting_id, "passcode": link.passcode}
