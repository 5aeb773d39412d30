"""Reads the original address out of one that a mail gateway, a chat or a launcher page put in its place.

Nothing is fetched. Sources: Microsoft Defender "Safe Links", Proofpoint "URL Defense" (its published decoder describes
the three editions), and the vendors' own pages for the rest; `platforms.toml` lists the hosts.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from meetbot.links.platforms import GATEWAYS, Gateway
from meetbot.links.urls import Url, decoded, parse

# Gateways do stand in line (Trend Micro around Safe Links around Google); more than this is no mail's history.
_MAX_LAYERS = 6

_ENCODED_SCHEME = re.compile(r"(?i)[a-z]{4,8}%(?:25)*3a")
_END_OF_INNER = re.compile(r"[\x00-\x20<>]")
_PUNCTUATION = ".,;:!?'*"
_PROOFPOINT_3 = re.compile(r"/v3/__(.+?)__;([A-Za-z0-9_=-]*)!", re.DOTALL)
_PROOFPOINT_3_TOKEN = re.compile(r"\*\*[A-Za-z0-9_-]|\*")
_ONE_SLASH = re.compile(r"(?i)^(https?|msteams|zoommtg):/(?=[^/])")

# The letter after `**` says how many characters the run has: A is 2, B is 3, and so on.
_RUN_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_RUN_LENGTH = {letter: place + 2 for place, letter in enumerate(_RUN_LETTERS)}


class Lost(Enum):
    """Why an address leads to no other."""

    NOT_AN_ADDRESS = auto()
    OPAQUE = auto()
    NOT_LOOKED_UP = auto()


@dataclass(frozen=True, slots=True)
class _Rewritten:
    url: Url
    gateway: Gateway


def _always(_: str) -> bool:
    return True


def follow(text: str, may_read: Callable[[str], bool] = _always) -> Url | Lost:
    """The address that `text` finally stands for, through at most six gateways; `may_read` is asked before each."""
    for _ in range(_MAX_LAYERS):
        if not may_read(text):
            return Lost.NOT_LOOKED_UP
        url = parse(text)
        if url is None:
            return Lost.NOT_AN_ADDRESS
        gateway = _gateway(url)
        if gateway is None:
            return url
        original = _DECODERS[gateway.decode](_Rewritten(url, gateway))
        if not original:
            return Lost.OPAQUE
        text = _tidied(original)
    return Lost.OPAQUE


def _gateway(url: Url) -> Gateway | None:
    for gateway in GATEWAYS.of(url.host):
        if url.path.startswith(gateway.path) and (gateway.decode != "hash" or url.fragment.startswith("/")):
            return gateway
    return None


def _tidied(text: str) -> str:
    """The original as an address: decoded as often as it was escaped, without what a mail program glued to it."""
    for _ in range(3):
        if not _ENCODED_SCHEME.match(text):
            break
        text = decoded(text)
    text = _END_OF_INNER.split(text.strip(), maxsplit=1)[0]
    return text.rstrip(_PUNCTUATION if "(" in text else _PUNCTUATION + ")")


def _from_parameter(rewritten: _Rewritten) -> str:
    parameters = rewritten.url.parameters()
    for name in rewritten.gateway.names:
        if name in parameters:
            return _on_host(rewritten.url, decoded(parameters[name]))
    return ""


def _from_hash(rewritten: _Rewritten) -> str:
    return _on_host(rewritten.url, rewritten.url.fragment)


def _on_host(url: Url, original: str) -> str:
    """Launcher pages name the original by its path alone."""
    return f"https://{url.host}{original}" if original.startswith("/") and not original.startswith("//") else original


def _from_last_segment(rewritten: _Rewritten) -> str:
    return decoded(rewritten.url.path.rstrip("/").rpartition("/")[2])


def _from_base64(rewritten: _Rewritten) -> str:
    parameters = rewritten.url.parameters()
    values = [parameters[name] for name in rewritten.gateway.names if name in parameters]
    return _base64_text(decoded(values[0])) if values else ""


def _from_proofpoint_2(rewritten: _Rewritten) -> str:
    value = rewritten.url.parameters().get(rewritten.gateway.names[0], "")
    return decoded(value.replace("-", "%").replace("_", "/"))


def _from_proofpoint_3(rewritten: _Rewritten) -> str:
    url = rewritten.url
    whole = url.path + (f"?{url.query}" if url.query else "") + (f"#{url.fragment}" if url.fragment else "")
    found = _PROOFPOINT_3.match(whole)
    if not found:
        return ""
    return _ONE_SLASH.sub(r"\1://", _restored(found[1], _base64_text(found[2])))


def _restored(text: str, replaced: str) -> str:
    """Puts back the characters that `*` (one) and `**X` (a run) stand for, taking them from `replaced` in order."""
    place = 0

    def original(token: re.Match[str]) -> str:
        nonlocal place
        length = 1 if token[0] == "*" else _RUN_LENGTH[token[0][2]]
        piece = replaced[place : place + length]
        place += length
        return piece

    return _PROOFPOINT_3_TOKEN.sub(original, text)


def _nowhere(_: _Rewritten) -> str:
    return ""


def _base64_text(text: str) -> str:
    """Text from base64 in either alphabet, padded or not; empty where it is none."""
    plain = text.rstrip("=").replace("+", "-").replace("/", "_")
    try:
        return base64.urlsafe_b64decode(plain + "=" * (-len(plain) % 4)).decode("utf-8")
    except (binascii.Error, ValueError):
        return ""


_DECODERS: Mapping[str, Callable[[_Rewritten], str]] = {
    "parameter": _from_parameter,
    "hash": _from_hash,
    "last_segment": _from_last_segment,
    "base64": _from_base64,
    "proofpoint_2": _from_proofpoint_2,
    "proofpoint_3": _from_proofpoint_3,
    "opaque": _nowhere,
}
