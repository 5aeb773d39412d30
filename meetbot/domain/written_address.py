"""E-mail addresses as mail programs write them, reduced to the address itself. Pure.

Invitations carry ``'cyd@customer.example'``, ``Cyd <cyd@customer.example>`` and ``mailto:cyd@customer.example``. Read as they
stand they name a person without a domain.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

_PLAIN: Final = re.compile(r"[A-Za-z0-9.!#$%&*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+")
_QUOTES: Final = "'\"`\u00b4\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u00ab\u00bb\u2039\u203a"
# Invisible characters that come along when an address is copied from a window.
_INVISIBLE: Final = (
    "\u00ad\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
)
_SURROUNDING: Final = " \t\r\n\f\v;," + _INVISIBLE
_SCHEMES: Final = ("mailto:", "smtp:")
_QUOTED_LOCAL_PART: Final = re.compile(r'"([A-Za-z0-9!#$%&*+/=?^_{|}~.-]+)"(@[^@"]+)')
_DEEPEST: Final = 8
_LEGACY_EXCHANGE: Final = re.compile(r"(?:ex:)?/o=[^@]*/cn=[^@]+", re.IGNORECASE)
# At a server of Exchange Online's own. At another one it is somebody of that organisation, as the domain says.
_ENCAPSULATED: Final = re.compile(r"IMCEAEX-_O=[^@]*_CN=[^@]+@[a-z0-9.-]+\.prod\.outlook\.com", re.IGNORECASE)


def bare_address(written: str) -> str:
    """Return the address without quotes, display name, ``mailto:`` and what else surrounds it.

    What holds no address comes back without its surroundings only.
    """
    if _PLAIN.fullmatch(written):
        return written
    text = written
    for _ in range(_DEEPEST):
        inner = _unwrapped(text)
        if inner == text:
            break
        text = inner
    quoted = _QUOTED_LOCAL_PART.fullmatch(text)
    return quoted[1] + quoted[2] if quoted else text


def is_legacy_exchange(written: str) -> bool:
    """Return whether the address is a mailbox's name inside one Exchange organisation.

    It comes plain (``/o=Acme/ou=…/cn=Recipients/cn=bob``), or encapsulated for a mail server.
    """
    return _LEGACY_EXCHANGE.fullmatch(written) is not None or _ENCAPSULATED.fullmatch(written) is not None


def _unwrapped(text: str) -> str:
    text = _unquoted(text.strip(_SURROUNDING))
    if text.endswith(">") and "<" in text:
        return text.rstrip("> ").rpartition("<")[2]
    if text.endswith(")") and "(" in text and "@" in text.partition("(")[0]:
        return text.partition("(")[0]
    lowered = text[-400:].lower()
    if text.endswith("]") and "[mailto:" in lowered:
        return text[:-1].rpartition("[")[2]
    scheme = next((scheme for scheme in _SCHEMES if lowered and text[: len(scheme)].lower() == scheme), None)
    if scheme is None:
        return text
    return unquote(text[len(scheme) :].partition("?")[0]) if scheme == "mailto:" else text[len(scheme) :]


def _unquoted(text: str) -> str:
    """Return the text without the quotes around it.

    A host never ends in a quote; a mailbox may begin with one.
    """
    inner = text.rstrip(_QUOTES)
    if inner == text or "@" not in inner:
        return text
    return inner.lstrip(_QUOTES)
