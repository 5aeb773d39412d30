"""Text as a provider sends it, made safe to store. Pure.

PostgreSQL's ``text`` refuses NUL, and UTF-8 has no form for a lone surrogate; JSON can carry both.
"""

from __future__ import annotations

import hashlib
import re

from meetbot.domain.written_address import bare_address, is_legacy_exchange

NAME_LIMIT = 320
ADDRESS_LIMIT = 320  # RFC 3696 erratum 1690: 64 octets, "@", 255 octets
ID_LIMIT = 2048
_LONGEST_HOST = 253  # RFC 1035, 2.3.4

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def clean(value: object, limit: int) -> str:
    """Return the text without what cannot be stored, cut at `limit` characters.

    Returns "" for anything that is no text.
    """
    if not isinstance(value, str):
        return ""
    return _UNSTORABLE.sub("", value)[:limit]


def exact(value: object, limit: int) -> str | None:
    """Return the text unchanged, or None if it is empty, too long or cannot be stored.

    For ids and addresses: half an id is another id.
    """
    if not isinstance(value, str) or not value or len(value) > limit or _UNSTORABLE.search(value):
        return None
    return value


def address(value: object) -> str | None:
    """Return an e-mail address, or None for what is none or cannot be stored.

    It is bare (`bare_address`), and never cut: the front part of a longer address can be another person's.
    """
    return exact(bare_address(value), ADDRESS_LIMIT) if isinstance(value, str) else None


def listed_address(value: object, *, colleagues: str = "") -> str | None:
    """Return the address of a person in an invitation, as `address` reads it.

    Of an address that is too long or cannot be stored the domain remains, so that nobody slips past a rule about
    domains; a digest takes the place of the name before it, and is then no other person's. So it is with a legacy
    Exchange address, whose domain is `colleagues`, if that is given. None for what is no text or holds no such address.
    """
    if not isinstance(value, str):
        return None
    bare = bare_address(value)
    if colleagues and is_legacy_exchange(bare):
        return _stand_in(bare.lower(), colleagues)
    whole = exact(bare, ADDRESS_LIMIT)
    if whole is not None:
        return whole
    _, at, host = bare.rpartition("@")
    # Taking out what cannot be stored could leave another host; putting something in its place cannot.
    domain = _end_of_host(_UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", host))
    return _stand_in(bare, domain) if at and domain else None


def _stand_in(text: str, domain: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"\N{HORIZONTAL ELLIPSIS}{digest[:16]}@{domain}"


def _end_of_host(host: str) -> str:
    """Return the host, or as many of its last labels as a host name may have.

    The last labels name the domain's owner.
    """
    if len(host) <= _LONGEST_HOST:
        return host
    end = host[-_LONGEST_HOST:]
    return end.partition(".")[2] or end


def same_address(one: str | None, other: str | None) -> bool:
    """Return whether both are the same address, ignoring letter case; never if one is missing."""
    return one is not None and other is not None and one.lower() == other.lower()
