"""Makes text that calendars, mail programs and people have handled readable again, and bounds how much of it is read.

Searching runs on UTF-8 bytes with google-re2, which takes time linear in the text whatever it holds.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from meetbot.links.needles import HOST, LABEL

# Text up to WHOLE characters is read whole; of longer text the surroundings of what may be links: the first and the
# last few such places, since invitations stand at the top of a new mail and at the bottom of a long thread.
WHOLE = 64_000
_LONGEST = 2_000_000
_BEFORE, _AFTER = 3_000, 10_000
_FIRST_PLACES, _LAST_PLACES = 3, 1

# Words disguised by entities, invisible characters or soft line breaks are looked for in text up to this length.
_SMALL = 16_000

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f"
    "\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]+"
)
_UNICODE_SPACE = re.compile("[\u0080-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_ENTITY_ROUNDS = 3
_SOFT_BREAK = re.compile(r"(?<=\S)=\r?\n(?=\S)")
_QUOTED = re.compile(r"=([2-7][0-9A-F])")
_QUOTED_SPACE = re.compile(r"=20(?=\r?\n)|=C2=A0")
_IN_ANGLES = re.compile(r"(?i)<((?:https?|msteams|zoommtg|zoomus):[^<>]{1,4096})>")
_WRITTEN_LINE_BREAK = re.compile(r"\\[nNr]")
_NUMBER_IN_GROUPS = re.compile(r"(/j/[0-9]{2,4})[ -]([0-9]{3,4})[ -]([0-9]{3,4})(?![0-9])")
_LINE_BREAK = re.compile(r"[ \t]*\r?\n[ \t]*")


def worth_reading(text: str) -> str:
    """The part of `text` that may hold a link: all of it, the surroundings of what may be links, or nothing."""
    if len(text) > WHOLE:
        return _surroundings(text[:_LONGEST].encode("utf-8", "ignore"))
    if LABEL.search(text.encode("utf-8", "ignore")) or _is_disguised(text):
        return text
    return ""


def repaired(text: str) -> str:
    """`text` without lone surrogates and invisible characters, with quoted-printable undone and soft breaks mended."""
    if not text.isascii():
        text = text.encode("utf-8", "ignore").decode("utf-8")
        text = _UNICODE_SPACE.sub(" ", _INVISIBLE.sub("", text))
    return _without_quoted_printable(text)


def unescaped(text: str) -> str:
    """Plain text with its entities undone, as often as they were applied, and every address in one piece."""
    for _ in range(_ENTITY_ROUNDS):
        if "&" not in text:
            break
        plain = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
        if plain == text:
            break
        text = plain
    if "\\" in text:
        text = _WRITTEN_LINE_BREAK.sub("\n", text)
    text = _NUMBER_IN_GROUPS.sub(r"\1\2\3", text)
    if "<" in text and "\n" in text:
        text = _IN_ANGLES.sub(lambda found: "<" + _LINE_BREAK.sub("", found[1]) + ">", text)
    return text if text.isascii() else _UNICODE_SPACE.sub(" ", _INVISIBLE.sub("", text))


def _is_disguised(text: str) -> bool:
    if len(text) > _SMALL:
        return False
    return "&#" in text or "=\n" in text or "=\r" in text or (not text.isascii() and bool(_INVISIBLE.search(text)))


def _without_quoted_printable(text: str) -> str:
    """Undone where soft breaks, quoted spaces, or more than one escaped equals sign show that it was left in; one could
    be chance."""
    mended = _SOFT_BREAK.sub("", text) if "=\n" in text or "=\r" in text else text
    if "=3D" not in mended or (mended is text and text.count("=3D") < 2 and not _QUOTED_SPACE.search(text)):
        return mended
    return _QUOTED.sub(lambda found: chr(int(found[1], 16)), _QUOTED_SPACE.sub(" ", mended))


def _surroundings(data: bytes) -> str:
    places = list(_places(data))
    if len(places) > _FIRST_PLACES + _LAST_PLACES:
        places = places[:_FIRST_PLACES] + places[-_LAST_PLACES:]
    return "\n".join(data[start:end].decode("utf-8", "ignore") for start, end in places)


def _places(data: bytes) -> Iterator[tuple[int, int]]:
    """Stretches around what may be links, none overlapping; each begins with a tag where there is one."""
    end = 0
    while found := HOST.search(data, end):
        hit = found.start()
        start = max(end, hit - _BEFORE)
        tag = data.find(b"<", start, hit)
        end = min(len(data), hit + _AFTER)
        yield (tag if tag > 0 else start), end
