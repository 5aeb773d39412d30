"""The table of trusted platforms and known gateways, read from `platforms.toml`.

The table is part of the package, so a mistake in it stops the import and says why.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Generic, TypeVar

from meetbot.domain.event import Platform

_PLACEHOLDER = re.compile(r"\{(\w+):(\w+)\}")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Capture:
    """A part of a shape that stands for any value of a kind."""

    name: str
    kind: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Shape:
    """One form of a join link: the segments of its path, and the parameter it needs, if any.

    ``parameter`` has the name in lower case, ``parameter_name`` is its usual spelling.
    """

    segments: tuple[str | Capture, ...]
    parameter: tuple[str, Capture] | None
    parameter_name: str


@dataclass(frozen=True, slots=True)
class LinkRule:
    """One `[[platform.link]]` of the table together with its platform.

    ``shapes`` are by their number of segments. ``keep`` maps the parameters' names in lower case to their usual
    spelling, ``value_kinds`` maps them to the form that the platform gives their values.
    """

    platform: Platform
    realm: str | None
    schemes: frozenset[str]
    shapes: Mapping[int, tuple[Shape, ...]]
    keep: Mapping[str, str]
    value_kinds: Mapping[str, re.Pattern[str]]
    passcode: str | None
    complete_with: str | None
    id_template: str
    id_from: str | None
    join_path: str | None
    passcode_in_text: bool
    lower_case: bool
    reserved: frozenset[str]


@dataclass(frozen=True, slots=True)
class Gateway:
    """One `[[gateway]]` of the table: how to read the original address out of a rewritten one."""

    path: str
    decode: str
    names: tuple[str, ...]
    host_hint: str | None


@dataclass(frozen=True, slots=True)
class HostMap(Generic[T]):
    """Values by host: for an exact name, or for a name and all hosts under it.

    A host is under another only on a dot boundary: acme.zoom.us is under zoom.us, evilzoom.us is not.
    """

    exact: Mapping[str, tuple[T, ...]]
    under: Mapping[str, tuple[T, ...]]
    excluded: frozenset[str]

    def for_host(self, host: str) -> tuple[T, ...]:
        """Return the values that hold for a host, which is in lower case; none for an unknown host."""
        if host in self.excluded:
            return ()
        found = self.exact.get(host, ())
        name = host
        while name:
            found += self.under.get(name, ())
            name = name.partition(".")[2]
        return found

    def names(self) -> Iterator[str]:
        """Yield the names of all hosts in the table."""
        yield from self.exact
        yield from self.under

    def items(self) -> Iterator[tuple[str, tuple[T, ...]]]:
        """Yield the name of each host in the table with its values."""
        yield from self.exact.items()
        yield from self.under.items()


def _host_map(rows: Sequence[tuple[Sequence[str], T]], excluded: Sequence[str] = ()) -> HostMap[T]:
    exact: dict[str, tuple[T, ...]] = {}
    under: dict[str, tuple[T, ...]] = {}
    for hosts, value in rows:
        for host in hosts:
            side, name = (under, host[2:]) if host.startswith("*.") else (exact, host)
            side[name] = (*side.get(name, ()), value)
    return HostMap(exact, under, frozenset(excluded))


def _segment(text: str, kinds: Mapping[str, re.Pattern[str]]) -> str | Capture:
    placeholder = _PLACEHOLDER.fullmatch(text)
    return Capture(placeholder[1], kinds[placeholder[2]]) if placeholder else text.lower()


def _shape(text: str, kinds: Mapping[str, re.Pattern[str]]) -> Shape:
    path, _, query = text.partition("?")
    segments = tuple(_segment(part, kinds) for part in path.split("/") if part)
    if not query:
        return Shape(segments, None, "")
    name, _, value = query.partition("=")
    capture = _segment(value, kinds)
    if isinstance(capture, str):
        raise ValueError(f"a parameter in a shape needs a kind: {text}")
    return Shape(segments, (name.lower(), capture), name)


def _by_length(shapes: Sequence[Shape]) -> dict[int, tuple[Shape, ...]]:
    lengths = {len(shape.segments) for shape in shapes}
    return {length: tuple(shape for shape in shapes if len(shape.segments) == length) for length in lengths}


def _lower(name: str | None) -> str | None:
    return name.lower() if name else None


def platform_named(name: str) -> Platform:
    """Return the platform of that name, which must be a member of `Platform`.

    Platforms are part of the public contract, so a row in the table alone makes no new one. Raises ValueError.
    """
    try:
        return Platform(name)
    except ValueError:
        raise ValueError(
            f"platforms.toml: {name!r} is not a platform yet: add it to Platform in meetbot/domain/event.py"
        ) from None


def _link_rule(platform: Mapping[str, Any], link: Mapping[str, Any], kinds: Mapping[str, re.Pattern[str]]) -> LinkRule:
    passcode = _lower(link.get("passcode"))
    return LinkRule(
        platform=platform_named(platform["name"]),
        realm=platform.get("realm"),
        schemes=frozenset(link.get("schemes", ["https"])),
        shapes=_by_length([_shape(path, kinds) for path in link["paths"]]),
        keep={name.lower(): name for name in link.get("keep", [])},
        value_kinds={name.lower(): kinds[kind] for name, kind in link.get("value_kinds", {}).items()},
        passcode=passcode,
        complete_with=_lower(link.get("complete_with")) or passcode,
        id_template=link.get("id_template", ""),
        id_from=_lower(link.get("id_from")),
        join_path=link.get("join_path"),
        passcode_in_text=link.get("passcode_in_text", False),
        lower_case=link.get("lower_case", False),
        reserved=frozenset(link.get("reserved", [])),
    )


def _read() -> dict[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath("platforms.toml").read_text(encoding="utf-8"))


def _platform_map(table: Mapping[str, Any]) -> HostMap[LinkRule]:
    kinds = {name: re.compile(pattern) for name, pattern in table["kinds"].items()}
    rows = [
        (platform["hosts"], _link_rule(platform, link, kinds))
        for platform in table["platform"]
        for link in platform["link"]
    ]
    return _host_map(rows, [host for platform in table["platform"] for host in platform.get("not_hosts", [])])


def _gateway(row: Mapping[str, Any]) -> Gateway:
    return Gateway(row.get("path", ""), row["decode"], tuple(row.get("names", ())), row.get("host_hint"))


def _gateway_map(table: Mapping[str, Any]) -> HostMap[Gateway]:
    return _host_map([(row["hosts"], _gateway(row)) for row in table["gateway"]])


_TABLE = _read()

PLATFORMS: HostMap[LinkRule] = _platform_map(_TABLE)
GATEWAYS: HostMap[Gateway] = _gateway_map(_TABLE)
APP_HOSTS: Mapping[str, str] = _TABLE["app_hosts"]
APP_HOST_PARAMETERS: Mapping[str, str] = _TABLE["app_host_parameters"]
WATCHED_HOSTS: Mapping[str, str] = {
    host + suffix: host
    for host in _TABLE["watched_sessions"]["hosts"]
    for suffix in _TABLE["watched_sessions"]["suffixes"]
}
APP_SCHEMES: frozenset[str] = frozenset(
    scheme for _, rules in PLATFORMS.items() for rule in rules for scheme in rule.schemes
) - {"https"}
