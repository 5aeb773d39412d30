"""What the token endpoints of both providers answer, and an exchange of a code at each."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import orjson

from meetbot.providers.base import TokenGrant
from meetbot.providers.google.adapter import EVENTS_SCOPE
from tests.unit.providers.scripted import (
    GOOGLE_CLIENT,
    MICROSOFT_CLIENT,
    NOW,
    Script,
    google,
    microsoft,
    reply,
)

REDIRECT = "https://app.example/v1/calendar/callback/google"
GOOGLE_TOKEN = "/token"
GOOGLE_REVOKE = "/revoke"
MICROSOFT_TOKEN = "/common/oauth2/v2.0/token"
DIRECTORY = "11111111-2222-3333-4444-555555555555"


def encoded(claims: object) -> str:
    payload = base64.urlsafe_b64encode(orjson.dumps(claims)).decode().rstrip("=")
    return f"e30.{payload}.signature"


def google_claims(**changes: Any) -> dict[str, Any]:
    return {
        "iss": "https://accounts.google.com",
        "aud": "google-client",
        "sub": "1234567890",
        "email": "ann@acme.example",
        "nonce": "the-nonce",
        "exp": NOW.timestamp() + 3600,
        **changes,
    }


def microsoft_claims(**changes: Any) -> dict[str, Any]:
    return {
        "iss": f"https://login.microsoftonline.com/{DIRECTORY}/v2.0",
        "aud": "microsoft-client",
        "sub": "pairwise",
        "oid": "object-1",
        "tid": DIRECTORY,
        "preferred_username": "ann@acme.example",
        "nonce": "the-nonce",
        "exp": NOW.timestamp() + 3600,
        **changes,
    }


def tokens(**changes: Any) -> httpx.Response:
    body = {
        "access_token": "access",
        "expires_in": 3599,
        "refresh_token": "refresh",
        "scope": f"openid {EVENTS_SCOPE}",
        "token_type": "Bearer",
        **changes,
    }
    return reply({name: value for name, value in body.items() if value is not None})


def exchange_google(script: Script) -> TokenGrant:
    return google(script).exchange_code(
        GOOGLE_CLIENT, code="the-code", code_verifier="the-verifier", redirect_uri=REDIRECT, nonce="the-nonce"
    )


def exchange_microsoft(script: Script) -> TokenGrant:
    return microsoft(script).exchange_code(
        MICROSOFT_CLIENT, code="the-code", code_verifier="the-verifier", redirect_uri=REDIRECT, nonce="the-nonce"
    )
