"""Decide whether an address is a join link of a trusted host, as a guest opens it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from meetbot.domain.event import Platform
from meetbot.links.platforms import PLATFORMS, Capture, LinkRule, Shape
from meetbot.links.urls import Url, decoded, decodings, to_ascii

# A parameter's value ends at the first character that cannot stand in one: from there on it is text behind the link.
_VALUE = re.compile(r"[\x21-\x7e]{1,4096}")
# Zoom's secret for hosts, in a link whose ampersands are escaped.
_ESCAPED_SECRET = re.compile(r"(?i)%(?:25)*26zak%")
_ESCAPED_SPACES = ("%20", "%09", "%0a", "%0d", "%c2%a0")
_AROUND_A_SEGMENT = " \t\r\n<>\"'"
_JSON_PARAMETER = "context"
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class JoinLink:
    """A link to a meeting, as a guest opens it.

    ``key`` is the same for all links to one meeting. ``parameter_count`` is how many of the parameters that a guest
    needs the link has, ``well_formed_count`` how many of these have the form that the platform gives them.
    ``is_complete``: no other link to the meeting can have more. ``passcode_in_text``: the invitation may state the
    passcode in words.
    """

    platform: Platform
    url: str
    meeting_id: str
    passcode: str | None
    key: tuple[str, ...]
    parameter_count: int
    well_formed_count: int
    is_complete: bool
    passcode_in_text: bool


@dataclass(frozen=True, slots=True)
class _Match:
    """A match of a shape: the escaped path to open, and the values, plain and escaped."""

    path: str
    values: dict[str, str]
    escaped: dict[str, str]
    parameter: tuple[str, str] | None


def is_trusted_host(host: str) -> bool:
    """Return whether `platforms.toml` lists the host: by exact name, or as under a listed one.

    No other function decides that. Trust in the host alone does not make an address a join link: `match_join_link` also
    asks for a known path.
    """
    return bool(PLATFORMS.for_host(host))


def match_join_link(url: Url) -> JoinLink | None:
    """Return the join link that an address is, or None if it is none.

    It is none if the host is not trusted, if its path is that of another page, or if the port is unusual.
    """
    if not is_trusted_host(url.host) or not url.has_usual_port():
        return None
    scheme = "https" if url.scheme == "http" else url.scheme
    segments = url.segments()
    words = [decoded(segment).lower() for segment in segments]
    written = url.parameters()
    for rule in PLATFORMS.for_host(url.host):
        if scheme in rule.schemes and not (words and words[0] in rule.reserved):
            parameters = _without_glue(rule, written)
            for shape in rule.shapes.get(len(segments), ()):
                found = _match_shape(shape, segments, words, parameters)
                if found:
                    return _join_link(rule, url.host, _in_lower_case(found) if rule.lower_case else found, parameters)
    return None


def _without_glue(rule: LinkRule, parameters: Mapping[str, str]) -> Mapping[str, str]:
    """Return the parameters, each of a known form cut where that form ends."""
    whole: dict[str, str] = {}
    for name, kind in rule.value_kinds.items():
        value = parameters.get(name, "")
        form = kind.match(value) if value and not kind.fullmatch(value) else None
        if form:
            whole[name] = form[0]
    return {**parameters, **whole} if whole else parameters


def _match_shape(
    shape: Shape, segments: Sequence[str], words: Sequence[str], parameters: Mapping[str, str]
) -> _Match | None:
    values: dict[str, str] = {}
    escaped: dict[str, str] = {}
    path = ""
    for expected, segment, word in zip(shape.segments, segments, words, strict=True):
        if isinstance(expected, str):
            if word != expected:
                return None
            path += "/" + expected
        elif not _capture(expected, segment, values, escaped):
            return None
        else:
            path += "/" + escaped[expected.name]
    if shape.parameter is None:
        return _Match(path or "/", values, escaped, None)
    name, capture = shape.parameter
    if not _capture(capture, parameters.get(name, ""), values, escaped):
        return None
    return _Match(path or "/", values, escaped, (shape.parameter_name, escaped[capture.name]))


def _capture(capture: Capture, text: str, values: dict[str, str], escaped: dict[str, str]) -> bool:
    for written, plain in decodings(text):
        value = plain.strip(_AROUND_A_SEGMENT)
        if capture.kind.fullmatch(value):
            values[capture.name] = value
            escaped[capture.name] = to_ascii(value if value != plain else written)
            return True
    return False


def _in_lower_case(found: _Match) -> _Match:
    return _Match(
        found.path.lower(),
        {name: value.lower() for name, value in found.values.items()},
        {name: value.lower() for name, value in found.escaped.items()},
        found.parameter,
    )


def _join_link(rule: LinkRule, host: str, found: _Match, parameters: Mapping[str, str]) -> JoinLink:
    kept = _kept(rule, parameters)
    meeting_id = _meeting_id(rule, found, kept)
    query = "&".join(f"{name}={value}" for name, value in _query(rule, found, kept, parameters))
    path = _filled(rule.join_path, found.escaped) if rule.join_path else found.path
    return JoinLink(
        platform=rule.platform,
        url=f"https://{host}{path}" + (f"?{query}" if query else ""),
        meeting_id=meeting_id,
        passcode=found.values.get("passcode")
        or (decoded(kept[rule.passcode]) if rule.passcode and rule.passcode in kept else None),
        key=_key(rule, host, found, meeting_id),
        parameter_count=len(kept) + ("passcode" in found.values),
        well_formed_count=sum(
            kind.fullmatch(kept.get(name, "")) is not None for name, kind in rule.value_kinds.items()
        ),
        is_complete=_is_complete(rule, found, kept),
        passcode_in_text=rule.passcode_in_text,
    )


def _is_complete(rule: LinkRule, found: _Match, kept: Mapping[str, str]) -> bool:
    """Return whether no other link to the meeting can have more.

    One whose value has a broken form may give way.
    """
    name = rule.complete_with
    if name is None or name in found.values:
        return True
    kind = rule.value_kinds.get(name)
    return name in kept and (kind is None or kind.fullmatch(kept[name]) is not None)


def _query(
    rule: LinkRule, found: _Match, kept: Mapping[str, str], parameters: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """The parameters of the link to open, in the order in which they stood."""
    needed = found.parameter if found.parameter and not rule.join_path else None
    for name in parameters:
        if name in kept:
            yield rule.keep[name], kept[name]
        elif needed and name == needed[0].lower():
            yield needed


def _kept(rule: LinkRule, parameters: Mapping[str, str]) -> dict[str, str]:
    """The parameters that a guest needs, escaped."""
    kept: dict[str, str] = {}
    for name in rule.keep:
        value = parameters.get(name, "")
        usable = _usable_json(value) if name == _JSON_PARAMETER else _usable(value)
        if usable:
            kept[name] = usable
    return kept


def _usable(value: str) -> str:
    found = _VALUE.match(value)
    return to_ascii(_without_spaces_at_the_end(_ESCAPED_SECRET.split(found[0], 1)[0])) if found else ""


def _without_spaces_at_the_end(value: str) -> str:
    lower, end = value.lower(), len(value)
    while space := next((space for space in _ESCAPED_SPACES if lower.endswith(space, 0, end)), ""):
        end -= len(space)
    return value[:end]


def _usable_json(value: str) -> str:
    """Return Teams' `context`, a JSON object: mended if escaped twice, dropped if cut off."""
    for written, plain in decodings(value, rounds=3):
        if plain.startswith("{") and plain.endswith("}"):
            return to_ascii(written)
    return ""


def _meeting_id(rule: LinkRule, found: _Match, kept: Mapping[str, str]) -> str:
    if rule.id_from and rule.id_from in kept:
        return kept[rule.id_from]
    return found.values.get("id") or _filled(rule.id_template, found.values)


def _filled(template: str, values: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda place: values.get(place[1], ""), template)


def _key(rule: LinkRule, host: str, found: _Match, meeting_id: str) -> tuple[str, ...]:
    """The key of the meeting.

    A Teams channel has many meetings in one thread, told apart by their first message.
    """
    return rule.platform, rule.realm or host, meeting_id, found.values.get("message", "0")
