"""E-mail addresses as identities and domains that can be compared with ``==``.

Anyone may put anything into an invitation, so nothing here raises on what an event holds, and everything is bounded.
"""

from __future__ import annotations

import functools
import re
import unicodedata

import idna

_LONGEST_DOMAIN = 253
"""RFC 1035, 2.3.4: 255 octets on the wire are 253 characters in text."""

_CALENDAR_HOST = "calendar.google.com"
"""Google gives rooms, secondary calendars and unknown organisers addresses under this host."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")

Address = tuple[str, str]
"""``(identity, domain)``: the identity is the same for every spelling of one mailbox; the domain is canonical, "" if there
is none. A bare tuple, because a decision makes one per attendee."""


def parse_address(raw: str) -> Address:
    """Return the identity and domain of an address.

    Letter case and ``+tag`` do not make another person; dots in the local part do.
    """
    text = raw.strip().lower()
    if text.isascii() and text.isprintable() and "+" not in text and text[-1:] != ".":
        at_sign = text.rfind("@")
        return text, text[at_sign + 1 :] if at_sign >= 0 else ""
    return _unusual_address(text)


def _unusual_address(text: str) -> Address:
    local, at, host = text.rpartition("@")
    if not at:
        return _only_folded(text), ""
    local = _only_folded(local)
    domain = canonical_domain(host)
    untagged = (local.partition("+")[0] or local) if "+" in local else local
    return f"{untagged}@{domain}", domain


def canonical_domain(raw: str) -> str:
    """Return a domain in its canonical form: lower case, A-labels, no trailing dot.

    By IDNA with UTS 46, non-transitional. What IDNA refuses is only case-folded.
    """
    text = raw.strip().rstrip(".")
    if text.isascii() and text.isprintable():
        return text.lower()
    return _to_ascii(text) if len(text) <= _LONGEST_DOMAIN else _only_folded(text)


@functools.lru_cache(maxsize=1024)
def _to_ascii(text: str) -> str:
    try:
        return idna.encode(text, uts46=True).decode("ascii").rstrip(".")
    except (idna.IDNAError, UnicodeError):
        return _only_folded(text)


def _only_folded(text: str) -> str:
    # Control characters and lone surrogates would not survive in JSON or in a database.
    printable = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    return unicodedata.normalize("NFC", printable).casefold()


def is_domain(text: str) -> bool:
    """Return whether a canonical domain could exist.

    Its lengths are within RFC 1035, and its characters are those of host names.
    """
    return len(text) <= _LONGEST_DOMAIN and _has_labels_only(text)


@functools.lru_cache(maxsize=4096)
def _has_labels_only(text: str) -> bool:
    return all(_is_label(label) for label in text.split("."))


def _is_label(label: str) -> bool:
    return 0 < len(label) <= 63 and label.isascii() and label.replace("-", "").replace("_", "").isalnum()


def is_written_plainly(raw: str) -> bool:
    """Return whether an address is written so that its domain is really its own.

    `parse_address` is lenient: it reads an address with a tab in it or before its host, to which no mail can be sent.
    """
    text = raw.strip()
    if text.isascii() and text.isprintable():
        return True  # a space in the host is in the domain too, which is none then
    host = text.rpartition("@")[2]
    return host == host.strip() and _CONTROL.search(text) is None


def readable_domain(domain: str) -> str:
    """Return the domain as people write it: U-labels if they decode, else unchanged."""
    if "xn--" not in domain:
        return domain
    try:
        return idna.decode(domain)
    except (idna.IDNAError, UnicodeError):
        return domain


def with_parents(domain: str) -> frozenset[str]:
    """Return the domain and every domain above it: a base domain covers all that have it."""
    if len(domain) > _LONGEST_DOMAIN:
        return frozenset((domain,))
    return _with_parents(domain)


@functools.lru_cache(maxsize=4096)
def _with_parents(domain: str) -> frozenset[str]:
    labels = domain.split(".")
    return frozenset(".".join(labels[index:]) for index in range(len(labels)))


def is_calendar_domain(domain: str) -> bool:
    """Return whether a domain is Google's for rooms, other calendars and unknown organisers."""
    return domain.endswith(_CALENDAR_HOST) and _CALENDAR_HOST in with_parents(domain)


def rule_domain(text: str) -> str | None:
    """Return the canonical domain that a rule names; None if it is no domain.

    A rule may write ``customer.com``, ``@customer.com`` or ``*.customer.com``.
    """
    bare = text.strip().removeprefix("*").removeprefix("@").removeprefix(".")
    domain = canonical_domain(bare)
    return domain if is_domain(domain) else None


def rule_identity(text: str) -> str | None:
    """Return the identity of an address that a rule names; None if it is no address."""
    identity, domain = parse_address(text)
    return identity if is_domain(domain) and not identity.startswith("@") else None
