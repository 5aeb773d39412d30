"""Patterns that tell in one fast pass whether, and where, a text may hold a link that the table knows.

They run on UTF-8 bytes with google-re2: linear time, whatever the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import re2

from meetbot.links.table import APP_SCHEMES, GATEWAYS, PLATFORMS

# Second-level names shared by many owners: the owner's own name stands before them.
_SHARED_SECOND_LEVEL = frozenset({"co", "com", "gov", "net", "org"})


def _distinctive_label(host: str) -> str:
    """The owner's label with the dot after it: ``zoom.`` of ``zoom.com.cn``, ``google.`` of ``meet.google.com``."""
    labels = host.split(".")
    place = -3 if len(labels) > 2 and labels[-2] in _SHARED_SECOND_LEVEL else -2
    return labels[place] + "."


def _bytes_pattern(pattern: str) -> re2._Regexp:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    return re2.compile(pattern.encode(), options)


def _any_of(words: Iterable[str]) -> str:
    return "(?:" + "|".join(re.escape(word) for word in sorted(words)) + ")"


_NAMES = {*PLATFORMS.names(), *GATEWAYS.names()}
_SCHEMES = {f"{scheme}:" for scheme in APP_SCHEMES}
_LABELS = _any_of({_distinctive_label(host) for host in _NAMES} | _SCHEMES)
_INK = r'[^\x00-\x20<>"\x7f]*'

# A label may stand in a link whose host is cut by a tag or an entity; a whole host tells links from mere mentions.
LABEL = _bytes_pattern(f"(?i){_LABELS}")
HOST = _bytes_pattern(f"(?i){_any_of(_NAMES | _SCHEMES)}")
TOKEN = _bytes_pattern(f"(?i){_INK}{_LABELS}{_INK}")
