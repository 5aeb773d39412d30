"""Of a long text, the surroundings of what may be join links.

Finding them takes one pass of google-re2 over the bytes. No cut goes through an address, nor through what says that an
address is not to be believed: the tag of the link, comment or script in which it stands.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from meetbot.links.candidates import candidates
from meetbot.links.lookup import Lookup
from meetbot.links.prefilter import LINK

_BEFORE, _AFTER = 2_000, 6_000
# How far a cut moves to where nothing is in the midst: the longest address or tag that is believed.
_REACH = 8_192

# What is read: the first places, and the last, since a long thread has the invitation it began with at its end.
_READ_FIRST, _READ_LAST = 64_000, 12_000

_BREAK = re.compile(rb"[\x00-\x20<>\"]")
_BREAKS = (b" ", b"\n", b"<", b">", b'"')
_ELEMENTS = ((b"<a", b"</a"), (b"<!--", b"-->"), (b"<script", b"</script"), (b"<style", b"</style"))

# Words of this length are looked at before they are read; what has an entity, a soft break or a word alone on the next
# line may be more than it looks like.
_LONGEST_CHECKED = 300
# What it takes to cut the addresses out of a word, in units of the lookup.
_COST_OF_A_WORD = 2
_CHARACTERS_IN_A_UNIT = 16
_MORE_TO_COME = re.compile(rb"&#|=3D|=$")
_LONE_WORD = re.compile(rb"\r?\n[ \t]?(?:> ?){0,5}(?!http)[^\x00-\x20<>\"]{1,1000}(?:[\r\n<>]|$)")

_Place = tuple[int, int]


def surroundings(text: str, lookup: Lookup) -> Iterator[str]:
    """The parts of `text` around what may be links, in order, as many as are good to read."""
    data = text.encode("utf-8", "ignore")
    for start, end in _joined(_chosen(list(_places(data, lookup)))):
        yield data[start:end].decode("utf-8", "ignore")


def _places(data: bytes, lookup: Lookup) -> Iterator[_Place]:
    """Stretches around what may be links, in order, none overlapping."""
    lower = data.lower()
    end = position = 0
    while found := LINK.search(data, position):
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
    """Where the word ends in which something begins like a join link and is none, as far as that word shows; else 0."""
    if not lookup.may_prepare():
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
    readings = (reading for versions in candidates(text) for version in versions for reading in version.readings)
    return 0 if any(lookup.address(reading).room for reading in readings) else after.start()


def _start(data: bytes, previous_end: int, link: int) -> int | None:
    """Where to begin to read before a link; None where it stands deep in a word that is longer than any address."""
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
    """Where the element begins that is open at `near`."""
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


def _chosen(places: list[_Place]) -> list[_Place]:
    first = _up_to(_READ_FIRST, places)
    last = _up_to(_READ_LAST, places[: len(first) - 1 : -1] if first else [])
    return first + last[::-1]


def _up_to(size: int, places: list[_Place]) -> list[_Place]:
    """As many of the places as have the size together, and no more than one over it."""
    chosen: list[_Place] = []
    for start, end in places:
        if size <= 0:
            break
        chosen.append((start, end))
        size -= end - start
    return chosen


def _joined(places: list[_Place]) -> Iterator[_Place]:
    """The places, those that touch as one."""
    start = end = 0
    for next_start, next_end in places:
        if next_start != end and end > start:
            yield start, end
        if next_start != end:
            start = next_start
        end = next_end
    if end > start:
        yield start, end
