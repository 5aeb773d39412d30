"""Take a web address apart, strictly enough to trust its host.

An address that two programs could read differently is refused: with userinfo, a backslash, or a host that is not plain
ASCII. WHATWG URL and RFC 3986 disagree on these, which look-alike links exploit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, unquote

from meetbot.links.platforms import APP_HOST_PARAMETERS, APP_HOSTS, APP_SCHEMES, WATCHED_HOSTS

MAX_LENGTH = 8192
_MAX_PARAMETERS = 64

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,20}):(/{0,3})")
_SCHEME_TWICE = re.compile(r"(?i)\s{0,9}https?://(?=https?://)")
_HOST = re.compile(r"((?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9])(?::([0-9]{1,5}))?")
_MAX_AUTHORITY = 260
_NAMED_HOST = {scheme: re.compile(rf"(?i)[?&;]{name}=([^&#]*)") for scheme, name in APP_HOST_PARAMETERS.items()}
_PORT_FIRST = re.compile(r"[0-9]{1,5}(?:[/?#]|$)")

# What may stand unescaped in a path segment or a parameter's value, by RFC 3986, and escapes already there.
_KEPT_AS_IS = "!$'()*+,;:@/?~-._%=&"
_NOTHING_TO_ESCAPE = re.compile(r"[A-Za-z0-9!$'()*+,;:@/?~._%=&-]*")


@dataclass(frozen=True, slots=True)
class Url:
    """An address, taken apart.

    ``scheme`` and ``host`` are in lower case, the rest is as it was written.
    """

    scheme: str
    host: str
    port: int | None
    path: str
    query: str
    fragment: str

    def segments(self) -> list[str]:
        """Return the segments of the path that are not empty."""
        return [segment for segment in self.path.split("/") if segment]

    def parameters(self) -> dict[str, str]:
        """Return the first value of each parameter, as written, by its name in lower case.

        Parameters without a value are left out.
        """
        found: dict[str, str] = {}
        for pair in self.query.split("&", _MAX_PARAMETERS)[:_MAX_PARAMETERS]:
            name, _, value = pair.partition("=")
            if value:
                found.setdefault(name.lower().removeprefix("amp;"), value)
        return found

    def has_usual_port(self) -> bool:
        """Return whether a browser opens the address on the usual port of its scheme."""
        return self.port in (None, 80 if self.scheme == "http" else 443)


def parse_url(text: str) -> Url | None:
    """Return the address that `text` is, with or without a scheme.

    None if it is none, or if two programs could read it differently.
    """
    url = _parse(text)
    twice = None if url else _SCHEME_TWICE.match(text)
    return _parse(text[twice.end() :]) if twice else url


def _parse(text: str) -> Url | None:
    if len(text) > MAX_LENGTH or "\\" in text or not text.isprintable():
        return None
    scheme, rest = _split_scheme(text.strip())
    if scheme is None:
        return None
    if scheme in APP_HOSTS:
        rest = _with_app_host(scheme, rest)
    rest, _, fragment = rest.partition("#")
    rest, _, query = rest.partition("?")
    authority, _, path = rest.partition("/")
    # Some letters of other scripts have ASCII lower-case forms: the Kelvin sign becomes a k.
    if len(authority) > _MAX_AUTHORITY or not authority.isascii():
        return None
    host = _HOST.fullmatch(authority.lower())
    if host is None:
        return None
    name = WATCHED_HOSTS.get(host[1], host[1])
    return Url(scheme, name, int(host[2]) if host[2] else None, "/" + path, query, fragment)


def looks_like_address(text: str) -> bool:
    """Return whether a link with this address leads to another site or into an app."""
    found = _SCHEME.match(text)
    if found:
        return found[1].lower() in {"http", "https", *APP_SCHEMES}
    return text.startswith(("//", "\\\\", "/\\", "\\/"))


def to_ascii(text: str) -> str:
    """Return `text` with all characters escaped that no path segment or parameter may hold.

    Escapes in it stay as they are.
    """
    return text if _NOTHING_TO_ESCAPE.fullmatch(text) else quote(text, safe=_KEPT_AS_IS)


def decoded(text: str) -> str:
    """Return `text` with its percent-escapes decoded once."""
    return unquote(text) if "%" in text else text


def decodings(text: str, rounds: int = 2) -> Iterator[tuple[str, str]]:
    """Yield a text with its decoded form, then that form with its own, and so on."""
    for _ in range(rounds):
        plain = decoded(text)
        yield text, plain
        if plain == text or "%" not in plain:
            return
        text = plain


def _split_scheme(text: str) -> tuple[str | None, str]:
    found = _SCHEME.match(text)
    if not found or _PORT_FIRST.match(text, found.end(1) + 1):
        return "https", text.removeprefix("//")
    scheme = found[1].lower()
    if scheme in {"http", "https"} or scheme in APP_SCHEMES:
        return scheme, text[found.end() :]
    return None, text


def _with_app_host(scheme: str, rest: str) -> str:
    """Return the rest of an app's address with its host.

    ``msteams:/l/…`` and ``msteams://l/…`` leave the host out, or name it in a parameter.
    """
    first = rest.partition("/")[0]
    if "." in first or ":" in first or "@" in first:
        return rest
    named = _NAMED_HOST[scheme].search(rest) if scheme in _NAMED_HOST else None
    return f"{decoded(named[1]) if named else APP_HOSTS[scheme]}/{rest}"
