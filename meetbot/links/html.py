"""Turns HTML into plain text in which every link to a meeting stands as an address.

The parser (lexbor) follows the HTML standard. Some inputs cost it time quadratic in their depth or in the attributes of
one tag, so the markup is flattened first: every element but links becomes `<br>` or `<wbr>`, which hold nothing. What
is left takes it linear time, so that the markup is never cut.
"""

from __future__ import annotations

import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

from meetbot.links.lookup import Lookup
from meetbot.links.matching import is_trusted
from meetbot.links.prefilter import LABEL
from meetbot.links.unwrap import Lost
from meetbot.links.urls import looks_like_address

# Separates blocks in the text: no line break of the source, which may be a soft one.
_BLOCK_BREAK = "\x1f"

# What is left of a link to elsewhere, or to who knows where.
TRACE = "\x1e"

# Stand around the text of a link that leads elsewhere, until that text is cut out.
_ELSEWHERE, _BACK = "\x1c", "\x1d"

_MAX_TAG, _MAX_TAG_SEPARATORS = 2_000, 250

# What it takes to put an address into the tree, in the units of the lookup.
_COST_OF_A_LINK = 1

_LOOKS_LIKE_HTML = re.compile(
    r"(?i)</?(?:a|b|body|br|div|font|h[1-6]|html|i|li|meta|ol|p|pre|span|strong|style|table|td|u|ul)[\s/>]|<!doctype|<!--"
)
_ADDRESS_AS_TAG = re.compile(r"(?i)<(?=(?:https?|msteams|zoommtg|zoomus|mailto):)")
_TAG_NAME = re.compile(r"(</?)([A-Za-z][^\s/>]*+)")
_TAG_START = re.compile(r"<[A-Za-z/]")
_TAG_SEPARATORS = " \t\n\r\f/=\"'"
_REMOVED_FROM_LINKS = str.maketrans("", "", "\t\r\n")

_KEPT = {"a": "a", "area": "area", "script": "script", "style": "style"}
_INLINE = frozenset(
    ["abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "del", "dfn", "em", "font", "i", "ins", "kbd", "mark",
     "nobr", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "tt", "u", "var", "wbr"]
)  # fmt: skip


def looks_like_html(text: str) -> bool:
    return "<" in text and _LOOKS_LIKE_HTML.search(text) is not None


def as_text(markup: str, lookup: Lookup) -> str:
    """The visible text of `markup`, each link that leads to a meeting as `<address>` before its own text.

    The text of a link that leads to another site is left out: an address shown there is not where it leads. So is that
    of links which there are too many of to look up.
    """
    tree = LexborHTMLParser(_flattened(markup))
    tree.strip_tags(["script", "style"])
    for link in tree.css("a[href], area[href]"):
        href = (link.attributes.get("href") or "").translate(_REMOVED_FROM_LINKS).strip()
        if not LABEL.search(href.encode("utf-8", "ignore")):
            _leave_out_text(link, href)
        else:
            _spell_out(link, href, lookup)
    return _without_elsewhere(tree.root.text(deep=True, separator="")) if tree.root else ""


def _flattened(markup: str) -> str:
    safe = _ADDRESS_AS_TAG.sub("&lt;", markup)
    return _TAG_NAME.sub(_flat_tag, _without_endless_tags(safe))


def _flat_tag(tag: re.Match[str]) -> str:
    name = tag[2].lower()
    if name in _KEPT:
        return tag[1] + name
    return tag[1] + "wbr" if name in _INLINE else f"{_BLOCK_BREAK}{tag[1]}br"


def _without_endless_tags(markup: str) -> str:
    """Drops tags with hundreds of attributes. A tag goes on to the next `>`, or further, but never ends before it."""
    if len(markup) <= _MAX_TAG:
        return markup
    pieces = markup.split(">")
    if all(len(piece) <= _MAX_TAG for piece in pieces):
        return markup
    return ">".join(_without_endless_tag(piece) if len(piece) > _MAX_TAG else piece for piece in pieces)


def _without_endless_tag(piece: str) -> str:
    start = _TAG_START.search(piece)
    tag = piece[start.start() :] if start else ""
    if len(tag) <= _MAX_TAG or sum(map(tag.count, _TAG_SEPARATORS)) <= _MAX_TAG_SEPARATORS:
        return piece
    return piece[: -len(tag)]


def _spell_out(link: LexborNode, href: str, lookup: Lookup) -> None:
    found = lookup.for_markup(href)
    lookup.charge(_COST_OF_A_LINK)
    if found.room:
        link.insert_before(f" <{found.room.url}> ")
    elif found.target is Lost.OPAQUE:
        link.insert_before(TRACE)
    elif isinstance(found.target, Lost) or not is_trusted(found.target.host):
        _leave_out_text(link, href)


def _leave_out_text(link: LexborNode, href: str) -> None:
    if looks_like_address(href):
        link.insert_before(_ELSEWHERE)
        link.insert_after(_BACK)


def _without_elsewhere(text: str) -> str:
    first, *others = text.split(_ELSEWHERE)
    return first + "".join(TRACE + _after_link(other) for other in others)


def _after_link(text: str) -> str:
    _, back, rest = text.partition(_BACK)
    return rest if back else text
