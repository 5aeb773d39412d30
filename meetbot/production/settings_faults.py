"""Which values of settings are unsafe in production, each with what to do about it. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

SHORTEST_SECRET = 16
_ENCRYPTED_MODES = frozenset({"require", "verify-ca", "verify-full"})
_OPPORTUNISTIC_MODES = frozenset({"", "prefer"})
_NARROWEST_PREFIX_REFUSED = {4: 15, 6: 47}
# Clouds serve a machine's own credentials from these.
_LINK_LOCAL: tuple[Network, ...] = (ipaddress.ip_network("169.254.0.0/16"), ipaddress.ip_network("fe80::/10"))
# IPv6 networks that stand for IPv4 ones: their prefix says nothing about how many of those they let through.
_CARRIES_IPV4: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text) for text in ("::/96", "::ffff:0:0/96", "64:ff9b::/96", "2002::/16")
)


def plain_addresses(addresses: Mapping[str, str | None]) -> Iterator[str]:
    """Yield a fault for each address that secrets would reach without TLS.

    ``addresses`` has them by the name of their variable.
    """
    for name, address in addresses.items():
        if address and urlsplit(address).scheme.lower() != "https":
            yield f"{name} must be https in production, because secrets are sent there"


def short_secrets(secrets: Mapping[str, str | None]) -> Iterator[str]:
    """Yield a fault for each secret, by its variable's name, that can be guessed."""
    for name, secret in secrets.items():
        if secret and len(secret) < SHORTEST_SECRET:
            yield f"{name} must have {SHORTEST_SECRET} characters or more in production; `openssl rand -hex 32` makes one"


def unencrypted_database(database_url: str | None) -> Iterator[str]:
    """Yield a fault if libpq would send the password and everything else in clear.

    Without ``sslmode`` libpq prefers TLS and goes on without it, which is no protection. On this host (a Unix socket or a
    loopback address) it may be left out; ``disable`` and ``allow`` are taken nowhere but on a socket.
    """
    if not database_url:
        return
    try:
        parameters = conninfo_to_dict(_libpq_url(database_url))
    except psycopg.ProgrammingError:
        yield "DATABASE_URL must be an address such as postgresql://meetbot:…@db.example.com/meetbot?sslmode=verify-full"
        return
    hosts = _hosts(parameters)
    mode = str(parameters.get("sslmode") or "")
    if mode in _ENCRYPTED_MODES or (hosts and all(host.startswith("/") for host in hosts)):
        return
    if mode in _OPPORTUNISTIC_MODES and hosts and all(_is_on_this_host(host) for host in hosts):
        return
    yield "DATABASE_URL must say sslmode=verify-full (or verify-ca, or require) in production"


def _libpq_url(database_url: str) -> str:
    """Return the URL without the name of SQLAlchemy's driver, which libpq does not know."""
    scheme, separator, rest = database_url.partition("://")
    return f"postgresql://{rest}" if separator and scheme.startswith("postgres") else database_url


def _hosts(parameters: Mapping[str, object]) -> list[str]:
    named = [str(parameters[name]).split(",") for name in ("host", "hostaddr") if parameters.get(name)]
    return [host for hosts in named for host in hosts]


def _is_on_this_host(host: str) -> bool:
    if host == "localhost" or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def wide_networks(networks: Sequence[Network]) -> Iterator[str]:
    """Yield a fault for each allowed network that is too wide.

    Customers' webhooks would reach too much of ours through it.
    """
    for network in networks:
        reason = _too_wide(network)
        if reason is not None:
            yield f"MEETBOT_OUTBOUND_ALLOW_CIDRS: {network} {reason}; name the networks that receive webhooks"


def _too_wide(network: Network) -> str | None:
    if network.prefixlen <= _NARROWEST_PREFIX_REFUSED[network.version]:
        return f"is wider than /{_NARROWEST_PREFIX_REFUSED[network.version] + 1}"
    if any(_overlap(network, other) for other in _LINK_LOCAL):
        return "holds link-local addresses, where clouds serve credentials"
    # ::1 is the loopback address and no form of an IPv4 address, though it lies among them.
    if network != ipaddress.ip_network("::1/128") and any(_overlap(network, other) for other in _CARRIES_IPV4):
        return "stands for IPv4 addresses; write it as an IPv4 network"
    return None


def _overlap(network: Network, other: Network) -> bool:
    return network.version == other.version and network.overlaps(other)
