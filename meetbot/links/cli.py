"""The command `meetbot links`: JSON lines of events in, JSON lines of meeting links out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from meetbot.domain.event import Platform, Provider
from meetbot.links.finder import find_meeting_link

_MAX_LINE = 32_000_000

_NO_LINK: Mapping[str, str | None] = {"platform": Platform.NONE, "url": None, "meeting_id": None, "passcode": None}


class _Unusable(Exception):
    """A line that holds no event of a provider; the message is a code."""


def _complain(text: str) -> None:
    sys.stderr.write(text)


def run(
    lines: Iterable[bytes | str], write: Callable[[str], object], complain: Callable[[str], object] = _complain
) -> int:
    """Write one line of JSON for each line of events, in order, and return the exit code 0.

    A line `{"provider", "event"}` becomes `{"platform", "url", "meeting_id", "passcode"}`. For an event without a link
    the platform is `none` and the rest null, and so it is for a line that cannot be used; `complain` (standard error)
    gets the number of such a line and a code: `line_too_long`, `malformed_json`, `unknown_provider` or `no_event`.
    """
    for number, line in enumerate(lines, start=1):
        try:
            answer = _answer(line)
        except _Unusable as reason:
            answer = _NO_LINK
            complain(f"line {number}: {reason}\n")
        write(json.dumps(answer, separators=(",", ":")) + "\n")
    return 0


def _answer(line: bytes | str) -> Mapping[str, str | None]:
    if len(line) > _MAX_LINE:
        raise _Unusable("line_too_long")
    try:
        request = _read_json(line)
    except (ValueError, RecursionError):
        raise _Unusable("malformed_json") from None
    if not isinstance(request, Mapping) or request.get("provider") not in tuple(Provider):
        raise _Unusable("unknown_provider")
    event = request.get("event")
    if not isinstance(event, Mapping):
        raise _Unusable("no_event")
    return _find(Provider(request["provider"]), event)


def _read_json(line: bytes | str) -> Any:
    """Return the JSON of a line, even if it is slightly broken.

    Lone surrogates, a byte order mark and bytes that are no UTF-8 are accepted.

    orjson is fast but refuses these; the standard library reads them. A byte that is no UTF-8 becomes U+FFFD.
    """
    try:
        return orjson.loads(line)
    except (ValueError, RecursionError):
        text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
        return json.loads(text.removeprefix("\N{BYTE ORDER MARK}"))


def _find(provider: Provider, event: Mapping[str, Any]) -> Mapping[str, str | None]:
    link = find_meeting_link(provider, event)
    if link is None:
        return _NO_LINK
    return {"platform": link.platform, "url": link.url, "meeting_id": link.meeting_id, "passcode": link.passcode}
