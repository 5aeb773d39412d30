"""Read the original address out of one that a mail gateway or launcher page rewrote.

Nothing is fetched. Sources: Microsoft Defender "Safe Links", Proofpoint "URL Defense" (its published decoder describes
the three editions), and the vendors' own pages for the rest; `platforms.toml` lists the hosts.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import quote

from meetbot.links.platforms import GATEWAYS, Gateway
from meetbot.links.urls import Url, decoded, parse_url

# One gateway does wrap another (Trend Micro around Safe Links around Google), but no real mail passes through more.
_MAX_LAYERS = 6

_ENCODED_SCHEME = re.compile(r"(?i)[a-z]{4,8}%(?:25)*3a")
_END_OF_INNER = re.compile(r"[\x00-\x20<>]")
_PUNCTUATION = ".,;:!?'*"
_PROOFPOINT_3 = re.compile(r"/v3/__(.+?)__;([A-Za-z0-9_=-]*)!", re.DOTALL)
_PROOFPOINT_3_TOKEN = re.compile(r"\*\*[A-Za-z0-9_-]|\*")
_ONE_SLASH = re.compile(r"(?i)^(https?|msteams|zoommtg):/(?=[^/])")

_THREAD = re.compile(r"19:[A-Za-z0-9_:.+=-]{1,200}@[a-z0-9.]{1,40}")
_GUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_ESCAPE = re.compile(r"%[0-9A-F]{2}")

# The letter after `**` is the length of a run of replaced characters: A is 2, B is 3, and so on.
_RUN_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_RUN_LENGTH = {letter: place + 2 for place, letter in enumerate(_RUN_LETTERS)}


class NoTarget(Enum):
    """Why it is not known which address a text leads to.

    NOT_AN_ADDRESS: it is none, or one that two programs could read differently. OPAQUE: only its gateway knows.
    NOT_LOOKED_UP: too many others were looked up before.
    """

    NOT_AN_ADDRESS = auto()
    OPAQUE = auto()
    NOT_LOOKED_UP = auto()


@dataclass(frozen=True, slots=True)
class _WrappedUrl:
    """An address of a gateway."""

    url: Url
    gateway: Gateway


def _always(_: str) -> bool:
    return True


def unwrap(text: str, may_read: Callable[[str], bool] = _always) -> Url | NoTarget:
    """Return the address that a text finally leads to, or why it is not known.

    At most six gateways are undone, one inside the other.

    `may_read` is asked before each address is taken apart; once it says no, the answer is `NOT_LOOKED_UP`.
    """
    for _ in range(_MAX_LAYERS):
        if not may_read(text):
            return NoTarget.NOT_LOOKED_UP
        url = parse_url(text)
        if url is None:
            return NoTarget.NOT_AN_ADDRESS
        gateway = _gateway(url)
        if gateway is None:
            return url
        original = _DECODERS[gateway.decode](_WrappedUrl(url, gateway))
        if not original:
            return NoTarget.OPAQUE
        text = _tidied(original)
    return NoTarget.OPAQUE


def _gateway(url: Url) -> Gateway | None:
    for gateway in GATEWAYS.for_host(url.host):
        if url.path.startswith(gateway.path) and (gateway.decode != "hash" or url.fragment.startswith("/")):
            return gateway
    return None


def _tidied(text: str) -> str:
    """Return the original address, fully decoded, without text or punctuation behind it."""
    for _ in range(3):
        if not _ENCODED_SCHEME.match(text):
            break
        text = decoded(text)
    text = _END_OF_INNER.split(text.strip(), maxsplit=1)[0]
    return text.rstrip(_PUNCTUATION if "(" in text else _PUNCTUATION + ")")


def _from_parameter(wrapped: _WrappedUrl) -> str:
    parameters = wrapped.url.parameters()
    for name in wrapped.gateway.names:
        if name in parameters:
            return _on_host(wrapped.url, decoded(parameters[name]))
    return ""


def _from_hash(wrapped: _WrappedUrl) -> str:
    return _on_host(wrapped.url, wrapped.url.fragment)


def _on_host(url: Url, original: str) -> str:
    """Return the original with its host.

    The host is the launcher page's own if the original is only a path.
    """
    return f"https://{url.host}{original}" if original.startswith("/") and not original.startswith("//") else original


def _from_last_segment(wrapped: _WrappedUrl) -> str:
    return decoded(wrapped.url.path.rstrip("/").rpartition("/")[2])


def _from_base64(wrapped: _WrappedUrl) -> str:
    parameters = wrapped.url.parameters()
    values = [parameters[name] for name in wrapped.gateway.names if name in parameters]
    return _base64_text(decoded(values[0])) if values else ""


def _from_proofpoint_2(wrapped: _WrappedUrl) -> str:
    value = wrapped.url.parameters().get(wrapped.gateway.names[0], "")
    return decoded(value.replace("-", "%").replace("_", "/"))


def _from_proofpoint_3(wrapped: _WrappedUrl) -> str:
    url = wrapped.url
    whole = url.path + (f"?{url.query}" if url.query else "") + (f"#{url.fragment}" if url.fragment else "")
    found = _PROOFPOINT_3.match(whole)
    if not found:
        return ""
    return _ONE_SLASH.sub(r"\1://", _restored(found[1], _base64_text(found[2])))


def _restored(text: str, replaced: str) -> str:
    """Return the text with the characters that the placeholders stand for.

    The placeholders `*` (one character) and `**X` (a run) take from `replaced` in order.
    """
    place = 0

    def original(token: re.Match[str]) -> str:
        nonlocal place
        length = 1 if token[0] == "*" else _RUN_LENGTH[token[0][2]]
        piece = replaced[place : place + length]
        place += length
        return piece

    return _PROOFPOINT_3_TOKEN.sub(original, text)


def _from_teams_coords(wrapped: _WrappedUrl) -> str:
    """Return the usual link of a Teams meeting whose coordinates the address holds."""
    try:
        coordinates = json.loads(_from_base64(wrapped))
    except ValueError:
        return ""
    if not isinstance(coordinates, dict):
        return ""
    thread, message, tenant, organizer = (
        value if isinstance(value := coordinates.get(name), str) else ""
        for name in ("conversationId", "messageId", "tenantId", "organizerId")
    )
    if not _THREAD.fullmatch(thread):
        return ""
    link = f"https://{wrapped.url.host}/l/meetup-join/{_escaped(thread)}/{message if message.isdecimal() else 0}"
    if not (_GUID.fullmatch(tenant) and _GUID.fullmatch(organizer)):
        return link
    context = json.dumps({"Tid": tenant, "Oid": organizer}, separators=(",", ":"))
    return f"{link}?context={_escaped(context)}"


def _escaped(text: str) -> str:
    """Return the text escaped as Teams itself writes its links."""
    return _ESCAPE.sub(lambda escape: escape[0].lower(), quote(text, safe=""))


def _unreadable(_: _WrappedUrl) -> str:
    return ""


def _base64_text(text: str) -> str:
    """The text of base64 in either alphabet, padded or not; empty if it is none."""
    plain = text.rstrip("=").replace("+", "-").replace("/", "_")
    try:
        return base64.urlsafe_b64decode(plain + "=" * (-len(plain) % 4)).decode("utf-8")
    except (binascii.Error, ValueError):
        return ""


_DECODERS: Mapping[str, Callable[[_WrappedUrl], str]] = {
    "parameter": _from_parameter,
    "hash": _from_hash,
    "last_segment": _from_last_segment,
    "base64": _from_base64,
    "teams_coords": _from_teams_coords,
    "proofpoint_2": _from_proofpoint_2,
    "proofpoint_3": _from_proofpoint_3,
    "opaque": _unreadable,
}
