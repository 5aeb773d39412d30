"""Consents, authorization codes and tokens, for both logins.

A grant belongs to one account and one client, and is revoked as a whole.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sandbox.calendar.records import Account
from sandbox.login.authorization_requests import AuthorizationRequest
from sandbox.login.records import (
    AccessToken,
    AuthorizationCode,
    Grant,
    GrantEnd,
    RefreshToken,
    RegisteredClient,
)
from sandbox.state import State

CODE_LIFETIME = timedelta(minutes=5)
ACCESS_LIFETIME = timedelta(seconds=3600)
# Google's limit of refresh tokens per account and client. One more, and the oldest stops working without a warning
# (developers.google.com/identity/protocols/oauth2#expiration).
MAX_REFRESH_TOKENS = 100
# How long a grant to a client in testing lives, if it is for more than name and address (the same page).
TESTING_LIFETIME = timedelta(days=7)
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)


class Refusal(StrEnum):
    """Why a token endpoint refuses a code or a token; each provider has its own words for it."""

    CODE_UNKNOWN = "code_unknown"
    CODE_USED = "code_used"
    CODE_EXPIRED = "code_expired"
    WRONG_CLIENT = "wrong_client"
    WRONG_REDIRECT = "wrong_redirect"
    VERIFIER_MISSING = "verifier_missing"
    VERIFIER_WRONG = "verifier_wrong"
    GRANT_GONE = "grant_gone"
    CONSENT_TAKEN_BACK = "consent_taken_back"
    KEPT_OUT = "kept_out"
    SESSIONS_REVOKED = "sessions_revoked"


_ENDED = {
    GrantEnd.USER: Refusal.CONSENT_TAKEN_BACK,
    GrantEnd.ADMINISTRATOR: Refusal.KEPT_OUT,
    GrantEnd.PASSWORD_RESET: Refusal.SESSIONS_REVOKED,
}


class TokenRefusedError(Exception):
    """A code or a refresh token that cannot be used."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class RedeemedCode:
    """What a code was exchanged for. ``offline``: a refresh token goes with it."""

    grant: Grant
    scopes: list[str]
    nonce: str | None
    offline: bool


def find_grant(state: State, account: Account, client_id: str) -> Grant | None:
    """Return the account's grant to this client, or None if there is none that stands."""
    for grant in state.grants.values():
        if grant.account == account.email and grant.client_id == client_id and grant.ended_by is None:
            return grant
    return None


def record_consent(
    state: State, now: datetime, account: Account, request: AuthorizationRequest, scopes: Iterable[str], offline: bool
) -> str:
    """Record a consent and return a new authorization code for it.

    Scopes add up over several consents. ``offline``: the code also gives a refresh token.
    """
    granted = list(dict.fromkeys(scopes))
    grant = find_grant(state, account, request.client_id)
    if grant is None:
        grant = Grant(id=f"grant_{secrets.token_hex(8)}", account=account.email, client_id=request.client_id, scopes=[])
        state.grants[grant.id] = grant
    grant.scopes = list(dict.fromkeys([*grant.scopes, *granted]))
    grant.by_directory = False
    grant.consented_at = now
    code = f"4/0A{secrets.token_urlsafe(48)}"
    state.codes[code] = AuthorizationCode(
        grant=grant.id,
        client_id=request.client_id,
        redirect_uri=request.redirect_uri,
        scopes=granted,
        challenge=request.challenge,
        nonce=request.nonce,
        offline=offline,
        expires_at=now + CODE_LIFETIME,
    )
    return code


def redeem_code(
    state: State, now: datetime, code: str, client_id: str, redirect_uri: str, verifier: str | None
) -> RedeemedCode:
    """Exchange an authorization code, once. Raises `TokenRefusedError`.

    A failed attempt by the right client, such as with a wrong PKCE verifier, uses the code up too.
    """
    record = state.codes.get(code)
    if record is None:
        raise TokenRefusedError(Refusal.CODE_UNKNOWN)
    if record.client_id != client_id:
        raise TokenRefusedError(Refusal.WRONG_CLIENT)
    if record.used:
        raise TokenRefusedError(Refusal.CODE_USED)
    record.used = True
    if record.expires_at <= now:
        raise TokenRefusedError(Refusal.CODE_EXPIRED)
    if record.redirect_uri != redirect_uri:
        raise TokenRefusedError(Refusal.WRONG_REDIRECT)
    _check_verifier(record.challenge, verifier)
    grant = state.grants.get(record.grant)
    if grant is None:
        raise TokenRefusedError(Refusal.GRANT_GONE)
    return RedeemedCode(grant, record.scopes, record.nonce, record.offline)


