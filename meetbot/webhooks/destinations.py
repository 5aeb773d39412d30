"""The rules for where a customer's URL may lead. Pure.

Public addresses over https, and the operator's allowed networks besides. A URL is judged twice: here by its text when it is
stored, and at each delivery by the addresses its name resolves to (`meetbot.webhooks.outbound`), since a name can be pointed
elsewhere at any time.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from meetbot.errors import MeetbotError
from meetbot.settings import Network

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

PUBLIC_PORTS = (443, 8443)
DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_URL_LENGTH = 2048

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
# WHATWG URL, "ends in a number": such a host is an IPv4 address in one of its old spellings, never a name.
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
_FORBIDDEN_CHARACTERS = re.compile(r"[\x00-\x20\x7f\\]")
_LOCAL_SUFFIXES = ("localhost", "local", "internal", "home.arpa", "localdomain")

# `ipaddress.is_global` says yes to some of these, depending on the Python release, so they are all named here: the IANA
# special-purpose registries, multicast, and the address under which Azure serves its virtual machines.
_NEVER_PUBLIC_V4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
# Outside 2000::/3 nothing is public: mapped and translated IPv4 (::ffff:0:0/96, 64:ff9b::/96), unique and link-local.
_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
_NEVER_PUBLIC_V6 = tuple(
    ipaddress.IPv6Network(network)
    for network in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)


class DestinationRefused(MeetbotError):
    """The URL may not be used.

    Codes: ``url_malformed``, ``url_userinfo``, ``url_scheme``, ``url_port`` or ``destination_not_allowed``.
    """


@dataclass(frozen=True, slots=True)
class Destination:
    """A URL taken apart once, so that what was judged is what is dialled.

    ``host`` is ASCII, without brackets.
    """

    scheme: str
    host: str
    port: int
    target: bytes

    @property
    def literal(self) -> Address | None:
        """Return the address if the host is one, None if it is a name."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None


def check_destination(url: str, allow: Sequence[Network]) -> Destination:
    """Judge a URL by its text alone, without asking the DNS. Raises `DestinationRefused`.

    `allow` are the operator's networks: an address inside them may have any port and plain http. A name is resolved only at
    delivery, so if `allow` is not empty a name may have any scheme and port here, and is checked again then.
    """
    destination = parse_destination(url)
    literal = destination.literal
    if literal is not None:
        require_allowed(destination, (literal,), allow)
    elif not allow:
        _require_public_form(destination)
        if _is_local_name(destination.host):
            raise _not_allowed()
    return destination


def require_allowed(destination: Destination, addresses: Sequence[Address], allow: Sequence[Network]) -> None:
    """Judge the addresses a destination stands for: every one must be allowed.

    Raises `DestinationRefused`.
    """
    if not addresses:
        raise _not_allowed()
    for address in addresses:
        if any(address in network for network in allow):
            continue
        if not is_public(address):
            raise _not_allowed()
        _require_public_form(destination)


def is_public(address: Address) -> bool:
    """Return whether an address is global unicast, with no way around to an inner network."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not any(address in network for network in _NEVER_PUBLIC_V4)
    if address.scope_id is not None or address not in _PUBLIC_V6:
        return False
    return address.is_global and not any(address in network for network in _NEVER_PUBLIC_V6)


def parse_destination(url: str) -> Destination:
    """Take a URL apart, leniently in nothing. Raises `DestinationRefused`."""
    parsed = _parsed(url)
    if parsed.userinfo:
        raise DestinationRefused("url_userinfo", "a URL must not hold a user name or password")
    if parsed.scheme not in DEFAULT_PORTS:
        raise DestinationRefused("url_scheme", "the URL must begin with https://")
    host = parsed.raw_host.decode("ascii").lower()
    if not _is_host(host):
        raise _malformed()
    port = DEFAULT_PORTS[parsed.scheme] if parsed.port is None else parsed.port
    if not 0 < port < 65536:
        raise _malformed()
    return Destination(parsed.scheme, host, port, parsed.raw_path)


def _parsed(url: str) -> httpx.URL:
    if len(url) > MAX_URL_LENGTH or _FORBIDDEN_CHARACTERS.search(url):
        raise _malformed()
    try:
        return httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        raise _malformed() from None


def _is_host(host: str) -> bool:
    if ":" in host:
        return "%" not in host and _is_address(host)
    labels = host.removesuffix(".").split(".")
    if _NUMERIC_LABEL.fullmatch(labels[-1]):
        return _is_address(host)
    return len(host) <= 253 and all(_LABEL.fullmatch(label) for label in labels)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_local_name(host: str) -> bool:
    name = host.removesuffix(".")
    return "." not in name or any(name.endswith(f".{suffix}") for suffix in _LOCAL_SUFFIXES)


def _require_public_form(destination: Destination) -> None:
    if destination.scheme != "https":
        raise DestinationRefused("url_scheme", "the URL must begin with https://")
    if destination.port not in PUBLIC_PORTS:
        raise DestinationRefused("url_port", f"the port must be one of {', '.join(map(str, PUBLIC_PORTS))}")


def _malformed() -> DestinationRefused:
    return DestinationRefused("url_malformed", "this is not an absolute URL with a host")


def _not_allowed() -> DestinationRefused:
    return DestinationRefused("destination_not_allowed", "the URL leads to an address that is not public")
