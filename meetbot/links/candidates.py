"""Cuts what could be addresses out of plain text.

An address inside another one is part of that one: what stands behind `https://elsewhere.example/?to=` is never cut out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from urllib.parse import quote

from meetbot.links.needles import LABEL, TOKEN
from meetbot.links.table import APP_SCHEMES
from meetbot.links.urls import decoded

_MAX_TOKEN = 8_000
_MAX_TOKENS = 1_500
_MAX_ADDRESSES_IN_TOKEN = 8
_MAX_BRACKETS = 32
_MAX_TAIL = 32
_BEFORE_LABEL = 500

# Mail programs break lines at 70 to 80 columns; a shorter line ends because its writer ended it.
_WRAPPED = range(64, 81)
_PERHAPS_WRAPPED = range(40, 999)
_MAX_CONTINUATIONS = 16
_SHORTER_THAN_FULL = 6

_SCHEME = re.compile(r"(?i)https?:/|(?:" + "|".join(sorted(APP_SCHEMES)) + "):")
_INSIDE_AN_ADDRESS = re.compile(r"[/\\@?#%]")
_SEPARATORS = ",;|)]>"
_BARE = re.compile(
    r"(?<![^\s(\[{,;|'*:>«“‘„（「『【《：，、；])(?:[A-Za-z0-9-]++\.)++[A-Za-z0-9-]++(?::[0-9]{1,5})?[/?]"
)
_BODY = re.compile(r"[^\s<>\"\[\]{}|^`\\]*")
_ESCAPE_OF_TEXT = re.compile(r"\\(?:[t,;\"']|$)")
_BRACKET = re.compile(r"[()]")
_ENTITY_LEFT_OVER = re.compile(r"&(?:gt|lt|quot|nbsp|apos)(?:;.*)?$", re.DOTALL)
_CLOSER = {"'": "'", "“": "”", "‘": "’", "„": "“", "«": "»", "（": "）", "「": "」", "『": "』", "【": "】", "《": "》"}
_PUNCTUATION = ".,;:!?'*~&»”’…。，、；：！？）」』】》"
_LIST = re.compile(r"[,;]")
# A question mark that was escaped with what follows it, or became an ampersand; behind the host, which stays as it is.
_LOST_QUERY = re.compile(r"(?i)(https?://[^/?#&%]++/[^?#&%]*+)(?:%3f([^?#]*)|&([^?#]*))$")
_NOT_ASCII = re.compile(r"[^\x21-\x7e]")

_NEXT_LINE = re.compile(rb'\r?\n[ \t]?(?:> ?)?([^\x00-\x20<>"\x7f]{1,1000})(?=[\r\n>]|$)')
_NOT_A_CONTINUATION = re.compile(r"(?i)[^!-~]|https?:|:$|^[a-z]+:|^[a-z]+[.,;!?]?$|^\W+$")


def candidates(text: str) -> Iterator[tuple[str, ...]]:
    """The possible addresses in `text`, in order; for each its readings, the likeliest first.

    There is more than one reading where a line break may have cut an address, or other text may be glued to its end.
    """
    data = text.encode("utf-8", "ignore")
    seen: set[bytes] = set()
    for start, end in _tokens(data):
        if data[start:end] in seen:
            continue
        seen.add(data[start:end])
        token = _token_text(data, start, end)
        addresses = _addresses(token)
        if not addresses:
            continue
        for address in addresses[:-1]:
            yield tuple(_readings(address))
        rest, is_likely = _continuation(data, start, end)
        alone = tuple(_readings(addresses[-1]))
        joined = tuple(_readings(_addresses(token + rest)[-1])) if rest else ()
        yield joined + alone if is_likely else alone + joined


def _tokens(data: bytes) -> Iterator[tuple[int, int]]:
    """Unbroken stretches that may hold a link; of very long ones, pieces from shortly before it."""
    found = 0
    for token in TOKEN.finditer(data):
        start, end = token.span()
        while end - start > _MAX_TOKEN and found < _MAX_TOKENS:
            label = LABEL.search(data, start, end)
            if label is None:
                break
            start = max(start, label.start() - _BEFORE_LABEL)
            yield start, min(start + _MAX_TOKEN, end)
            start = min(start + _MAX_TOKEN, end)
            found += 1
        found += 1
        if found > _MAX_TOKENS:
            return
        if start < end <= start + _MAX_TOKEN:
            yield start, end


def _token_text(data: bytes, start: int, end: int) -> str:
    """The token; where it stops at the first quote of a raw JSON parameter, with the rest of that, escaped."""
    token = data[start:end].decode("utf-8", "ignore")
    if data[end : end + 1] != b'"' or not token.endswith("context={"):
        return token
    json = data[end : data.find(b"}", end, end + 2_000) + 1].decode("utf-8", "ignore")
    return token[:-1] + quote("{" + json)


def _continuation(data: bytes, start: int, end: int) -> tuple[str, bool]:
    """What the following lines would add to an address that a line break cut, and whether that is likely."""
    if data[end : end + 1] not in (b"\n", b"\r"):
        return "", False
    width = end - (data.rfind(b"\n", max(0, start - _PERHAPS_WRAPPED.stop), start) + 1)
    if width not in _PERHAPS_WRAPPED:
        return "", False
    pieces: list[str] = []
    while len(pieces) < _MAX_CONTINUATIONS:
        line = _NEXT_LINE.match(data, end)
        piece = line[1].decode("utf-8", "ignore") if line else ""
        if line is None or _NOT_A_CONTINUATION.search(piece):
            break
        pieces.append(piece)
        end = line.end()
        if len(piece) < width - _SHORTER_THAN_FULL:
            break
    return "".join(pieces), width in _WRAPPED


def _addresses(token: str) -> list[str]:
    starts = _starts(token)
    first = starts[0] if starts else len(token)
    places = [(bare.start(), first) for bare in _BARE.finditer(token, 0, first)]
    places += zip(starts, starts[1:] + [len(token)] * bool(starts), strict=True)
    found = (_address(token, start, end) for start, end in places[:_MAX_ADDRESSES_IN_TOKEN])
    return [address for address in found if address]


def _starts(token: str) -> list[int]:
    """Where addresses with a scheme begin: not inside another address, unless a separator stands before."""
    starts: list[int] = []
    inside = _INSIDE_AN_ADDRESS.search(token)
    for scheme in _SCHEME.finditer(token):
        start = scheme.start()
        before = token[max(0, start - 2) : start]
        is_outside = inside is None or inside.start() >= start
        if is_outside or before[-1] in _SEPARATORS or not before[-1].isascii() or before == "](":
            starts.append(start)
            inside = _INSIDE_AN_ADDRESS.search(token, start)
    return starts


def _address(token: str, start: int, end: int) -> str:
    body = _BODY.match(token, start, end)
    text = body[0] if body else ""
    stop = start + len(text)
    if token[stop : stop + 1] == "\\" and not _ESCAPE_OF_TEXT.match(token, stop):
        return ""
    return _without_tail(text, token[max(0, start - 1) : start])


def _without_tail(text: str, opener: str) -> str:
    """`text` up to the bracket or quote that closes the one before it, without a sentence's punctuation."""
    if opener in _CLOSER:
        text = text.partition(_CLOSER[opener])[0]
    text = _up_to_closing_bracket(text) if opener == "(" else text
    text = _without_punctuation(text)
    return text.removesuffix("_") if opener == "_" else text


def _without_punctuation(text: str) -> str:
    text = _ENTITY_LEFT_OVER.sub("", text)
    for _ in range(_MAX_TAIL):
        shorter = text.rstrip(_PUNCTUATION)
        if shorter.endswith(")") and shorter.count("(") < shorter.count(")"):
            shorter = shorter[:-1]
        if shorter == text:
            break
        text = shorter
    return text


def _up_to_closing_bracket(text: str) -> str:
    depth = 0
    for place in islice(_BRACKET.finditer(text), _MAX_BRACKETS):
        depth += 1 if place[0] == "(" else -1
        if depth < 0:
            return text[: place.start()]
    return text


def _readings(address: str) -> list[str]:
    """The address; what is left of it without what may be glued to its end, other scripts or the rest of a list; and
    what it may have been before its question mark was lost."""
    readings = [address]
    for glued in (_NOT_ASCII, _LIST):
        place = glued.search(address)
        if place:
            readings.append(_without_tail(address[: place.start()], ""))
    lost = _LOST_QUERY.match(address)
    if lost:
        readings.append(f"{lost[1]}?{decoded(lost[2]) if lost[2] else lost[3] or ''}")
    return readings
