"""Decides whether an address is a join link, and puts it into the form a guest opens."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from meetbot.domain.event import Platform
from meetbot.links.platforms import PLATFORMS, Capture, LinkRule, Shape
from meetbot.links.urls import Url, decoded, decodings, in_ascii

# A parameter's value ends where something begins that cannot stand in one: text that was glued to the link.
_VALUE = re.compile(r"[\x21-\x7e]{1,4096}")
_ESCAPED_SECRET = re.compile(r"(?i)%(?:25)*26zak%")
_ESCAPED_SPACES = ("%20", "%09", "%0a", "%0d", "%c2%a0")
_AROUND_A_SEGMENT = " \t\r\n<>\"'"
_JSON_PARAMETER = "context"
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Room:
    """A place to meet. ``key`` is the same for every link to it; ``parameters`` counts what a guest needs and the link
    carries, and ``whole`` those that have the form which the platform itself gives them; ``is_full`` says that no other
    link to it can carry more; ``may_be_stated``, that an invitation may put the passcode in words."""

    platform: Platform
    url: str
    meeting_id: str
    passcode: str | None
    key: tuple[str, ...]
    parameters: int
    whole: int
    is_full: bool
    may_be_stated: bool


@dataclass(frozen=True, slots=True)
class _Found:
    """What a shape matched: the path to open, escaped, and the captured values, plain and as escaped."""

    path: str
    values: dict[str, str]
    escaped: dict[str, str]
    parameter: tuple[str, str] | None


def is_trusted(host: str) -> bool:
    """Whether the host belongs to a platform, whatever page of it an address names."""
    return bool(PLATFORMS.of(host))


def match(url: Url) -> Room | None:
    """The room behind `url`, or None where it is none: another host, another page, an unusual port."""
    rules = PLATFORMS.of(url.host)
    if not rules or not url.has_usual_port():
        return None
    scheme = "https" if url.scheme == "http" else url.scheme
    segments = url.segments()
    words = [decoded(segment).lower() for segment in segments]
    parameters = url.parameters()
    for rule in rules:
        if scheme in rule.schemes and not (words and words[0] in rule.not_ids):
            for shape in rule.shapes.get(len(segments), ()):
                found = _match_shape(shape, segments, words, parameters)
                if found:
                    return _room(rule, url.host, _in_lower_case(found) if rule.lower_case else found, parameters)
    return None


def _match_shape(
    shape: Shape, segments: Sequence[str], words: Sequence[str], parameters: Mapping[str, str]
) -> _Found | None:
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
        return _Found(path or "/", values, escaped, None)
    name, capture = shape.parameter
    if not _capture(capture, parameters.get(name, ""), values, escaped):
        return None
    return _Found(path or "/", values, escaped, (shape.parameter_name, escaped[capture.name]))


def _capture(capture: Capture, text: str, values: dict[str, str], escaped: dict[str, str]) -> bool:
    for written, plain in decodings(text):
        value = plain.strip(_AROUND_A_SEGMENT)
        if capture.kind.fullmatch(value):
            values[capture.name] = value
            escaped[capture.name] = in_ascii(value if value != plain else written)
            return True
    return False


def _in_lower_case(found: _Found) -> _Found:
    return _Found(
        found.path.lower(),
        {name: value.lower() for name, value in found.values.items()},
        {name: value.lower() for name, value in found.escaped.items()},
        found.parameter,
    )


def _room(rule: LinkRule, host: str, found: _Found, parameters: Mapping[str, str]) -> Room:
    kept = _kept(rule, parameters)
    meeting_id = _meeting_id(rule, found, kept)
    query = "&".join(f"{name}={value}" for name, value in _query(rule, found, kept, parameters))
    path = _filled(rule.join, found.escaped) if rule.join else found.path
    return Room(
        platform=rule.platform,
        url=f"https://{host}{path}" + (f"?{query}" if query else ""),
        meeting_id=meeting_id,
        passcode=found.values.get("passcode")
        or (decoded(kept[rule.passcode]) if rule.passcode and rule.passcode in kept else None),
        key=_key(rule, host, found, meeting_id),
        parameters=len(kept) + ("passcode" in found.values),
        whole=sum(form.fullmatch(kept.get(name, "")) is not None for name, form in rule.whole.items()),
        is_full=rule.full is None or rule.full in kept or rule.full in found.values,
        may_be_stated=rule.stated,
    )


def _query(
    rule: LinkRule, found: _Found, kept: Mapping[str, str], parameters: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """The parameters of the link to open, in the order in which they were found."""
    needed = found.parameter if found.parameter and not rule.join else None
    for name in parameters:
        if name in kept:
            yield rule.keep[name], kept[name]
        elif needed and name == needed[0].lower():
            yield needed


def _kept(rule: LinkRule, parameters: Mapping[str, str]) -> dict[str, str]:
    """What a guest needs of the parameters, escaped."""
    kept: dict[str, str] = {}
    for name in rule.keep:
        value = parameters.get(name, "")
        usable = _usable_json(value) if name == _JSON_PARAMETER else _usable(value)
        if usable:
            kept[name] = usable
    return kept


def _usable(value: str) -> str:
    found = _VALUE.match(value)
    return in_ascii(_without_spaces_at_the_end(_ESCAPED_SECRET.split(found[0], 1)[0])) if found else ""


def _without_spaces_at_the_end(value: str) -> str:
    lower, end = value.lower(), len(value)
    while space := next((space for space in _ESCAPED_SPACES if lower.endswith(space, 0, end)), ""):
        end -= len(space)
    return value[:end]


def _usable_json(value: str) -> str:
    """Teams' `context` is an object; one that was cut off or escaped once too often is mended or dropped."""
    for written, plain in decodings(value, rounds=3):
        if plain.startswith("{") and plain.endswith("}"):
            return in_ascii(written)
    return ""


def _meeting_id(rule: LinkRule, found: _Found, kept: Mapping[str, str]) -> str:
    if rule.id_from and rule.id_from in kept:
        return kept[rule.id_from]
    return found.values.get("id") or _filled(rule.id_template, found.values)


def _filled(template: str, values: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda place: values.get(place[1], ""), template)


def _key(rule: LinkRule, host: str, found: _Found, meeting_id: str) -> tuple[str, ...]:
    """A Teams channel holds many meetings under one thread: the message that opened it tells them apart."""
    return rule.platform, rule.realm or host, meeting_id, found.values.get("message", "0")
