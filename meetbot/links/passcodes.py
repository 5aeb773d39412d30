"""Reads the passcode that an invitation puts in words, for links that go without it.

A passcode belongs to the meeting named last before it, by a link or by "Meeting ID: …"; one that stands alone on its
line before any meeting belongs to the meeting named right after it, or to the only one that the event names. Runs on
UTF-8 bytes with google-re2, in linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from meetbot.links.html import TRACE
from meetbot.links.platforms import GATEWAYS
from meetbot.links.prefilter import LINK, bytes_pattern
from meetbot.links.statements import Statement, statements

# Invitations state the passcode a few lines below the link, before the telephone numbers with codes of their own.
_NEAR = 1_500
_NEAR_ABOVE = 300
_MAX_MENTIONS = 1_000

_SLASH = r"(?:/|%2f)"
_LINK = bytes_pattern(
    rf"(?i){_SLASH}(?:j|w|s|my|meet|join|meetup-join){_SLASH}([^\x00-\x20/?#&<>\"%]*)"
    r"|(?:MTID|confno)(?:=|%3d)([A-Za-z0-9]*)|bluejeans\.com/([0-9]+)"
)
# A recording has a passcode of its own, wherever it is kept.
_RECORDING = bytes_pattern(
    rf"(?i){_SLASH}(?:rec|recordings?|recordingservice|[ln]sr\.php|ldr\.php|playback){_SLASH}?"
    r"|\brecordings?\b[^\r\n]{0,80}https?:"
)
_ADDRESS = re.compile(rb"(?i)https?:|www\.|" + TRACE.encode())
_END_OF_LINK = re.compile(rb"[\x00-\x20<>\"]")
_LONGEST_LINK = 2_000
# A link that is shown in part names no other meeting than the one it leads to.
_ELLIPSES = (b"...", "…".encode())
# Some gateways say in clear which host their link leads to, and the rest only in code.
_HINT = bytes_pattern(
    "(?i)(?:"
    + "|".join(
        rf"{re.escape(host)}/?\?{gateway.hint}="
        for host, gateways in GATEWAYS.items()
        for gateway in gateways
        if gateway.hint
    )
    + ")"
)
_LONGEST_HINT = 64
_NUMBER_IN_WORDS = bytes_pattern(
    r"(?i)(?:\bID|number|nummer|n(?:u|ú)mero|号|號)(?:[^\w\r\n]){0,6}([0-9][0-9 -]{7,17}[0-9])"
)


@dataclass(frozen=True, slots=True)
class _Mention:
    """A place where a text names a meeting: the one that is looked for, or another."""

    start: int
    end: int
    is_same: bool


def stated_passcode(text: str, meeting_id: str, is_only_meeting: bool = False) -> str | None:
    """What `text` calls the passcode of the meeting, and of no other; None where it does not."""
    data = text.encode("utf-8", "ignore")
    stated = list(statements(data))
    mentions = sorted(_mentions(data, meeting_id), key=lambda mention: mention.start) if stated else []
    passed = 0
    for statement in stated:
        while passed < len(mentions) and mentions[passed].start < statement.end:
            passed += 1
        before, after = mentions[max(0, passed - 1) : passed], mentions[passed : passed + 1]
        is_known = is_only_meeting and not mentions and _is_without_address(data, statement)
        if statement.value != meeting_id and (is_known or _is_of_the_meeting(statement, before, after)):
            return statement.value
    return None


def _is_without_address(data: bytes, statement: Statement) -> bool:
    """Whether a passcode stands alone on its line, and below no address whose passcode it could be."""
    return statement.is_alone and not _ADDRESS.search(data, max(0, statement.start - _NEAR), statement.start)


def _is_of_the_meeting(statement: Statement, before: list[_Mention], after: list[_Mention]) -> bool:
    if before and statement.start - before[0].end <= _NEAR:
        return before[0].is_same
    is_above = bool(after) and after[0].is_same and after[0].start - statement.end <= _NEAR_ABOVE
    return is_above and statement.is_alone


def _end_of_word(data: bytes, position: int) -> int:
    after = _END_OF_LINK.search(data, position, position + _LONGEST_LINK)
    return after.start() if after else min(len(data), position + _LONGEST_LINK)


def _names(found: bytes, wanted: bytes) -> bool:
    """Whether this is the id, be it with what Proofpoint writes behind an address."""
    return found == wanted or found.startswith(wanted + b"__;")


def _is_hint(data: bytes, start: int, end: int) -> bool:
    """Whether a host only says where a gateway's link leads."""
    return _HINT.search(data[max(0, start - _LONGEST_HINT) : end]) is not None


def _mentions(data: bytes, meeting_id: str) -> Iterator[_Mention]:
    wanted = meeting_id.encode()
    for host in islice(LINK.finditer(data), _MAX_MENTIONS):
        end = _end_of_word(data, host.end())
        if not data.endswith(_ELLIPSES, host.start(), end):
            is_same = wanted in data[host.start() : end] or _is_hint(data, host.start(), end)
            yield _Mention(host.start(), end, is_same)
    for link in islice(_LINK.finditer(data), _MAX_MENTIONS):
        if not data.endswith(_ELLIPSES, link.start(), _end_of_word(data, link.end())):
            yield _Mention(link.start(), link.end(), any(_names(found, wanted) for found in link.groups() if found))
    for recording in islice(_RECORDING.finditer(data), _MAX_MENTIONS):
        yield _Mention(recording.start(), recording.end(), False)
    yield from _numbers(data, meeting_id)


def _numbers(data: bytes, meeting_id: str) -> Iterator[_Mention]:
    if not meeting_id.isdecimal() or not meeting_id.isascii():
        return
    for number in islice(_NUMBER_IN_WORDS.finditer(data), _MAX_MENTIONS):
        if number[1].replace(b" ", b"").replace(b"-", b"") != meeting_id.encode():
            yield _Mention(number.start(), number.end(), False)
    same = bytes_pattern(f"(?:^|[^0-9]){'[ -]?'.join(meeting_id)}(?:[^0-9]|$)")
    for place in islice(same.finditer(data), _MAX_MENTIONS):
        yield _Mention(place.start(), place.end(), True)
