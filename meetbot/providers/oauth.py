"""The OAuth 2.0 half of both providers: PKCE, consent page, exchange and refresh.

What differs between the two is data: `OAuthEndpoint`. Sources: RFC 6749, RFC 7636, RFC 9700;
developers.google.com/identity/protocols/oauth2; learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import httpx
from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from meetbot.domain.event import Provider
from meetbot.providers.base import OAuthClient, TokenGrant
from meetbot.providers.id_token import Claims, IdTokenCheck, read_id_token, read_refreshed_id_token
from meetbot.providers.token_endpoint import TOKEN_SECONDS, TokenAnswer, request_token


class Account(NamedTuple):
    """The account that an ID token names, as far as it does.

    ``subject`` is the provider's lasting id of the account, never its address, which can change.
    """

    subject: str | None
    email: str | None
    directory_id: str | None = None
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OAuthEndpoint:
    """Everything in which one provider's OAuth differs from the other's.

    ``consent_parameters`` are added to the address of the consent page, ``token_parameters`` to the form of every
    token request. ``is_issuer`` tells whether the claims of an ID token name the right issuer.
    """

    provider: Provider
    authorize_url: str
    token_url: str
    scopes: tuple[str, ...]
    is_issuer: Callable[[Claims], bool]
    account: Callable[[Claims], Account]
    consent_parameters: Mapping[str, str] = field(default_factory=dict)
    token_parameters: Mapping[str, str] = field(default_factory=dict)


def new_code_verifier() -> str:
    """Return a fresh PKCE verifier: 256 random bits in 43 characters (RFC 7636 4.1)."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode("ascii").rstrip("=")


def code_challenge_s256(verifier: str) -> str:
    """Return the S256 challenge for a verifier (RFC 7636 4.2)."""
    return str(create_s256_code_challenge(verifier))


def url_with_query(base: str, query: Mapping[str, str]) -> str:
    """Return the address with these parameters added to the ones it has."""
    return str(add_params_to_uri(base, list(query.items())))


class OAuthProvider:
    """The OAuth methods of `CalendarProvider`. Safe to use from many threads."""

    def __init__(self, endpoint: OAuthEndpoint, http: httpx.Client, now: Callable[[], datetime]) -> None:
        self._endpoint = endpoint
        self._http = http
        self._now = now

    def authorization_url(
        self,
        client: OAuthClient,
        *,
        redirect_uri: str,
        state: str,
        code_challenge: str,
        nonce: str,
        login_hint: str | None,
    ) -> str:
        """Return the address of the consent page. See `CalendarProvider.authorization_url`."""
        endpoint = self._endpoint_for(client)
        query = {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(endpoint.scopes),
            **endpoint.consent_parameters,
            "state": state,
            "nonce": nonce,
            "code_challenge": code_challenge,
            "code_challenge_method": "S256",
        }
        if login_hint:
            query["login_hint"] = login_hint
        return url_with_query(endpoint.authorize_url, query)

    def exchange_code(
        self, client: OAuthClient, *, code: str, code_verifier: str, redirect_uri: str, nonce: str
    ) -> TokenGrant:
        """Exchange an authorization code for tokens. See `CalendarProvider.exchange_code`."""
        now = self._now()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": code_verifier,
            "redirect_uri": redirect_uri,
        }
        answer = self._request_token(client, now, form, TOKEN_SECONDS)
        claims = read_id_token(answer.id_token, self._check(client, now), nonce=nonce)
        return self._grant(answer, claims, asked=frozenset(self._endpoint.scopes))

    def refresh(self, client: OAuthClient, refresh_token: str, *, timeout_seconds: float = TOKEN_SECONDS) -> TokenGrant:
        """Return a new access token. See `CalendarProvider.refresh`."""
        now = self._now()
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        answer = self._request_token(client, now, form, timeout_seconds)
        claims = read_refreshed_id_token(answer.id_token, self._check(client, now))
        return self._grant(answer, claims, asked=frozenset())

    def _endpoint_for(self, client: OAuthClient) -> OAuthEndpoint:
        """The endpoint that knows this client: one for all, unless the provider says otherwise."""
        return self._endpoint

    def _check(self, client: OAuthClient, now: datetime) -> IdTokenCheck:
        return IdTokenCheck(self._endpoint.provider, client.client_id, now, self._endpoint.is_issuer)

    def _request_token(
        self, client: OAuthClient, now: datetime, form: Mapping[str, str], timeout_seconds: float
    ) -> TokenAnswer:
        credentials = {"client_id": client.client_id, "client_secret": client.client_secret}
        return request_token(
            self._http,
            self._endpoint_for(client).token_url,
            {**credentials, **self._endpoint.token_parameters, **form},
            provider=self._endpoint.provider,
            now=now,
            timeout_seconds=timeout_seconds,
        )

    def _grant(self, answer: TokenAnswer, claims: Claims, *, asked: frozenset[str]) -> TokenGrant:
        account = self._endpoint.account(claims)
        return TokenGrant(
            access_token=answer.access_token,
            expires_at=answer.expires_at,
            refresh_token=answer.refresh_token,
            scopes=answer.granted(asked),
            subject=account.subject,
            email=account.email,
            directory_id=account.directory_id,
            aliases=account.aliases,
        )
