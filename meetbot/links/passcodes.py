"""Reads the passcode that an invitation puts in words, for links that go without it.

A passcode belongs to the meeting named last before it, by a link or by "Meeting ID: …"; one that stands alone on its
line before any meeting belongs to the meeting named right after it. Runs on UTF-8 bytes with google-re2, in linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import re2

from meetbot.links.needles import LINK, bytes_pattern

# Invitations state the passcode a few lines below the link, before the telephone numbers with codes of their own.
_NEAR = 1_500
_NEAR_ABOVE = 300
_MAX_STATEMENTS = 200
_MAX_MENTIONS = 1_000

_BREAK = r"[ \t\r\n\x1f]"
_STATED = bytes_pattern(
    r"(?i)(?:^|[^a-z])(?:pass ?code|password|pwd|kenncode|kennwort|passwort|code secret|mot de passe(?: de la r(?:e|é)union)?"
    r"|c(?:o|ó)digo de acceso|contraseña(?: de la reuni(?:o|ó)n)?|clave(?: de acceso)?"
    r"|password(?: della)? riunione|senha(?: de acesso)?"
    r"|codice d(?:'|’)accesso|(?:vergaderings?)?wachtwoord|toegangscode|(?:К|к)од доступа|(?:П|п)ароль|kod dostępu|hasło"
    # In tables the value stands in a cell of its own.
    rf"|パスコード|パスワード|密码|密碼|암호)[ \t]{{0,4}}(?::|：)({_BREAK}{{0,12}})([!-~]{{1,64}})"
)
_OF_SOMETHING_ELSE = re.compile(rb"(?i)\b(?:phone|host|audio|dial|in|numeric|system|moderator|wifi|fi|wlan|door)[ -]?$")
_NO_PASSCODE = re.compile(
    rb"(?i)[(<+]|https?:|[^:]*:$|(?:none|n/a|no|not|nil|see|siehe|voir|will|tba|tbd|please|ask|-+)\W*$"
)
_LOOKS_LIKE_A_CODE = re.compile(rb"[^0-9]*[0-9]")
_PUNCTUATION = b".,;:)]>\"'"
_REST_OF_LINE = re.compile(rb"[ \t)\]]{0,4}(?:[\r\n\x1f]|$)")
_BEGINNING_OF_LINE = re.compile(rb"(?:^|[\r\n\x1f])[^\r\n\x1f:]*$")
_LONGEST_LABEL = 40

_SLASH = r"(?:/|%2f)"
_LINK = bytes_pattern(
    rf"(?i){_SLASH}(?:j|w|s|my|meet|join|meetup-join){_SLASH}([^\x00-\x20/?#&<>\"%]*)"
    r"|(?:MTID|confno)(?:=|%3d)([A-Za-z0-9]*)|bluejeans\.com/([0-9]+)"
)
_END_OF_LINK = re.compile(rb"[\x00-\x20<>\"]")
_LONGEST_LINK = 2_000
# A link that is shown in part names no other meeting than the one it leads to.
_ELLIPSES = (b"...", "…".encode())
_SOPHOS = b".protection.sophos.com/?d="
_LONGEST_PREFIX = len(_SOPHOS) + 40
_NUMBER_IN_WORDS = bytes_pattern(
    r"(?i)(?:\bID|number|nummer|n(?:u|ú)mero|号|號)(?:[^\w\r\n]){0,6}([0-9][0-9 -]{7,17}[0-9])"
)


@dataclass(frozen=True, slots=True)
class _Mention:
    """A place where a text names a meeting: the one that is looked for, or another."""

    start: int
    end: int
    is_same: bool


def states_one(text: str) -> bool:
    return _STATED.search(text.encode("utf-8", "ignore")) is not None


def stated_passcode(text: str, meeting_id: str) -> str | None:
    """What `text` calls the passcode of the meeting, and of no other; None where it does not."""
    data = text.encode("utf-8", "ignore")
    statements = list(islice(_STATED.finditer(data), _MAX_STATEMENTS))
    mentions = sorted(_mentions(data, meeting_id), key=lambda mention: mention.start) if statements else []
    passed = 0
    for found in statements:
        while passed < len(mentions) and mentions[passed].start < found.start(2):
            passed += 1
        value = _value(data, found)
        if value and _is_of_the_meeting(
            data, found, mentions[max(0, passed - 1) : passed], mentions[passed : passed + 1]
        ):
            return value.decode()
    return None


def _value(data: bytes, found: re2._Match[bytes]) -> bytes:
    value: bytes = found[2]
    is_below = bool(found[1].strip(b" \t"))
    if is_below and not (_LOOKS_LIKE_A_CODE.match(value) and _REST_OF_LINE.match(data, found.end())):
        return b""
    if _NO_PASSCODE.match(value) or _OF_SOMETHING_ELSE.search(data, max(0, found.start() - 12), found.start() + 1):
        return b""
    return value.rstrip(_PUNCTUATION)


def _is_of_the_meeting(data: bytes, found: re2._Match[bytes], before: list[_Mention], after: list[_Mention]) -> bool:
    start, end = found.span()
    if before and start - before[0].end <= _NEAR:
        return before[0].is_same
    if not after or not after[0].is_same or after[0].start - end > _NEAR_ABOVE:
        return False
    label = _BEGINNING_OF_LINE.search(data, max(0, start - _LONGEST_LABEL), start + 1)
    return label is not None and _REST_OF_LINE.match(data, end) is not None


def _end_of_word(data: bytes, position: int) -> int:
    after = _END_OF_LINK.search(data, position, position + _LONGEST_LINK)
    return after.start() if after else min(len(data), position + _LONGEST_LINK)


def _names(found: bytes, wanted: bytes) -> bool:
    """Whether this is the id, be it with what Proofpoint writes behind an address."""
    return found == wanted or found.startswith(wanted + b"__;")


def _is_wrapped(data: bytes, start: int, end: int) -> bool:
    """Whether a host only says where a gateway's link leads, whose address says the rest in base64."""
    return data.find(_SOPHOS, max(0, start - _LONGEST_PREFIX), end) >= 0


def _mentions(data: bytes, meeting_id: str) -> Iterator[_Mention]:
    wanted = meeting_id.encode()
    for host in islice(LINK.finditer(data), _MAX_MENTIONS):
        end = _end_of_word(data, host.end())
        if not data.endswith(_ELLIPSES, host.start(), end):
            yield _Mention(
                host.start(), end, wanted in data[host.start() : end] or _is_wrapped(data, host.start(), end)
            )
    for link in islice(_LINK.finditer(data), _MAX_MENTIONS):
        if not data.endswith(_ELLIPSES, link.start(), _end_of_word(data, link.end())):
            yield _Mention(link.start(), link.end(), any(_names(found, wanted) for found in link.groups() if found))
    if not meeting_id.isdecimal() or not meeting_id.isascii():
        return
    for number in islice(_NUMBER_IN_WORDS.finditer(data), _MAX_MENTIONS):
        if number[1].replace(b" ", b"").replace(b"-", b"") != wanted:
            yield _Mention(number.start(), number.end(), False)
    same = bytes_pattern(f"(?:^|[^0-9]){'[ -]?'.join(meeting_id)}(?:[^0-9]|$)")
    for place in islice(same.finditer(data), _MAX_MENTIONS):
        yield _Mention(place.start(), place.end(), True)
