"""Cut what may be addresses out of plain text.

Only the addresses themselves, not those inside another one (`url_spans`), without the punctuation around them, and
put together again if a line break may have cut them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from urllib.parse import quote

from meetbot.links.prefilter import KNOWN_LABEL, LABEL_WORD, LINK_WORD
from meetbot.links.url_spans import url_spans
from meetbot.links.urls import MAX_LENGTH, decoded

# After this many words with a known name, only words with the beginning of a join link are read: the text may be full
# of a platform's other pages.
_MAX_LABEL_WORDS = 300
_MAX_LINK_WORDS = 700
_MAX_ADDRESSES_IN_WORD = 64
_MAX_BRACKETS = 32
_MAX_TAIL = 32

# The width of a line that a mail program may have broken, usually at 70 to 80 columns. A shorter line was ended by its
# writer.
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
# No platform writes a comma or semicolon into a query: what follows one is the rest of a list. Not so in JSON, nor
# behind an ampersand that is still an entity.
_LIST_IN_QUERY = re.compile(r"(?i)[,;](?<!&amp.)(?<!&#38.)(?!%22|%7b|$)")
# "…/j/9876..." is the part of a link that a mail program shows, not the link. The forms in _COMPLETE are complete even
# so.
_CUT_SHORT = re.compile(r"(?:\.\.\.|…)[)\]>*_~'\"”’»]{0,3}$")
_LONGEST_ELLIPSIS = 6
_COMPLETE = re.compile(
    r"(?i)meet\.google\.com/[a-z]{3}-?[a-z]{4}-?[a-z]{3}$|/j/[0-9]{11}$|/j/[0-9]{9,11}\?[^#]*pwd=[A-Za-z0-9_-]+\.[0-9]$"
)
# A path whose question mark was escaped with all that follows it, or became an ampersand.
_LOST_QUERY = re.compile(r"(?i)(https?://[^/?#&%]++/[^?#&%]*+)(?:%3f([^?#]*)|&([^?#]*))$")
_NOT_ASCII = re.compile(r"[^\x21-\x7e]")

# In the text of HTML a block ends with \x1f; in a quoted reply a line begins with ">".
_LINE_END = (b"\n", b"\r", b"\x1f")
_NEXT_LINE = re.compile(rb'(?:\x1f?\r?\n|\x1f)(([ \t]?)(?:> ?){0,5}([^\x00-\x20<>"\x7f]{1,1000}))(?=[\r\n\x1f>]|$)')
_NOT_A_CONTINUATION = re.compile(r"(?i)[^!-~]|https?:|:$|^[a-z]+:|^[a-z]+[.,;!?]?$|^\W+$")

# Evidence that a line break cut an address: an escape or a hyphenated path breaks off, or the next line ends one
# parameter and begins another.
_BROKEN_ESCAPE = re.compile(r"%[0-9A-Fa-f]?$")
_GOES_ON = re.compile(r"[A-Za-z0-9._~%+-]*&[A-Za-z_]{1,20}=")
# iCalendar folds lines at 75 octets and begins the next with one space (RFC 5545, 3.1).
_FOLDED_AT = 75


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to cut an address out of the text: its possible readings, the likeliest first.

    ``is_cut``: it is evident that a line break cut the address before the last line of this variant.
    """

    readings: tuple[str, ...]
    is_cut: bool = False


def candidates(text: str) -> Iterator[Iterator[Variant]]:
    """Yield the possible addresses in `text`, in order, each with its variants.

    The first variant is the address as it stands. If a line break may have cut it, each further one has one more of
    the following lines.
    """
    data = text.encode("utf-8", "ignore")
    seen: set[bytes] = set()
    for start, end in _words(data):
        if data[start:end] in seen:
            continue
        seen.add(data[start:end])
        word = _word(data, start, end)
        spans = _likely(word)
        for span in spans[:-1]:
            yield _variant(word, *span)
        if spans:
            yield _variants(word, spans[-1], data, start, end)


def _words(data: bytes) -> Iterator[tuple[int, int]]:
    end = 0
    for word in islice(LABEL_WORD.finditer(data), _MAX_LABEL_WORDS):
        end = word.end()
        yield word.span()
    for word in islice(LINK_WORD.finditer(data, end), _MAX_LINK_WORDS):
        yield word.span()


def _word(data: bytes, start: int, end: int) -> str:
    """Return the word, completed with the rest of its JSON if that is not escaped.

    A word ends at the first quote of a raw JSON parameter; the rest of the JSON is added in escaped form.
    """
    token = data[start:end].decode("utf-8", "ignore")
    if data[end : end + 1] != b'"' or not token.endswith("context={"):
        return token
    json = data[end : data.find(b"}", end, end + 2_000) + 1].decode("utf-8", "ignore")
    return token[:-1] + quote("{" + json)


def _variants(word: str, span: tuple[int, int], data: bytes, start: int, end: int) -> Iterator[Variant]:
    yield from _variant(word, *span)
    if data[end : end + 1] not in _LINE_END or len(word) > MAX_LENGTH:
        return
    width = end - (max(data.rfind(mark, max(0, start - _PERHAPS_WRAPPED.stop), start) for mark in _LINE_END) + 1)
    for piece, is_folded in _continuations(data, end, width):
        is_cut = is_folded or _is_broken_off(word) or _GOES_ON.match(piece) is not None
        word += piece
        spans = _likely(word)
        if not spans:
            return
        yield from _variant(word, *spans[-1], is_cut)


def _is_broken_off(word: str) -> bool:
    if _BROKEN_ESCAPE.search(word, max(0, len(word) - 2)):
        return True
    return word.endswith("-") and "?" not in word and "#" not in word


def _continuations(data: bytes, end: int, width: int) -> Iterator[tuple[str, bool]]:
    """Yield what each following line adds to an address that is cut at column `width`.

    With each piece, whether its line is folded as iCalendar does it. A line shorter than the first is the last one.
    """
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


def _variant(word: str, start: int, end: int, is_cut: bool = False) -> Iterator[Variant]:
    """The variant of the address between these positions; none if there is no address."""
    address = _address(word, start, end)
    if address:
        yield Variant(tuple(_readings(address)), is_cut)


def _likely(word: str) -> list[tuple[int, int]]:
    """Return the spans of a word's addresses; of very many, only those with a known name."""
    spans = url_spans(word)
    if len(spans) > _MAX_ADDRESSES_IN_WORD:
        spans = [span for span in spans if KNOWN_LABEL.search(word[slice(*span)].encode())]
    return spans[:_MAX_ADDRESSES_IN_WORD]


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
    """Return `text` up to the closing of `opener`, without a sentence's punctuation."""
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
    for bracket in islice(_BRACKET.finditer(text), _MAX_BRACKETS):
        depth += 1 if bracket[0] == "(" else -1
        if depth < 0:
            return text[: bracket.start()]
    return text


def _readings(address: str) -> list[str]:
    """The possible readings of an address, the likeliest first.

    As it is; without what may be glued to its end, such as other scripts or the rest of a list; and with the question
    mark that it may have lost.
    """
    readings = [address]
    listed = _LIST_IN_QUERY.search(address, address.find("?")) if "?" in address else None
    if listed:
        readings.insert(0, _without_tail(address[: listed.start()], ""))
    for glued in (_NOT_ASCII, _LIST):
        found = glued.search(address)
        if found:
            readings.append(_without_tail(address[: found.start()], ""))
    lost = _LOST_QUERY.match(address)
    if lost:
        readings.append(f"{lost[1]}?{decoded(lost[2]) if lost[2] else lost[3] or ''}")
    return readings
