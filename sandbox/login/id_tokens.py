"""ID tokens (OpenID Connect Core section 2), signed RS256 with a key made at each start."""

from __future__ import annotations

import functools
import hashlib
from datetime import datetime
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey

from sandbox.calendar.records import Account
from sandbox.login.grants import ACCESS_LIFETIME

GOOGLE_ISSUER = "https://accounts.google.com"


@functools.lru_cache(maxsize=1)
def _key() -> RSAKey:
    return RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)


def key_set() -> dict[str, Any]:
    """Return the public key as a JWK set (RFC 7517)."""
    return {"keys": [_key().as_dict(private=False)]}


def google_id_token(account: Account, client_id: str, scopes: list[str], nonce: str | None, now: datetime) -> str:
    """Return Google's ID token.

    Source: developers.google.com/identity/openid-connect/openid-connect#an-id-tokens-payload.
    """
    claims: dict[str, Any] = {"iss": GOOGLE_ISSUER, "azp": client_id, "sub": account.subject}
    if "email" in scopes or any(scope.endswith("/userinfo.email") for scope in scopes):
        claims |= {"email": account.email, "email_verified": True}
    if "profile" in scopes:
        claims |= {"name": account.name}
    return _signed(claims, client_id, nonce, now)


def microsoft_issuer(directory: str) -> str:
    """Return the `iss` claim of one Microsoft directory."""
    return f"https://login.microsoftonline.com/{directory}/v2.0"


def microsoft_id_token(account: Account, client_id: str, scopes: list[str], nonce: str | None, now: datetime) -> str:
    """Return Microsoft's ID token.

    `sub` is pairwise, so it differs from client to client; `oid` and `tid` are the same for all clients
    (learn.microsoft.com/entra/identity-platform/id-token-claims-reference).
    """
    pairwise = hashlib.sha256(f"{account.subject}|{client_id}".encode()).hexdigest()[:43]
    claims: dict[str, Any] = {
        "iss": microsoft_issuer(account.directory),
        "sub": pairwise,
        "tid": account.directory,
        "ver": "2.0",
    }
    if "profile" in scopes:
        claims |= {"oid": account.subject, "name": account.name, "preferred_username": account.email}
    if "email" in scopes:
        claims |= {"email": account.email}
    return _signed(claims, client_id, nonce, now)


def _signed(claims: dict[str, Any], audience: str, nonce: str | None, now: datetime) -> str:
    issued = int(now.timestamp())
    claims |= {"aud": audience, "iat": issued, "exp": issued + int(ACCESS_LIFETIME.total_seconds())}
    if nonce is not None:
        claims["nonce"] = nonce
    key = _key()
    return jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key)
