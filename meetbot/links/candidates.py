"""Cuts what could be addresses out of plain text.

An address inside another one is part of that one: what stands behind `https://elsewhere.example/?to=` is never cut out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from urllib.parse import quote

from meetbot.links.prefilter import LABEL, LINK_TOKEN, TOKEN
from meetbot.links.url_spans import spans
from meetbot.links.urls import MAX_LENGTH, decoded

# A text full of a platform's other pages is searched for what begins like a join link, after so many words.
_MAX_TOKENS = 300
_MAX_LINK_TOKENS = 700
_MAX_ADDRESSES_IN_TOKEN = 64
_MAX_BRACKETS = 32
_MAX_TAIL = 32

# A line that is shorter than this ends because its writer ended it; mail programs break lines at 70 to 80 columns.
_PERHAPS_WRAPPED = range(40, 999)
_MAX_CONTINUATIONS = 16
_SHORTER_THAN_FULL = 6

_BODY = re.compile(r"[^\s<>\"\[\]{}|^`\\]*")
_ESCAPE_OF_TEXT = re.compile(r"\\(?:[t,;\"']|$)")
_BRACKET = re.compile(r"[()]")
_ENTITY_LEFT_OVER = re.compile(r"&(?:gt|lt|quot|nbsp|apos)(?:;.*)?$", re.DOTALL)
_CLOSER = {"'": "'", "“": "”", "‘": "’", "„": "“", "«": "»", "（": "）", "「": "」", "『": "』", "【": "】", "《": "》"}
_PUNCTUATION = ".,;:!?'*~&»”’…。，、；：！？）」』】》"
_LIST = re.compile(r"[,;]")
# In a query, where no platform writes them: what follows is the rest of a list. Not so in JSON, nor behind an ampersand
# that is still an entity.
_LIST_IN_QUERY = re.compile(r"(?i)[,;](?<!&amp.)(?<!&#38.)(?!%22|%7b|$)")
# "…/j/9876..." is what a mail program shows of a link, not the link; but these are complete whatever follows them.
_CUT_SHORT = re.compile(r"(?:\.\.\.|…)[)\]>*_~'\"”’»]{0,3}$")
_LONGEST_ELLIPSIS = 6
_COMPLETE = re.compile(
    r"(?i)meet\.google\.com/[a-z]{3}-?[a-z]{4}-?[a-z]{3}$|/j/[0-9]{11}$|/j/[0-9]{9,11}\?[^#]*pwd=[A-Za-z0-9_-]+\.[0-9]$"
)
# A question mark that was escaped with what follows it, or became an ampersand; behind the host, which stays as it is.
_LOST_QUERY = re.compile(r"(?i)(https?://[^/?#&%]++/[^?#&%]*+)(?:%3f([^?#]*)|&([^?#]*))$")
_NOT_ASCII = re.compile(r"[^\x21-\x7e]")

# The lines of HTML end with the mark of a block, of a quoted reply they begin with those of who quoted whom.
_LINE_END = (b"\n", b"\r", b"\x1f")
_NEXT_LINE = re.compile(rb'(?:\x1f?\r?\n|\x1f)(([ \t]?)(?:> ?){0,5}([^\x00-\x20<>"\x7f]{1,1000}))(?=[\r\n\x1f>]|$)')
_NOT_A_CONTINUATION = re.compile(r"(?i)[^!-~]|https?:|:$|^[a-z]+:|^[a-z]+[.,;!?]?$|^\W+$")

# Evidence that a line break stands in the midst of an address: an escape or a hyphenated path breaks off, or the next
# line ends a parameter and begins another.
_BROKEN_ESCAPE = re.compile(r"%[0-9A-Fa-f]?$")
_GOES_ON = re.compile(r"[A-Za-z0-9._~%+-]*&[A-Za-z_]{1,20}=")
# iCalendar folds lines at 75 octets and begins the next with one space (RFC 5545, 3.1).
_FOLDED_AT = 75


@dataclass(frozen=True, slots=True)
class Version:
    """One way to cut an address out: its readings, the likeliest first. ``is_cut`` says that a line break evidently
    stands in the midst of the address, where this version has a line more than the one before."""

    readings: tuple[str, ...]
    is_cut: bool = False


def candidates(text: str) -> Iterator[Iterator[Version]]:
    """The possible addresses in `text`, in order; for each its versions: as it stands, and then with one more of the
    following lines each, where a line break may have cut it."""
    data = text.encode("utf-8", "ignore")
    seen: set[bytes] = set()
    for start, end in _tokens(data):
        if data[start:end] in seen:
            continue
        seen.add(data[start:end])
        word = _word(data, start, end)
        places = _likely(word)
        for place in places[:-1]:
            yield _version(word, *place)
        if places:
            yield _versions(word, places[-1], data, start, end)


def _tokens(data: bytes) -> Iterator[tuple[int, int]]:
    end = 0
    for token in islice(TOKEN.finditer(data), _MAX_TOKENS):
        end = token.end()
        yield token.span()
    for token in islice(LINK_TOKEN.finditer(data, end), _MAX_LINK_TOKENS):
        yield token.span()


def _word(data: bytes, start: int, end: int) -> str:
    """The token; where it stops at the first quote of a raw JSON parameter, with the rest of that, escaped."""
    token = data[start:end].decode("utf-8", "ignore")
    if data[end : end + 1] != b'"' or not token.endswith("context={"):
        return token
    json = data[end : data.find(b"}", end, end + 2_000) + 1].decode("utf-8", "ignore")
    return token[:-1] + quote("{" + json)


def _versions(word: str, place: tuple[int, int], data: bytes, start: int, end: int) -> Iterator[Version]:
    yield from _version(word, *place)
    if data[end : end + 1] not in _LINE_END or len(word) > MAX_LENGTH:
        return
    width = end - (max(data.rfind(mark, max(0, start - _PERHAPS_WRAPPED.stop), start) for mark in _LINE_END) + 1)
    for piece, is_folded in _continuations(data, end, width):
        is_cut = is_folded or _is_broken_off(word) or _GOES_ON.match(piece) is not None
        word += piece
        places = _likely(word)
        if not places:
            return
        yield from _version(word, *places[-1], is_cut)


def _is_broken_off(word: str) -> bool:
    if _BROKEN_ESCAPE.search(word, max(0, len(word) - 2)):
        return True
    return word.endswith("-") and "?" not in word and "#" not in word


def _continuations(data: bytes, end: int, width: int) -> Iterator[tuple[str, bool]]:
    """What each of the following lines would add to an address that a line break cut at `width`, and whether that line
    is folded as iCalendar does it. A line shorter than the first is the last one."""
    line_width = width
    for _ in range(_MAX_CONTINUATIONS if width in _PERHAPS_WRAPPED else 0):
        line = _NEXT_LINE.match(data, end)
        piece = line[3].decode("utf-8", "ignore") if line else ""
        if line is None or _NOT_A_CONTINUATION.search(piece):
            return
        yield piece, line[2] == b" " and line_width == _FOLDED_AT
        line_width = len(line[1])
        if line_width < width - _SHORTER_THAN_FULL:
            return
        end = line.end()


def _version(word: str, start: int, end: int, is_cut: bool = False) -> Iterator[Version]:
    """The version of the address between these places; none where that is no address."""
    address = _address(word, start, end)
    if address:
        yield Version(tuple(_readings(address)), is_cut)


def _likely(word: str) -> list[tuple[int, int]]:
    """Where the addresses of a word stand; of a very long one, those that may be links."""
    places = spans(word)
    if len(places) > _MAX_ADDRESSES_IN_TOKEN:
        places = [place for place in places if LABEL.search(word[slice(*place)].encode())]
    return places[:_MAX_ADDRESSES_IN_TOKEN]


def _address(token: str, start: int, end: int) -> str:
    body = _BODY.match(token, start, end)
    text = body[0] if body else ""
    stop = start + len(text)
    if token[stop : stop + 1] == "\\" and not _ESCAPE_OF_TEXT.match(token, stop):
        return ""
    address = _without_tail(text, token[max(0, start - 1) : start])
    return (
        ""
        if _CUT_SHORT.search(text, max(0, len(text) - _LONGEST_ELLIPSIS)) and not _COMPLETE.search(address)
        else address
    )


def _without_tail(text: str, opener: str) -> str:
    """`text` up to the bracket or quote that closes the one before it, without a sentence's punctuation."""
    if opener in _CLOSER:
        text = text.partition(_CLOSER[opener])[0]
    text = _up_to_closing_bracket(text) if opener == "(" else text
    text = _without_punctuation(text)
    return text.removesuffix("_") if opener == "_" else text


def _without_punctuation(text: str) -> str:
    if "&" in text:
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
    listed = _LIST_IN_QUERY.search(address, address.find("?")) if "?" in address else None
    if listed:
        readings.insert(0, _without_tail(address[: listed.start()], ""))
    for glued in (_NOT_ASCII, _LIST):
        place = glued.search(address)
        if place:
            readings.append(_without_tail(address[: place.start()], ""))
    lost = _LOST_QUERY.match(address)
    if lost:
        readings.append(f"{lost[1]}?{decoded(lost[2]) if lost[2] else lost[3] or ''}")
    return readings
