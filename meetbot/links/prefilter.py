"""Patterns that find in one fast pass where a text may hold a link of the table.

`KNOWN_LABEL` finds mere names of platforms and gateways, `LINK_START` the beginning of what may be a link. They run on
UTF-8 bytes with google-re2, in linear time for any text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import takewhile

import re2

from meetbot.links.platforms import APP_SCHEMES, GATEWAYS, PLATFORMS, Gateway, LinkRule

# Second-level names under which many owners have their names: the "com" of zoom.com.cn.
_SHARED_SECOND_LEVEL = frozenset({"co", "com", "gov", "net", "org"})


def _distinctive_label(host: str) -> str:
    """Return the label of the domain's owner and a dot.

    For example ``zoom.`` of ``zoom.com.cn``, and ``google.`` of ``meet.google.com``.
    """
    labels = host.split(".")
    place = -3 if len(labels) > 2 and labels[-2] in _SHARED_SECOND_LEVEL else -2
    return labels[place] + "."


def bytes_pattern(pattern: str) -> re2._Regexp:
    """Compile a pattern to search UTF-8 bytes with.

    A character of the pattern that is not ASCII stands for several bytes, so it must not be in a character class.
    """
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    return re2.compile(pattern.encode(), options)


def _any_of(words: Iterable[str]) -> str:
    return "(?:" + "|".join(re.escape(word) for word in sorted(words)) + ")"


_NAMES = {*PLATFORMS.names(), *GATEWAYS.names()}
_SCHEMES = {f"{scheme}:" for scheme in APP_SCHEMES}
_LABELS = _any_of({_distinctive_label(host) for host in _NAMES} | _SCHEMES)
# Any run of characters that may belong to an address.
_UNBROKEN = r'[^\x00-\x20<>"\x7f]*'

# A slash as it is, and as gateways, entities and quoted-printable write it.
_SLASH = r"(?:/|_|%(?:25)*2f|&#0*47;|&#x0*2f;|&sol;|=2f)"
_PORT = r"(?::[0-9]{1,5})?"
_HIDES_THE_HOST = frozenset({"base64", "hash", "teams_coords"})


def _path_starts(rule: LinkRule) -> Iterator[str]:
    """Return the beginnings of the paths of the rule's links.

    Each holds the literal segments, and one character of a variable one.
    """
    for shapes in rule.shapes.values():
        for shape in shapes:
            words = list(takewhile(lambda segment: isinstance(segment, str), shape.segments))
            path = "".join(_SLASH + re.escape(str(word)) for word in words)
            yield path + (_SLASH + "[a-z0-9%]" if len(words) < len(shape.segments) else "")


def _links_of(host: str, rules: tuple[LinkRule, ...]) -> str:
    starts = {start for rule in rules for start in _path_starts(rule)}
    return re.escape(host) + _PORT + "(?:" + "|".join(sorted(starts)) + ")"


def _hidden_links(host: str, gateways: tuple[Gateway, ...]) -> Iterator[str]:
    """Patterns for addresses of a gateway that lead to another address without showing its host."""
    for gateway in gateways:
        if gateway.decode in _HIDES_THE_HOST or (host in _PLATFORM_HOSTS and gateway.path):
            yield re.escape(host) + _PORT + _SLASH + re.escape(gateway.path.strip("/")).replace("/", _SLASH)


_PLATFORM_HOSTS = frozenset(PLATFORMS.names())
_LINKS = [
    *(_links_of(host, rules) for host, rules in PLATFORMS.items()),
    *(pattern for host, gateways in GATEWAYS.items() for pattern in _hidden_links(host, gateways)),
    *(re.escape(scheme) for scheme in _SCHEMES),
]

# The label alone also finds a host that a tag or an entity cuts. The host with the beginning of a path tells what may
# be a join link from mentions of a platform and from its other pages.
KNOWN_LABEL = bytes_pattern(f"(?i){_LABELS}")
_ANY_LINK = "(?:" + "|".join(sorted(_LINKS)) + ")"
LINK_START = bytes_pattern(f"(?i){_ANY_LINK}")

# The whole words, from space to space, that hold one of these.
LABEL_WORD = bytes_pattern(f"(?i){_UNBROKEN}{_LABELS}{_UNBROKEN}")
LINK_WORD = bytes_pattern(f"(?i){_UNBROKEN}{_ANY_LINK}{_UNBROKEN}")
