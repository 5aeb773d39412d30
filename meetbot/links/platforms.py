"""Reads `platforms.toml`, the table of platforms and gateways, into the form that matching works on.

The table is part of the package: a fault in it is ours, and stops the import with the reason.
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
    """A place in a shape that takes any value of a kind."""

    name: str
    kind: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Shape:
    """One form of a join link: its path, segment by segment, and the parameter it needs (name in lower case)."""

    segments: tuple[str | Capture, ...]
    parameter: tuple[str, Capture] | None
    parameter_name: str


@dataclass(frozen=True, slots=True)
class LinkRule:
    """One `[[platform.link]]` together with its platform.

    ``shapes`` are by their number of segments; ``keep`` maps lower-case parameter names to their usual spelling, and
    ``whole`` to the form that the platform itself gives their values.
    """

    platform: Platform
    realm: str | None
    schemes: frozenset[str]
    shapes: Mapping[int, tuple[Shape, ...]]
    keep: Mapping[str, str]
    whole: Mapping[str, re.Pattern[str]]
    passcode: str | None
    full: str | None
    id_template: str
    id_from: str | None
    join: str | None
    stated: bool
    lower_case: bool
    not_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Gateway:
    """One `[[gateway]]`: how to read the original address out of a rewritten one."""

    path: str
    decode: str
    names: tuple[str, ...]
    hint: str | None


@dataclass(frozen=True, slots=True)
class HostMap(Generic[T]):
    """Finds what is known of a host: by its exact name, or by a name it stands under, on a dot boundary only."""

    exact: Mapping[str, tuple[T, ...]]
    under: Mapping[str, tuple[T, ...]]
    excluded: frozenset[str]

    def of(self, host: str) -> tuple[T, ...]:
        if host in self.excluded:
            return ()
        found = self.exact.get(host, ())
        name = host
        while name:
            found += self.under.get(name, ())
            name = name.partition(".")[2]
        return found

    def names(self) -> Iterator[str]:
        yield from self.exact
        yield from self.under

    def items(self) -> Iterator[tuple[str, tuple[T, ...]]]:
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
    """Platforms are part of the public contract, so a row alone does not make a new one."""
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
        whole={name.lower(): kinds[kind] for name, kind in link.get("whole", {}).items()},
        passcode=passcode,
        full=_lower(link.get("full")) or passcode,
        id_template=link.get("id", ""),
        id_from=_lower(link.get("id_from")),
        join=link.get("join"),
        stated=link.get("stated", False),
        lower_case=link.get("lower_case", False),
        not_ids=frozenset(link.get("not_ids", [])),
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


def _gateway_map(table: Mapping[str, Any]) -> HostMap[Gateway]:
    return _host_map(
        [
            (row["hosts"], Gateway(row.get("path", ""), row["decode"], tuple(row.get("names", ())), row.get("hint")))
            for row in table["gateway"]
        ]
    )


_TABLE = _read()

PLATFORMS: HostMap[LinkRule] = _platform_map(_TABLE)
GATEWAYS: HostMap[Gateway] = _gateway_map(_TABLE)
APP_HOSTS: Mapping[str, str] = _TABLE["app_hosts"]
APP_SCHEMES: frozenset[str] = frozenset(
    scheme for _, rules in PLATFORMS.items() for rule in rules for scheme in rule.schemes
) - {"https"}
