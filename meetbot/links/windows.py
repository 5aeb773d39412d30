"""Cut windows around possible join links out of a long text; only the windows are read.

Finding them takes one pass of google-re2 over the bytes. A window never begins or ends within an address. Nor does it
begin within a link, comment or script: their tags tell that an address in them is not to be believed.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from meetbot.links.candidates import candidates
from meetbot.links.lookup import Lookup
from meetbot.links.prefilter import LINK_START

_BEFORE, _AFTER = 2_000, 6_000
# How far the edge of a window may move so as not to cut an address or tag: the longest that is accepted.
_REACH = 8_192

# Bytes of windows that are read, from the beginning and from the end: a mail thread ends with its first mail, which is
# often the invitation.
_READ_FIRST, _READ_LAST = 64_000, 12_000

_BREAK = re.compile(rb"[\x00-\x20<>\"]")
_BREAKS = (b" ", b"\n", b"<", b">", b'"')
_ELEMENTS = ((b"<a", b"</a"), (b"<!--", b"-->"), (b"<script", b"</script"), (b"<style", b"</style"))

# A word up to this length is looked up before a window is cut around it. A word with an entity, or one that may go
# on after a line break, is not looked up: only the readable text shows the whole address.
_LONGEST_CHECKED = 300
# The cost of cutting the addresses out of a word, in units of the lookup.
_COST_OF_A_WORD = 2
_CHARACTERS_IN_A_UNIT = 16
_MORE_TO_COME = re.compile(rb"&#|=3D|=$")
_LONE_WORD = re.compile(rb"\r?\n[ \t]?(?:> ?){0,5}(?!http)[^\x00-\x20<>\"]{1,1000}(?:[\r\n<>]|$)")

_Window = tuple[int, int]


def link_windows(text: str, lookup: Lookup) -> Iterator[str]:
    """Yield the windows around what may be join links in a long text, in order.

    If the windows together exceed the limits, those in the middle of the text are left out.
    """
    data = text.encode("utf-8", "ignore")
    for start, end in _joined(_chosen(list(_windows(data, lookup)))):
        yield data[start:end].decode("utf-8", "ignore")


def _windows(data: bytes, lookup: Lookup) -> Iterator[_Window]:
    """The windows around what may be join links, in order, none overlapping."""
    lower = data.lower()
    end = position = 0
    while found := LINK_START.search(data, position):
        position = found.end()
        word_end = _end_of_another_page(data, found.start(), found.end(), lookup)
        if word_end:
            position = word_end
            continue
        start = _start(lower, end, found.start())
        end = position = _end(lower, found.end())
        if start is not None:
            yield start, end


def _end_of_another_page(data: bytes, link: int, link_end: int, lookup: Lookup) -> int:
    """The end of a word that begins like a join link and surely is none; 0 for any other word."""
    if not lookup.can_prepare():
        return 0
    start = max(data.rfind(mark, max(0, link - _BEFORE), link) for mark in _BREAKS) + 1
    after = _BREAK.search(data, link_end, link_end + _LONGEST_CHECKED)
    if link - start > _LONGEST_CHECKED or after is None:
        return 0
    word = data[start : after.start()]
    if _MORE_TO_COME.search(word) or _LONE_WORD.match(data, after.start()):
        return 0
    lookup.charge(_COST_OF_A_WORD + len(word) // _CHARACTERS_IN_A_UNIT)
    text = html.unescape(word.decode("utf-8", "ignore"))
    readings = (reading for variants in candidates(text) for variant in variants for reading in variant.readings)
    return 0 if any(lookup.find(reading).link for reading in readings) else after.start()


def _start(data: bytes, previous_end: int, link: int) -> int | None:
    """Return the start of a link's window, or None if the link is too deep in a long word.

    A word is too long if it is longer than any address.
    """
    near = link - _BEFORE
    far = near - _REACH
    if far <= previous_end:
        return previous_end
    opened = min(filter(None, (_open_at(data, far, near, *element) for element in _ELEMENTS)), default=None)
    if opened:
        return opened
    found = _BREAK.search(data, near, link)
    if found:
        return found.start()
    earlier = max(data.rfind(mark, far, near) for mark in _BREAKS)
    return earlier if earlier > 0 else None


def _open_at(data: bytes, far: int, near: int, opener: bytes, closer: bytes) -> int | None:
    """Where an element begins that is still open at `near`; None if there is none."""
    start = data.rfind(opener, far, near)
    return start if start > 0 and data.find(closer, start, near) < 0 else None


def _end(data: bytes, link_end: int) -> int:
    near = link_end + _AFTER
    if near >= len(data):
        return len(data)
    tag = data.rfind(b"<", max(0, link_end - _REACH), near)
    closed = data.find(b">", tag, near + _REACH) if tag >= 0 else -1
    if closed >= near:
        return closed + 1
    found = _BREAK.search(data, near, near + _REACH)
    return found.start() if found else near


def _chosen(windows: list[_Window]) -> list[_Window]:
    first = _up_to(_READ_FIRST, windows)
    last = _up_to(_READ_LAST, windows[: len(first) - 1 : -1] if first else [])
    return first + last[::-1]


def _up_to(size: int, windows: list[_Window]) -> list[_Window]:
    """The first of the windows that together reach the size."""
    chosen: list[_Window] = []
    for start, end in windows:
        if size <= 0:
            break
        chosen.append((start, end))
        size -= end - start
    return chosen


def _joined(windows: list[_Window]) -> Iterator[_Window]:
    """The windows, with those that touch made one."""
    start = end = 0
    for next_start, next_end in windows:
        if next_start != end and end > start:
            yield start, end
        if next_start != end:
            start = next_start
        end = next_end
    if end > start:
        yield start, end
