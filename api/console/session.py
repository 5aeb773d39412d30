"""Who is signed in to the console: a cookie, and a row that says what it stands for.

A browser exchanges an API key for a session of twelve hours. The key is stored sealed with the cookie's secret, which we do not
keep, so that neither the database nor the cookie alone gives it. Every page uses the key anew: what is revoked is over at once.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi import Request
from starlette.responses import Response

from api.auth import authenticate_key
from api.dependencies import ApiServices
from meetbot.domain.ids import new_id
from meetbot.storage.console_sessions import add_session, find_session, remove_session
from meetbot.storage.tables import ConsoleSession

COOKIE = "meetbot_console"
CSRF_FIELD = "csrf"
LIFE = timedelta(hours=12)
_PATH = "/console"
_NONCE_BYTES = 12
_LONGEST_COOKIE = 256


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session. ``api_key`` never leaves this process."""

    tenant_id: str
    id: str
    key_id: str
    is_read_only: bool
    csrf_token: str = field(repr=False)
    api_key: str = field(repr=False)


def sign_in(request: Request, services: ApiServices, api_key: str, *, is_read_only: bool) -> str:
    """Store a session for this key, and return the cookie's value.

    Raises the problem ``unauthorized`` for a key that does not work.
    """
    caller = authenticate_key(request, services, api_key)
    session_id, secret = new_id("ses"), secrets.token_urlsafe(32)
    now = services.clock()
    row = ConsoleSession(
        tenant_id=caller.tenant_id,
        id=session_id,
        key_id=caller.key_id,
        secret_hash=_digest(secret),
        sealed_key=_seal(api_key, secret, session_id),
        is_read_only=is_read_only,
        created_at=now,
        expires_at=now + LIFE,
    )
    with services.database.transaction(caller.tenant_id) as session:
        add_session(session, row)
    return f"{caller.tenant_id}.{session_id}.{secret}"


def signed_in(request: Request, services: ApiServices) -> SignedIn | None:
    """Return the session that the request's cookie stands for."""
    tenant_id, session_id, secret = _parts(request)
    if not secret:
        return None
    with services.database.transaction(tenant_id) as session:
        row = find_session(session, tenant_id, session_id)
        if row is None or row.expires_at <= services.clock():
            return None
        if not hmac.compare_digest(_digest(secret), row.secret_hash):
            return None
        api_key = _open(row.sealed_key, secret, session_id)
        if api_key is None:
            return None
        return SignedIn(tenant_id, session_id, row.key_id, row.is_read_only, _csrf_token(secret), api_key)


def sign_out(request: Request, services: ApiServices) -> None:
    """Remove the session of the request's cookie."""
    tenant_id, session_id, secret = _parts(request)
    if secret and signed_in(request, services) is not None:
        with services.database.transaction(tenant_id) as session:
            remove_session(session, tenant_id, session_id)


def set_cookie(response: Response, value: str, services: ApiServices) -> None:
    """Give the browser its cookie; an empty value takes it away."""
    response.set_cookie(
        COOKIE,
        value,
        max_age=int(LIFE.total_seconds()) if value else 0,
        path=_PATH,
        secure=services.settings.public_url.startswith("https://"),
        httponly=True,
        samesite="lax",
    )


def is_from_here(request: Request) -> bool:
    """Return whether a form was sent by one of our own pages, as far as the browser tells."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host", "")


def has_csrf_token(session: SignedIn, given: str) -> bool:
    """Return whether a form carries the token of its session, compared in constant time."""
    return hmac.compare_digest(session.csrf_token.encode(), given.encode())


def _parts(request: Request) -> tuple[str, str, str]:
    cookie = request.cookies.get(COOKIE, "")
    parts = cookie.split(".")
    if len(parts) != 3 or len(cookie) > _LONGEST_COOKIE or not cookie.isascii():
        return "", "", ""
    return parts[0], parts[1], parts[2]


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _csrf_token(secret: str) -> str:
    return hmac.new(secret.encode(), b"form of the console", "sha256").hexdigest()


def _cipher(secret: str) -> AESGCM:
    return AESGCM(hmac.digest(secret.encode(), b"key of a console session", "sha256"))


def _seal(api_key: str, secret: str, session_id: str) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + _cipher(secret).encrypt(nonce, api_key.encode(), session_id.encode())


def _open(sealed: bytes, secret: str, session_id: str) -> str | None:
    try:
        opened = _cipher(secret).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], session_id.encode())
    except (InvalidTag, ValueError):
        return None
    return opened.decode()
