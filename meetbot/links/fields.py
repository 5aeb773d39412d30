"""The fields of a provider's event that may hold a meeting link, the most reliable first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from itertools import islice
from typing import Any

from meetbot.domain.event import Provider

# Beside the one video entry point Google lists a telephone number for each of many countries.
_MAX_ENTRIES = 250
_MAX_PLACES = 10
_MAX_SHORT = 4_000
_MAX_LONG = 8_000_000
_MAX_PASSCODE = 128

# The names in Google's EntryPoint for what a guest types in. `meetingCode` is not among them: it names the meeting.
_PASSCODE_NAMES = ("passcode", "password", "pin", "accessCode")


class FieldKind(Enum):
    """What a field holds: an address alone, plain text, or HTML."""

    ADDRESS = auto()
    TEXT = auto()
    HTML = auto()


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its name at the provider, its text, and the passcode stated beside it."""

    source: str
    text: str
    kind: FieldKind
    passcode: str | None = None


def link_fields(provider: Provider, raw: Mapping[str, Any]) -> Iterator[Field]:
    """Yield the fields of a Google Calendar v3 or Microsoft Graph v1.0 event resource.

    Missing fields and those of a wrong type are left out.
    """
    return _google(raw) if provider == Provider.GOOGLE else _microsoft(raw)


def _google(raw: Mapping[str, Any]) -> Iterator[Field]:
    entries = _entries(_mapping(raw.get("conferenceData")).get("entryPoints"))
    for entry in islice((entry for entry in entries if entry.get("entryPointType") == "video"), _MAX_PLACES):
        yield from _short("conferenceData", entry.get("uri"), FieldKind.ADDRESS, _passcode(entry))
    yield from _short("hangoutLink", raw.get("hangoutLink"), FieldKind.ADDRESS)
    yield from _short("location", raw.get("location"))
    yield from _long("description", raw.get("description"), FieldKind.TEXT)
    yield from _short("summary", raw.get("summary"))


def _microsoft(raw: Mapping[str, Any]) -> Iterator[Field]:
    yield from _short("onlineMeeting.joinUrl", _mapping(raw.get("onlineMeeting")).get("joinUrl"), FieldKind.ADDRESS)
    yield from _short("onlineMeetingUrl", raw.get("onlineMeetingUrl"), FieldKind.ADDRESS)
    yield from _location("location", raw.get("location"))
    for location in islice(_entries(raw.get("locations")), _MAX_PLACES):
        yield from _location("locations", location)
    body = _mapping(raw.get("body"))
    is_html = str(body.get("contentType")).lower() == "html"
    yield from _long("body", body.get("content"), FieldKind.HTML if is_html else FieldKind.TEXT)
    yield from _short("subject", raw.get("subject"))


def _location(source: str, location: Any) -> Iterator[Field]:
    yield from _short(source, _mapping(location).get("displayName"))
    yield from _short(source, _mapping(location).get("locationUri"), FieldKind.ADDRESS)


def _short(source: str, value: Any, kind: FieldKind = FieldKind.TEXT, passcode: str | None = None) -> Iterator[Field]:
    if isinstance(value, str) and value:
        yield Field(source, _whole_words(value, _MAX_SHORT), kind, passcode)


def _long(source: str, value: Any, kind: FieldKind) -> Iterator[Field]:
    if isinstance(value, str) and value:
        yield Field(source, _whole_words(value, _MAX_LONG), kind)


def _whole_words(text: str, size: int) -> str:
    """The beginning of a text that is too long, without the word that the cut goes through.

    Half a word could be the link of another meeting.
    """
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
