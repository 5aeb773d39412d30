"""The fields of a provider's event in which a meeting link may stand, in the order in which they are believed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from itertools import islice
from typing import Any

from meetbot.domain.event import Provider

# Google lists a telephone number for each of many countries beside the one video entry point.
_MAX_ENTRIES = 250
_MAX_PLACES = 10
_MAX_SHORT = 4_000
_MAX_LONG = 8_000_000
_MAX_PASSCODE = 128

# The names Google's EntryPoint has for what a guest types in; `meetingCode` says which meeting, not how to get in.
_PASSCODE_NAMES = ("passcode", "password", "pin", "accessCode")


class Form(Enum):
    ADDRESS = auto()
    TEXT = auto()
    HTML = auto()


@dataclass(frozen=True, slots=True)
class Field:
    """One place to look: `source` is the provider's name for it, `passcode` what the provider states beside the link."""

    source: str
    text: str
    form: Form
    passcode: str | None = None


def fields(provider: Provider, raw: Mapping[str, Any]) -> Iterator[Field]:
    """The fields of a Google Calendar v3 or Microsoft Graph v1.0 event resource; what is of another type is no field."""
    return _google(raw) if provider == Provider.GOOGLE else _microsoft(raw)


def _google(raw: Mapping[str, Any]) -> Iterator[Field]:
    entries = _entries(_mapping(raw.get("conferenceData")).get("entryPoints"))
    for entry in islice((entry for entry in entries if entry.get("entryPointType") == "video"), _MAX_PLACES):
        yield from _short("conferenceData", entry.get("uri"), Form.ADDRESS, _passcode(entry))
    yield from _short("hangoutLink", raw.get("hangoutLink"), Form.ADDRESS)
    yield from _short("location", raw.get("location"))
    yield from _long("description", raw.get("description"), Form.TEXT)
    yield from _short("summary", raw.get("summary"))


def _microsoft(raw: Mapping[str, Any]) -> Iterator[Field]:
    yield from _short("onlineMeeting.joinUrl", _mapping(raw.get("onlineMeeting")).get("joinUrl"), Form.ADDRESS)
    yield from _short("onlineMeetingUrl", raw.get("onlineMeetingUrl"), Form.ADDRESS)
    yield from _location("location", raw.get("location"))
    for location in islice(_entries(raw.get("locations")), _MAX_PLACES):
        yield from _location("locations", location)
    body = _mapping(raw.get("body"))
    is_html = str(body.get("contentType")).lower() == "html"
    yield from _long("body", body.get("content"), Form.HTML if is_html else Form.TEXT)
    yield from _short("subject", raw.get("subject"))


def _location(source: str, location: Any) -> Iterator[Field]:
    yield from _short(source, _mapping(location).get("displayName"))
    yield from _short(source, _mapping(location).get("locationUri"), Form.ADDRESS)


def _short(source: str, value: Any, form: Form = Form.TEXT, passcode: str | None = None) -> Iterator[Field]:
    if isinstance(value, str) and value:
        yield Field(source, _whole_words(value, _MAX_SHORT), form, passcode)


def _long(source: str, value: Any, form: Form) -> Iterator[Field]:
    if isinstance(value, str) and value:
        yield Field(source, _whole_words(value, _MAX_LONG), form)


def _whole_words(text: str, size: int) -> str:
    """The beginning of a text that is too long. A word that was cut could be the link of another meeting."""
    if len(text) <= size:
        return text
    beginning = text[: size + 1].rsplit(maxsplit=1)
    return beginning[0] if len(beginning) > 1 else ""


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _entries(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list | tuple):
        yield from (entry for entry in islice(value, _MAX_ENTRIES) if isinstance(entry, Mapping))


def _passcode(entry: Mapping[str, Any]) -> str | None:
    values = (entry.get(name) for name in _PASSCODE_NAMES)
    return next((value.strip() for value in values if isinstance(value, str) and _is_passcode(value.strip())), None)


def _is_passcode(value: str) -> bool:
    return 0 < len(value) <= _MAX_PASSCODE and value.isprintable()
