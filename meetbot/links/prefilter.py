"""Patterns that tell in one fast pass whether, and where, a text may hold a link that the table knows.

They run on UTF-8 bytes with google-re2: linear time, whatever the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import takewhile

import re2

from meetbot.links.platforms import APP_SCHEMES, GATEWAYS, PLATFORMS, Gateway, LinkRule

# Second-level names shared by many owners: the owner's own name stands before them.
_SHARED_SECOND_LEVEL = frozenset({"co", "com", "gov", "net", "org"})


def _distinctive_label(host: str) -> str:
    """The owner's label with the dot after it: ``zoom.`` of ``zoom.com.cn``, ``google.`` of ``meet.google.com``."""
    labels = host.split(".")
    place = -3 if len(labels) > 2 and labels[-2] in _SHARED_SECOND_LEVEL else -2
    return labels[place] + "."


def bytes_pattern(pattern: str) -> re2._Regexp:
    """The pattern for text in UTF-8: a character that is not ASCII is several bytes, in or out of brackets."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    return re2.compile(pattern.encode(), options)


def _any_of(words: Iterable[str]) -> str:
    return "(?:" + "|".join(re.escape(word) for word in sorted(words)) + ")"


_NAMES = {*PLATFORMS.names(), *GATEWAYS.names()}
_SCHEMES = {f"{scheme}:" for scheme in APP_SCHEMES}
_LABELS = _any_of({_distinctive_label(host) for host in _NAMES} | _SCHEMES)
_INK = r'[^\x00-\x20<>"\x7f]*'

# How a slash looks in what gateways, entities and quoted-printable make of an address.
_SLASH = r"(?:/|_|%(?:25)*2f|&#0*47;|&#x0*2f;|&sol;|=2f)"
_PORT = r"(?::[0-9]{1,5})?"
_HIDES_THE_HOST = frozenset({"base64", "hash"})


def _path_starts(rule: LinkRule) -> Iterator[str]:
    """What the paths of the rule's links begin with: their first words, and a character where a name stands first."""
    for shapes in rule.shapes.values():
        for shape in shapes:
            words = list(takewhile(lambda segment: isinstance(segment, str), shape.segments))
            path = "".join(_SLASH + re.escape(str(word)) for word in words)
            yield path + (_SLASH + "[a-z0-9%]" if len(words) < len(shape.segments) else "")


def _links_of(host: str, rules: tuple[LinkRule, ...]) -> str:
    starts = {start for rule in rules for start in _path_starts(rule)}
    return re.escape(host) + _PORT + "(?:" + "|".join(sorted(starts)) + ")"


def _hiding(host: str, gateways: tuple[Gateway, ...]) -> Iterator[str]:
    """Addresses that stand for another one without naming its host."""
    for gateway in gateways:
        if gateway.decode in _HIDES_THE_HOST or (host in _PLATFORM_HOSTS and gateway.path):
            yield re.escape(host) + _PORT + _SLASH + re.escape(gateway.path.strip("/")).replace("/", _SLASH)


_PLATFORM_HOSTS = frozenset(PLATFORMS.names())
_LINKS = [
    *(_links_of(host, rules) for host, rules in PLATFORMS.items()),
    *(pattern for host, gateways in GATEWAYS.items() for pattern in _hiding(host, gateways)),
    *(re.escape(scheme) for scheme in _SCHEMES),
]

# A label may stand in a link whose host is cut by a tag or an entity; a host with the beginning of a path tells what
# may be a join link from mere mentions and from other pages.
LABEL = bytes_pattern(f"(?i){_LABELS}")
_ANY_LINK = "(?:" + "|".join(sorted(_LINKS)) + ")"
LINK = bytes_pattern(f"(?i){_ANY_LINK}")

# The unbroken stretches of text in which they stand.
TOKEN = bytes_pattern(f"(?i){_INK}{_LABELS}{_INK}")
LINK_TOKEN = bytes_pattern(f"(?i){_INK}{_ANY_LINK}{_INK}")
