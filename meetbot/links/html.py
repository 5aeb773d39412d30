"""Turn HTML into plain text in which every link to a meeting is written out as an address.

The parser (lexbor) follows the HTML standard. Deep nesting, and hundreds of attributes in one tag, cost it quadratic
time. So the markup is flattened first: every element but links becomes `<br>` or `<wbr>`, which hold nothing. The rest
takes linear time, so the markup need not be cut.
"""

from __future__ import annotations

import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

from meetbot.links.lookup import Lookup
from meetbot.links.matching import is_trusted_host
from meetbot.links.prefilter import KNOWN_LABEL
from meetbot.links.unwrap import NoTarget
from meetbot.links.urls import looks_like_address

# Separates blocks in the text. Not a line break, since the source has those within a paragraph too.
_BLOCK_BREAK = "\x1f"

# Stands in place of a link that leads to another site, or whose target only its gateway knows.
DROPPED_LINK = "\x1e"

# Stand around the text of a link to another site, until that text is cut out.
_DROP_FROM, _DROP_TO = "\x1c", "\x1d"

_MAX_TAG, _MAX_TAG_SEPARATORS = 2_000, 250

# The cost of writing an address into the tree, in the units of the lookup.
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
    """Return whether a text holds a tag or comment that mail programs write."""
    return "<" in text and _LOOKS_LIKE_HTML.search(text) is not None


def html_to_text(markup: str, lookup: Lookup) -> str:
    """Return the visible text of HTML, with `<address>` before the text of each meeting link.

    The text of a link to another site is left out, because an address shown there is not the one it leads to; so is
    the text of a link that is not looked up because there are too many.
    """
    tree = LexborHTMLParser(_flattened(markup))
    tree.strip_tags(["script", "style"])
    for link in tree.css("a[href], area[href]"):
        href = (link.attributes.get("href") or "").translate(_REMOVED_FROM_LINKS).strip()
        if not KNOWN_LABEL.search(href.encode("utf-8", "ignore")):
            _drop_text(link, href)
        else:
            _write_out(link, href, lookup)
    return _without_dropped_text(tree.root.text(deep=True, separator="")) if tree.root else ""


def _flattened(markup: str) -> str:
    safe = _ADDRESS_AS_TAG.sub("&lt;", markup)
    return _TAG_NAME.sub(_flat_tag, _without_endless_tags(safe))


def _flat_tag(tag: re.Match[str]) -> str:
    name = tag[2].lower()
    if name in _KEPT:
        return tag[1] + name
    return tag[1] + "wbr" if name in _INLINE else f"{_BLOCK_BREAK}{tag[1]}br"


def _without_endless_tags(markup: str) -> str:
    """The markup without tags that have hundreds of attributes. No tag ends before the next `>`."""
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


def _write_out(link: LexborNode, href: str, lookup: Lookup) -> None:
    found = lookup.find_in_markup(href)
    lookup.charge(_COST_OF_A_LINK)
    if found.link:
        link.insert_before(f" <{found.link.url}> ")
    elif found.target is NoTarget.OPAQUE:
        link.insert_before(DROPPED_LINK)
    elif isinstance(found.target, NoTarget) or not is_trusted_host(found.target.host):
        _drop_text(link, href)


def _drop_text(link: LexborNode, href: str) -> None:
    if looks_like_address(href):
        link.insert_before(_DROP_FROM)
        link.insert_after(_DROP_TO)


def _without_dropped_text(text: str) -> str:
    first, *others = text.split(_DROP_FROM)
    return first + "".join(DROPPED_LINK + _after_link(other) for other in others)


def _after_link(text: str) -> str:
    _, back, rest = text.partition(_DROP_TO)
    return rest if back else text
