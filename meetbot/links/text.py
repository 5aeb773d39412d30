"""Make text readable again after calendars, mail programs and gateways have changed it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from meetbot.links.lookup import Lookup
from meetbot.links.platforms import PLATFORMS
from meetbot.links.prefilter import KNOWN_LABEL
from meetbot.links.windows import link_windows

# Text up to this many characters is read whole; of longer text, the windows around what may be links.
READ_WHOLE = 64_000

# Text up to this length is read if entities, invisible characters or soft line breaks may hide a link in it.
_SMALL = 16_000
_DISGUISES = ("&#", "&period;", "=\n", "=\r")

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

# A line of text with the lines that quoted-printable's soft line breaks tie to it.
_TIED_LINES = re.compile(r"(?:[^\n]*=\r?\n(?=\S))*+[^\n]*\n?")
_PARAMETERS = {name for _, rules in PLATFORMS.items() for rule in rules for name in rule.keep}
_WHOLE_NAMES = [name for name in sorted(_PARAMETERS) if sum(other.startswith(name) for other in _PARAMETERS) == 1]
# Never in quoted-printable: an unescaped equals sign, an escaped letter or digit, or a soft line break at the beginning
# of the value of a parameter or attribute.
_NEVER_QUOTED = re.compile(
    r"=(?![2-7A-F][0-9A-F]|0[9AD]|\r?\n|$)|=(?:3[0-9]|[46][1-9A-F]|[57][0-9A])"
    r"|(?<!=3D)=\r?\n[\"']|(?i:[?&](?:" + "|".join(_WHOLE_NAMES) + r"))=\r?\n(?!=3D)"
)
_IN_ANGLES = re.compile(r"(?i)<((?:https?|msteams|zoommtg|zoomus):[^<>]{1,4096})>")
_IN_QUOTED_ANGLES = re.compile(
    r"(?i)<((?:https?|msteams|zoommtg|zoomus):[^\s<>]{1,2000}(?:\r?\n[ \t]?(?:> ?){1,5}[^\s<>]{1,1000}){1,16})>"
)
_QUOTATION_MARKS = " \t\r>"
_QUOTED_ATTRIBUTE = re.compile(r"=3D[\"']")
_ATTRIBUTE_IN_JSON = re.compile(r'=\\"([^"\\<>]{0,8192})\\"')
_WRITTEN_LINE_BREAK = re.compile(r"\\[nNr]")
_NUMBER_IN_GROUPS = re.compile(r"(/j/[0-9]{2,4})[ -]([0-9]{3,4})[ -]([0-9]{3,4})(?![0-9])")


def readable_parts(text: str, lookup: Lookup) -> Iterator[str]:
    """Yield the parts of a text that may hold a link.

    All of it, nothing, or, of a long text, the windows around possible links.
    """
    if len(text) > READ_WHOLE:
        yield from link_windows(text, lookup)
    elif KNOWN_LABEL.search(text.encode("utf-8", "ignore")) or _is_disguised(text):
        yield text


def repair(text: str) -> str:
    """Return `text` without lone surrogates, invisible characters and quoted-printable."""
    if not text.isascii():
        text = text.encode("utf-8", "ignore").decode("utf-8")
        text = _UNICODE_SPACE.sub(" ", _INVISIBLE.sub("", text))
    if '=\\"' in text:
        text = _ATTRIBUTE_IN_JSON.sub(r'="\1"', text)
    return _without_quoted_printable(text)


def unescape(text: str) -> str:
    """Return plain text with its entities decoded and every address in one piece.

    Entities are decoded up to three times, as some programs encode them again.
    """
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
        text = _IN_QUOTED_ANGLES.sub(lambda found: f"<{_in_one_line(found[1])}>", text)
        text = _IN_ANGLES.sub(lambda found: f"<{_in_one_line(found[1])}>", text)
    return text if text.isascii() else _UNICODE_SPACE.sub(" ", _INVISIBLE.sub("", text))


def _is_disguised(text: str) -> bool:
    if len(text) > _SMALL:
        return False
    return any(sign in text for sign in _DISGUISES) or (not text.isascii() and bool(_INVISIBLE.search(text)))


def _in_one_line(text: str) -> str:
    return "".join(line.strip(_QUOTATION_MARKS) for line in text.split("\n"))


def _without_quoted_printable(text: str) -> str:
    """The text with quoted-printable decoded in the lines that may be quoted-printable.

    Only if there is evidence of it: soft line breaks, quoted spaces or attributes, or more than one escaped equals
    sign (a single one could be chance).
    """
    has_soft_break = "=\n" in text or "=\r" in text
    if not has_soft_break and "=3D" not in text:
        return text
    is_shown = text.count("=3D") > 1 or any(sign.search(text) for sign in (_QUOTED_SPACE, _QUOTED_ATTRIBUTE))
    return "".join(_unquoted(lines[0], is_shown) for lines in _TIED_LINES.finditer(text))


def _unquoted(lines: str, is_shown: bool) -> str:
    if "=" not in lines or _NEVER_QUOTED.search(lines):
        return lines
    mended = _SOFT_BREAK.sub("", lines)
    if mended == lines and not is_shown:
        return lines
    return _QUOTED.sub(lambda found: chr(int(found[1], 16)), _QUOTED_SPACE.sub(" ", mended))