def issue_access_token(state: State, now: datetime, grant: Grant, scopes: list[str], prefix: str) -> str:
    """Return a new access token that lives for an hour; ``prefix`` is the provider's."""
    token = prefix + secrets.token_urlsafe(48)
    state.access_tokens[token] = AccessToken(grant=grant.id, scopes=scopes, expires_at=now + ACCESS_LIFETIME)
    return token


def issue_refresh_token(state: State, now: datetime, grant: Grant, scopes: list[str], prefix: str) -> str:
    """Return a new refresh token; drop the grant's oldest one if there are more than a hundred."""
    token = prefix + secrets.token_urlsafe(48)
    state.refresh_tokens[token] = RefreshToken(grant=grant.id, scopes=scopes, issued_at=now)
    of_grant = [key for key, record in state.refresh_tokens.items() if record.grant == grant.id]
    for oldest in of_grant[:-MAX_REFRESH_TOKENS]:
        del state.refresh_tokens[oldest]
    return token


def redeem_refresh_token(state: State, token: str, client_id: str) -> tuple[Grant, RefreshToken]:
    """Return what a refresh token stands for. Raises `TokenRefusedError`."""
    record = state.refresh_tokens.get(token)
    grant = state.grants.get(record.grant) if record else None
    if record is None or grant is None:
        raise TokenRefusedError(Refusal.GRANT_GONE)
    if grant.client_id != client_id:
        raise TokenRefusedError(Refusal.WRONG_CLIENT)
    if grant.ended_by is not None:
        raise TokenRefusedError(_ENDED[grant.ended_by])
    return grant, record


def rest_on_directory(state: State, account: Account, client_id: str) -> None:
    """Have an account's grant end with the approval of its directory: the user was not asked."""
    grant = find_grant(state, account, client_id)
    if grant is not None:
        grant.by_directory = True


def end_testing_grants(state: State, now: datetime, client: RegisteredClient) -> None:
    """End the refresh tokens of a client in testing whose consent is a week old."""
    old = {
        grant.id
        for grant in state.grants.values()
        if grant.client_id == client.client_id and _is_over(grant.consented_at, now)
    }
    for key in [key for key, record in state.refresh_tokens.items() if record.grant in old]:
        del state.refresh_tokens[key]


def _is_over(consented_at: datetime | None, now: datetime) -> bool:
    return consented_at is not None and now >= consented_at + TESTING_LIFETIME


def end_grant(state: State, grant: Grant, by: GrantEnd, *, with_access_tokens: bool) -> None:
    """End a grant: its refresh tokens are refused from now on.

    Its access tokens are too, or only when they expire.
    """
    grant.ended_by = by
    if with_access_tokens:
        for key in [key for key, record in state.access_tokens.items() if record.grant == grant.id]:
            del state.access_tokens[key]


def revoke_grant(state: State, grant_id: str) -> None:
    """Delete a grant with all its codes and tokens."""
    state.grants.pop(grant_id, None)
    for records in (state.codes, state.access_tokens, state.refresh_tokens):
        for key in [key for key, record in records.items() if record.grant == grant_id]:
            del records[key]


def _check_verifier(challenge: str | None, verifier: str | None) -> None:
    if challenge is None:
        return
    if not verifier:
        raise TokenRefusedError(Refusal.VERIFIER_MISSING)
    digest = hashlib.sha256(verifier.encode()).digest()
    made = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    if not _VERIFIER.fullmatch(verifier) or not secrets.compare_digest(made, challenge):
        raise TokenRefusedError(Refusal.VERIFIER_WRONG)
