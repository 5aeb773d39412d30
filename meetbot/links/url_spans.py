"""Find where the addresses in a word of text begin and end.

An address inside another one is only a part of that: the one behind `https://elsewhere.example/?to=` does not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import Enum, auto
from itertools import groupby

from meetbot.links.matching import is_trusted_host
from meetbot.links.platforms import APP_SCHEMES

# Schemes that do not lead to a web page. Any other word before a colon is a label: `Link:https://…`.
_OTHER_SCHEMES = frozenset((
    "blob", "data", "file", "ftp", "ftps", "git", "gopher", "intent", "jar", "javascript", "ldap", "mailto",
    "sftp", "ssh", "svn", "telnet", "vbscript", "view-source", "ws", "wss",
))  # fmt: skip


def _names_by_last_letter(names: Iterable[str]) -> str:
    by_letter = groupby(sorted(names, key=lambda name: (name[-1], -len(name))), key=lambda name: name[-1])
    return "|".join(f"(?<={last}:)(?:{'|'.join(f'(?<=({n}):)' for n in group)})" for last, group in by_letter)


# A scheme is searched for from its colon backwards, because colons are rare and letters are not.
_COLON = re.compile(
    rf"(?i):(?:(?:(?<=(https):)|(?<=(http):))(?=/)|{_names_by_last_letter([*APP_SCHEMES, *_OTHER_SCHEMES])})"
)
# An address without a scheme: a host and the beginning of a path, behind a character that cannot be in a host. The two
# slashes of the scheme may still be there.
_BARE = re.compile(
    r"(?<![^\s(\[{,;|'*:>«“‘„（「『【《：，、；])(?:(?<![^\s(\[])//)?(?:[A-Za-z0-9-]++\.)++[A-Za-z0-9-]++(?::[0-9]{1,5})?[/?]"
)
# One or two letters or a plus sign before `https:` make another scheme of it. A longer word is only glued to it.
_MAKES_ANOTHER_SCHEME = re.compile(r"(?:(?<![A-Za-z0-9])[A-Za-z][A-Za-z0-9]?|\+)$")
_LONGEST_PREFIX = 4

_PART_OF_AN_ADDRESS = re.compile(r"[/\\@?#%]")
_QUERY = re.compile(r"[?#]|%3[Ff]")
_AUTHORITY = re.compile(r"(?:[A-Za-z]++:)?/{0,3}([^/?#%\\,;]*+)([/?#%\\])?")
_OF_ANOTHER_KIND = re.compile(rf"(?i)\s{{0,9}}(?:{'|'.join(sorted(_OTHER_SCHEMES))}):")
_BETWEEN_WORDS = ",;|)]"
_BETWEEN_ADDRESSES = ",;"
_CLOSING = {"(": ")", "[": "]", "'": "'"}


class _Start(Enum):
    """The kinds of beginning of an address: a scheme (web, app or other) or a bare host."""

    SCHEME = auto()
    HOST = auto()
    OTHER_SCHEME = auto()


def url_spans(word: str) -> list[tuple[int, int]]:
    """Return where each address in a word begins, and where it ends at the latest.

    Those inside another address are left out.
    """
    starts: list[int] = []
    end = len(word)
    part, query = _PART_OF_AN_ADDRESS.search(word), _QUERY.search(word)
    limit: int | None = part.start() if part else end
    for at, kind in _starts(word):
        is_first_host = kind is _Start.HOST and not starts
        if limit is None:
            query = _QUERY.search(word, starts[-1]) if query and query.start() < starts[-1] else query
            limit = _limit(word, starts[-1], query.start() if query else end)
        if not is_first_host and not _is_outside(word, starts[-1] if starts else None, at, limit):
            continue
        if kind is _Start.OTHER_SCHEME or _MAKES_ANOTHER_SCHEME.search(word, max(0, at - _LONGEST_PREFIX), at):
            end = at
            break
        starts.append(at)
        limit = None
    return list(zip(starts, [*starts[1:], end], strict=False))


def has_other_scheme(text: str) -> bool:
    """Return whether a text is an address that leads to no web page, such as `mailto:`."""
    return _OF_ANOTHER_KIND.match(text) is not None


def _limit(word: str, start: int, query: int) -> int:
    """The place behind which what follows a comma is part of the address that begins at `start`.

    That is the beginning of its query, or already of its path if the host is not trusted.
    """
    authority = _AUTHORITY.match(word, start)
    if authority is None or authority[2] is None or is_trusted_host(authority[1].partition(":")[0].lower()):
        return query
    return authority.start(2)


def _starts(word: str) -> Iterator[tuple[int, _Start]]:
    """The places at which an address may begin, in order.

    Behind a scheme, no bare host begins one.
    """
    schemes = list(_schemes(word))
    for host in _BARE.finditer(word, 0, schemes[0][0] if schemes else len(word)):
        yield host.start(), _Start.HOST
    yield from schemes


def _schemes(word: str) -> Iterator[tuple[int, _Start]]:
    for colon in _COLON.finditer(word):
        name = colon[colon.lastindex or 0]
        at = colon.start() - len(name)
        if name.lower() not in _OTHER_SCHEMES:
            yield at, _Start.SCHEME
        elif not word[max(0, at - 1) : at].isalnum():
            yield at, _Start.OTHER_SCHEME


def _is_outside(word: str, outer: int | None, at: int, limit: int) -> bool:
    """Return whether `at` begins an address of its own, outside of that at `outer`.

    An address inside a word like `jane@acme.com` is none.
    """
    is_before_limit = limit >= at
    before = word[at - 1 : at] if at else ""
    if not before or (not before.isascii() and not before.isalnum()):
        return True
    if outer is None:
        return is_before_limit or before in _BETWEEN_WORDS or not before.isascii()
    if word[at - 2 : at] == "](" or before == _CLOSING.get(word[outer - 1 : outer]):
        return True
    return is_before_limit and before in _BETWEEN_ADDRESSES
