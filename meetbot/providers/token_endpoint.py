"""Requests to an OAuth 2.0 token endpoint: what it answers, and what its refusals mean.

Sources: RFC 6749; developers.google.com/identity/protocols/oauth2;
learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx

from meetbot.domain.event import Provider
from meetbot.errors import OperatorRequired, ProviderError, ReconnectRequired, RetryLater
from meetbot.providers.errors import error_detail, safe_code
from meetbot.providers.http import Answer, Deadline, error_object, json_object, requested_wait, send
from meetbot.providers.sign_in_codes import SignInClass, sign_in_class, wants_other_redirect

TOKEN_SECONDS = 20.0
_TOKEN_ANSWER_LIMIT = 1024 * 1024
_LONGEST_TOKEN = 32 * 1024
_ASSUMED_LIFETIME = timedelta(minutes=5)  # RFC 6749 4.2.2: expires_in is only recommended
_LONGEST_LIFETIME = timedelta(days=1)

_RECONNECT_ERRORS = frozenset(
    {
        "access_denied",
        "admin_policy_enforced",
        "consent_required",
        "interaction_required",
        "invalid_grant",
        "login_required",
    }
)
_OPERATOR_ERRORS = frozenset(
    {
        "deleted_client",
        "disabled_client",
        "invalid_client",
        "invalid_request",
        "invalid_resource",
        "invalid_scope",
        "org_internal",
        "redirect_uri_mismatch",
        "unauthorized_client",
        "unsupported_grant_type",
        "unsupported_response_type",
    }
)
CLIENT_REFUSALS = frozenset({"deleted_client", "disabled_client", "invalid_client", "unauthorized_client"})
"""What a token endpoint answers if it knows no such client, or the client's secret is not its own."""

_ASK_ADMIN = "Ask the directory's administrator to approve this application, then connect again."
_ASK_DIRECTORY = (
    "Ask the administrator of the account's directory to install or enable this application. If every directory answers so, "
    "check the client id."
)
_CHECK_CLIENT = "Check the OAuth client: its id, secret and expiry, redirect address, scopes."
# Entra stops a client that asks the same again and again, and goes on stopping it as long as it asks.
_LOOP_WAIT = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """A successful token answer, checked.

    ``scopes`` is None if the answer names none, which means that all were granted as asked (RFC 6749 5.1).
    ``id_token`` is as it was sent, of any type.
    """

    access_token: str
    expires_at: datetime
    refresh_token: str | None
    scopes: frozenset[str] | None
    id_token: object

    def granted(self, asked: frozenset[str]) -> frozenset[str]:
        """Return the granted scopes, given those that were asked for."""
        return asked if self.scopes is None else self.scopes

    def __repr__(self) -> str:
        return f"TokenAnswer(expires_at={self.expires_at.isoformat()})"


def request_token(
    http: httpx.Client,
    url: str,
    form: Mapping[str, str],
    *,
    provider: Provider,
    now: datetime,
    timeout_seconds: float = TOKEN_SECONDS,
) -> TokenAnswer:
    """Ask a token endpoint for tokens.

    `now` is taken before the request, so that ``expires_at`` is never too late. Raises `ReconnectRequired`,
    `OperatorRequired` or `RetryLater`.
    """
    answer = post_form(http, url, form, provider=provider, timeout_seconds=timeout_seconds)
    if not answer.ok:
        raise token_error(answer, provider, now)
    return _token_answer(json_object(answer, provider), provider, now)


def post_form(
    http: httpx.Client,
    url: str,
    form: Mapping[str, str],
    *,
    provider: Provider,
    timeout_seconds: float = TOKEN_SECONDS,
) -> Answer:
    """Post a form and return the answer, whatever its status. Raises `RetryLater`."""
    return send(
        http,
        "POST",
        url,
        provider=provider,
        deadline=Deadline(timeout_seconds),
        form=form,
        limit=_TOKEN_ANSWER_LIMIT,
    )


def token_error(answer: Answer, provider: Provider, now: datetime) -> ProviderError:
    """Return the error of a refused token request, told by its ``error`` field.

    The codes are those of RFC 6749 5.2 and the vendors' own.
    """
    body = error_object(answer)
    error = safe_code(body.get("error"))
    if error == "invalid_client" and wants_other_redirect(body):
        error = "redirect_uri_mismatch"
    detail = error_detail(provider, answer, error)
    wait = requested_wait(answer, now)
    if answer.status == 429 or answer.status >= 500:
        return RetryLater("login_unavailable", detail, retry_after=wait)
    told = sign_in_class(body) if provider is Provider.MICROSOFT else None
    if told is SignInClass.LOOP:
        return RetryLater("login_loop", detail, retry_after=max(wait or _LOOP_WAIT, _LOOP_WAIT))
    if told is SignInClass.LATER:
        return RetryLater("login_unavailable", detail, retry_after=wait)
    if told is SignInClass.DIRECTORY:
        return OperatorRequired("application_not_in_directory", detail, next_step=_ASK_DIRECTORY)
    if told is SignInClass.OPERATOR or error in _OPERATOR_ERRORS:
        return OperatorRequired(error, detail, next_step=_CHECK_CLIENT)
    if error in _RECONNECT_ERRORS:
        return _reconnect_required(error, detail, told)
    # An unknown code, HTML, temporarily_unavailable, …: nobody is disconnected for what we do not understand.
    return RetryLater("login_unavailable", detail, retry_after=wait)


def _reconnect_required(error: str, detail: str, told: SignInClass | None) -> ReconnectRequired:
    if told is SignInClass.ADMIN_CONSENT:
        return ReconnectRequired("admin_consent_required", detail, next_step=_ASK_ADMIN)
    if told is SignInClass.ADMIN_POLICY or error == "admin_policy_enforced":
        return ReconnectRequired("admin_policy_enforced", detail, next_step=_ASK_ADMIN)
    return ReconnectRequired(error, detail, next_step="Connect the calendar again.")


def _token_answer(body: Mapping[str, Any], provider: Provider, now: datetime) -> TokenAnswer:
    access_token = _token(body.get("access_token"))
    if access_token is None:
        raise RetryLater("malformed_answer", f"{provider}: a token answer without a usable access token")
    return TokenAnswer(
        access_token=access_token,
        expires_at=now + _lifetime(body.get("expires_in")),
        refresh_token=_token(body.get("refresh_token")),
        scopes=_scopes(body["scope"]) if "scope" in body else None,
        id_token=body.get("id_token"),
    )


def _scopes(scope: object) -> frozenset[str]:
    """Return the granted scopes as far as they are stated.

    An empty text, null or an unusable value grants nothing.
    """
    return frozenset(scope.split()) if isinstance(scope, str) else frozenset()


def _token(value: object) -> str | None:
    """A token that fits into a header; RFC 6749 A.12 allows visible ASCII and the space."""
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_TOKEN:
        return None
    return value if value.isascii() and value.isprintable() else None


def _lifetime(expires_in: object) -> timedelta:
    """The seconds of a number, or of a text, which older endpoints send."""
    if isinstance(expires_in, str) and expires_in.isascii() and expires_in.isdigit():
        expires_in = int(expires_in[:9])
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float) or not expires_in > 0:
        return _ASSUMED_LIFETIME
    return timedelta(seconds=min(float(expires_in), _LONGEST_LIFETIME.total_seconds()))
