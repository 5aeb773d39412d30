"""Says where addresses begin in a word of text, and which of them stand inside another one.

An address inside another one is part of that one: what stands behind `https://elsewhere.example/?to=` is never cut out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import Enum, auto
from itertools import groupby

from meetbot.links.platforms import APP_SCHEMES, PLATFORMS

# Schemes that lead anywhere but to a web page. Other words before a colon label what follows: `Link:https://…`.
_OTHER_SCHEMES = frozenset((
    "blob", "data", "file", "ftp", "ftps", "git", "gopher", "intent", "jar", "javascript", "ldap", "mailto",
    "sftp", "ssh", "svn", "telnet", "vbscript", "view-source", "ws", "wss",
))  # fmt: skip


def _names_by_last_letter(names: Iterable[str]) -> str:
    by_letter = groupby(sorted(names, key=lambda name: (name[-1], -len(name))), key=lambda name: name[-1])
    return "|".join(f"(?<={last}:)(?:{'|'.join(f'(?<=({n}):)' for n in group)})" for last, group in by_letter)


# Looked for at the colon, which is rare, and not at each letter.
_COLON = re.compile(
    rf"(?i):(?:(?:(?<=(https):)|(?<=(http):))(?=/)|{_names_by_last_letter([*APP_SCHEMES, *_OTHER_SCHEMES])})"
)
# Without a scheme: a host and the beginning of a path. It begins behind what cannot be in a host, and only there; the
# two slashes of the scheme may be left.
_BARE = re.compile(
    r"(?<![^\s(\[{,;|'*:>«“‘„（「『【《：，、；])(?:(?<![^\s(\[])//)?(?:[A-Za-z0-9-]++\.)++[A-Za-z0-9-]++(?::[0-9]{1,5})?[/?]"
)
# One or two letters, or a plus sign, make another scheme of `https:`; a longer word was glued to it.
_MAKES_ANOTHER_SCHEME = re.compile(r"(?:(?<![A-Za-z0-9])[A-Za-z][A-Za-z0-9]?|\+)$")
_LONGEST_PREFIX = 4

_PART_OF_AN_ADDRESS = re.compile(r"[/\\@?#%]")
_QUERY = re.compile(r"[?#]|%3[Ff]")
_AUTHORITY = re.compile(r"(?:[A-Za-z]++:)?/{0,3}([^/?#%\\,;]*+)([/?#%\\])?")
_OF_ANOTHER_KIND = re.compile(rf"(?i)\s{{0,9}}(?:{'|'.join(sorted(_OTHER_SCHEMES))}):")
_BETWEEN_WORDS = ",;|)]"
_BETWEEN_ADDRESSES = ",;"
_CLOSING = {"(": ")", "[": "]", "'": "'"}


class _Kind(Enum):
    WEB = auto()
    HOST = auto()
    OTHER = auto()


def spans(word: str) -> list[tuple[int, int]]:
    """Where each address in `word` begins and where it ends at the latest, those inside other ones left out."""
    starts: list[int] = []
    end = len(word)
    part, query = _PART_OF_AN_ADDRESS.search(word), _QUERY.search(word)
    limit: int | None = part.start() if part else end
    for at, kind in _beginnings(word):
        is_first_host = kind is _Kind.HOST and not starts
        if limit is None:
            query = _QUERY.search(word, starts[-1]) if query and query.start() < starts[-1] else query
            limit = _limit(word, starts[-1], query.start() if query else end)
        if not is_first_host and not _is_outside(word, starts[-1] if starts else None, at, limit):
            continue
        if kind is _Kind.OTHER or _MAKES_ANOTHER_SCHEME.search(word, max(0, at - _LONGEST_PREFIX), at):
            end = at
            break
        starts.append(at)
        limit = None
    return list(zip(starts, [*starts[1:], end], strict=False))


def is_of_another_kind(text: str) -> bool:
    """Whether `text` is an address that leads anywhere but to a web page."""
    return _OF_ANOTHER_KIND.match(text) is not None


def _limit(word: str, start: int, query: int) -> int:
    """From where on the address that begins at `start` takes in what follows a comma: its query. Elsewhere than on a
    platform's hosts, where such addresses are known, already its path."""
    authority = _AUTHORITY.match(word, start)
    if authority is None or authority[2] is None or PLATFORMS.of(authority[1].partition(":")[0].lower()):
        return query
    return authority.start(2)


def _beginnings(word: str) -> Iterator[tuple[int, _Kind]]:
    """What may begin an address, in order. A host without scheme is none behind an address that has one."""
    schemes = list(_schemes(word))
    for host in _BARE.finditer(word, 0, schemes[0][0] if schemes else len(word)):
        yield host.start(), _Kind.HOST
    yield from schemes


def _schemes(word: str) -> Iterator[tuple[int, _Kind]]:
    for colon in _COLON.finditer(word):
        name = colon[colon.lastindex or 0]
        at = colon.start() - len(name)
        if name.lower() not in _OTHER_SCHEMES:
            yield at, _Kind.WEB
        elif not word[max(0, at - 1) : at].isalnum():
            yield at, _Kind.OTHER


def _is_outside(word: str, outer: int | None, at: int, limit: int) -> bool:
    """Whether what begins at `at` is no part of the address that began at `outer`, or of a word like `jane@acme.com`."""
    is_before_limit = limit >= at
    before = word[at - 1 : at] if at else ""
    if not before or (not before.isascii() and not before.isalnum()):
        return True
    if outer is None:
        return is_before_limit or before in _BETWEEN_WORDS or not before.isascii()
    if word[at - 2 : at] == "](" or before == _CLOSING.get(word[outer - 1 : outer]):
        return True
    return is_before_limit and before in _BETWEEN_ADDRESSES
