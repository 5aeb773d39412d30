"""Requests to a token endpoint (RFC 6749 sections 4.1.3 and 6)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from urllib.parse import unquote_plus

from fastapi import Request


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """The form of a token request; what is missing is empty or None.

    Its `repr` shows no secret.
    """

    grant_type: str
    client_id: str
    client_secret: str
    code: str
    redirect_uri: str
    code_verifier: str | None
    refresh_token: str
    scope: str | None

    def __repr__(self) -> str:
        return f"TokenRequest(grant_type={self.grant_type!r})"


async def read_token_request(http: Request) -> TokenRequest:
    """Read the form, with client credentials from it or from HTTP Basic.

    Source: RFC 6749 section 2.3.1.
    """
    form = await http.form(max_files=0, max_fields=50)
    values = {name: value for name, value in form.items() if isinstance(value, str)}
    basic_id, basic_secret = _basic(http.headers.get("authorization", ""))
    return TokenRequest(
        grant_type=values.get("grant_type", ""),
        client_id=values.get("client_id") or basic_id,
        client_secret=values.get("client_secret") or basic_secret,
        code=values.get("code", ""),
        redirect_uri=values.get("redirect_uri", ""),
        code_verifier=values.get("code_verifier"),
        refresh_token=values.get("refresh_token", ""),
        scope=values.get("scope"),
    )


def _basic(header: str) -> tuple[str, str]:
    kind, _, value = header.partition(" ")
    if kind.lower() != "basic":
        return "", ""
    try:
        name, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return unquote_plus(name), unquote_plus(secret)
