"""Claims of an ID token that came straight from the token endpoint over TLS.

Such a token needs no signature check (OpenID Connect Core 1.0, 3.1.3.7, item 6). For whom it was issued, until when it
is valid, and which login it answers are still checked.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
import structlog

from meetbot.domain.event import Provider
from meetbot.errors import ReconnectRequired

Claims = Mapping[str, Any]

_LONGEST_TOKEN = 64 * 1024
_CLOCK_SKEW = timedelta(seconds=60)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class IdTokenCheck:
    """What the claims of an ID token must agree with: issuer, OAuth client and time."""

    provider: Provider
    client_id: str
    now: datetime
    is_issuer: Callable[[Claims], bool]


def read_id_token(token: object, check: IdTokenCheck, *, nonce: str | None) -> Claims:
    """Return the claims of an ID token after checking them.

    ``nonce`` is None on a refresh, which has none to check. Raises `ReconnectRequired` (``id_token_refused``), which
    names the checks that failed.
    """
    claims = _decode(token)
    if claims is None:
        raise _refused(check.provider, "unreadable")
    checks = {
        "aud": _is_for(claims, check.client_id),
        "exp": _is_unexpired(claims, check.now),
        "nonce": nonce is None or _equal(claims.get("nonce"), nonce),
        "iss": check.is_issuer(claims),
    }
    failed = [name for name, holds in checks.items() if not holds]
    if failed:
        raise _refused(check.provider, ", ".join(failed))
    return claims


def read_refreshed_id_token(token: object, check: IdTokenCheck) -> Claims:
    """Return the claims of a refresh's ID token; none if it is missing or fails a check.

    They only tell whether the account's address has changed. The account behind a refresh token cannot change, so a
    doubtful token disconnects nobody.
    """
    if token is None:
        return {}
    try:
        return read_id_token(token, check, nonce=None)
    except ReconnectRequired as refusal:
        _log.warning("id_token.ignored", provider=check.provider.value, code=refusal.code)
        return {}


def _refused(provider: Provider, why: str) -> ReconnectRequired:
    return ReconnectRequired(
        "id_token_refused", f"{provider}: the ID token does not hold: {why}", next_step="Start the connection again."
    )


def _decode(token: object) -> dict[str, Any] | None:
    if not isinstance(token, str) or len(token) > _LONGEST_TOKEN or not token.isascii():
        return None
    parts = token.split(".")
    if len(parts) != 3:
        return None
    payload = parts[1]
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (binascii.Error, ValueError):
        return None
    return claims if isinstance(claims, dict) else None


def _is_for(claims: Claims, client_id: str) -> bool:
    audience = claims.get("aud")
    if isinstance(audience, list):
        alone = len(audience) == 1
        return client_id in audience and (alone or claims.get("azp") == client_id)
    return bool(audience == client_id)


def _is_unexpired(claims: Claims, now: datetime) -> bool:
    expiry = claims.get("exp")
    if isinstance(expiry, bool) or not isinstance(expiry, int | float):
        return False
    return expiry > (now - _CLOCK_SKEW).timestamp()


def _equal(claim: object, expected: str) -> bool:
    return isinstance(claim, str) and hmac.compare_digest(claim.encode("utf-8", "replace"), expected.encode())
