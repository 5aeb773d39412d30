"""Admission before a key is looked up: an address that keeps failing must wait.

In this process alone, and bounded: it protects the processor and the database from one sender, and counts nobody's use. The
address is uvicorn's, which takes a proxy's word for it only if FORWARDED_ALLOW_IPS names that proxy.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
import re
import time
from collections.abc import Callable

from cachetools import LRUCache, TTLCache
from starlette.datastructures import Headers
from starlette.types import Scope

from api.problems import Problem
from meetbot.tenants.api_keys import public_id_in

_ADDRESSES = 10_000
_GOOD_KEYS = 10_000
_GOOD_SECONDS = 300.0
_API_PATH = re.compile(r"/(?:api/)?v1/.*", re.DOTALL)
_REPORT_PATH = re.compile(r"/(?:api/)?v1/backends/.*", re.DOTALL)
# Google's has its secret in a header and no body, Microsoft's in its body.
_NOTIFICATION_PATH = re.compile(r"/(?:api/)?v1/notifications/.*", re.DOTALL)
_SIGNATURE = re.compile(r"sha256=[0-9a-fA-F]{64}")
_BEARER = re.compile(r"bearer +(\S+)", re.IGNORECASE)


class FailureBuckets:
    """A token bucket per address, from which only failed requests take a token.

    Behind a proxy that is not trusted, everybody has one address; a key that was good lately is let through even so.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: LRUCache[str, tuple[float, float]] = LRUCache(_ADDRESSES)
        self._good_keys: TTLCache[bytes, None] = TTLCache(_GOOD_KEYS, _GOOD_SECONDS, timer=clock)

    def refuse_exhausted(self, scope: Scope, *, per_minute: int) -> None:
        """Raise the problem 429 if this address has failed too often.

        A key that was good lately is let through.
        """
        if not per_minute or _key_digest(scope) in self._good_keys:
            return
        held = self._held(_network(scope), per_minute)
        if held < 1:
            wait = max(1, math.ceil((1 - held) * 60 / per_minute))
            raise Problem(
                429,
                "too_many_failures",
                "too many requests without a good key came from this address",
                headers={"Retry-After": str(wait), "Connection": "close"},
            )

    def note(self, scope: Scope, status: int, *, per_minute: int) -> None:
        """Take a token for a failed request; remember the key of one that was let in."""
        if not per_minute:
            return
        if scope.get("state", {}).get("key_id") is not None:
            self._good_keys[_key_digest(scope)] = None
        elif status in (400, 401, 404, 408, 413, 415, 422):
            network = _network(scope)
            self._buckets[network] = (max(0.0, self._held(network, per_minute) - 1), self._clock())

    def forget(self) -> None:
        """Forgive every address, and forget which keys were good."""
        self._buckets.clear()
        self._good_keys.clear()

    def _held(self, network: str, per_minute: int) -> float:
        tokens, filled_at = self._buckets.get(network, (float(per_minute), self._clock()))
        return min(float(per_minute), tokens + (self._clock() - filled_at) * per_minute / 60)


def is_api_path(scope: Scope) -> bool:
    """Return whether a request is for the API, and not for a page, a file or a probe."""
    return _API_PATH.fullmatch(scope["path"]) is not None


def refuse_without_credentials(scope: Scope) -> None:
    """Raise the problem 401 for a body without a possible key or signature.

    Asks no database: a text with the form of a key goes on, and is looked up by its route.
    """
    headers = Headers(scope=scope)
    if _NOTIFICATION_PATH.fullmatch(scope["path"]):
        return
    if _REPORT_PATH.fullmatch(scope["path"]):
        if not _SIGNATURE.fullmatch(headers.get("x-meetbot-signature", "")):
            raise Problem(401, "invalid_signature", "the signature does not fit the body", headers=_CLOSE)
        return
    match = _BEARER.fullmatch(headers.get("authorization", ""))
    if match is None or public_id_in(match.group(1)) is None:
        raise unauthorized(_CLOSE)


# The body is not read, so the connection cannot serve another request.
_CLOSE = {"Connection": "close"}


def unauthorized(headers: dict[str, str] | None = None) -> Problem:
    """Return the 401 of a request without a good key, the same whatever is wrong with it."""
    return Problem(
        401,
        "unauthorized",
        "send a good API key as Authorization: Bearer",
        headers={"WWW-Authenticate": 'Bearer realm="meetbot"', **(headers or {})},
    )


def _key_digest(scope: Scope) -> bytes:
    return hashlib.sha256(Headers(scope=scope).get("authorization", "").encode("utf-8", "replace")).digest()


def _network(scope: Scope) -> str:
    """Return the sender's address; of an IPv6 address the /64, all of which one sender has."""
    host = scope["client"][0] if scope.get("client") else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return str(host)[:64]
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else str(address)
