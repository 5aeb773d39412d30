"""Microsoft's login: the v2.0 authorization and token endpoints.

Source: learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from sandbox.calendar.records import Provider
from sandbox.login import consent, grants
from sandbox.login.authorization_requests import AuthorizationRequest, redirect_with_error
from sandbox.login.clients import find_client, is_registered, secret_fits
from sandbox.login.directories import SHARED_NAMES, find_directory_id, still_holds
from sandbox.login.grants import Refusal, TokenRefusedError
from sandbox.login.id_tokens import key_set, microsoft_id_token, microsoft_issuer
from sandbox.login.records import Grant
from sandbox.login.token_requests import TokenRequest, read_token_request
from sandbox.microsoft.tenants import ONE_DIRECTORY, is_elsewhere, refuse_other_directory, signing_in_to
from sandbox.running import CurrentSandbox, Sandbox, base_url
from sandbox.state import RefreshRotation

router = APIRouter(prefix="/microsoft/{tenant}", tags=["Microsoft login"])

GRAPH_SCOPE_PREFIX = "https://graph.microsoft.com/"
_REVOKED = "The provided grant has expired due to it being revoked, a fresh auth token is needed."


def _problem(request: AuthorizationRequest, query: Mapping[str, str]) -> str | None:
    if query.get("response_type") != "code":
        return "AADSTS900144: only response_type=code is served here."
    if query.get("response_mode", "query") != "query":
        return "AADSTS70007: only response_mode=query is served here."
    if not request.scopes:
        return "AADSTS900144: The request body must contain the following parameter: 'scope'."
    if request.challenge and query.get("code_challenge_method") != "S256":
        return "AADSTS501491: code_challenge_method must be S256."
    return None


def _refusal(request: AuthorizationRequest, query: Mapping[str, str]) -> Response | None:
    problem = _problem(request, query)
    return redirect_with_error(request, "invalid_request", {"error_description": problem}) if problem else None


_LOGIN = consent.ProviderLogin(
    provider=Provider.MICROSOFT,
    unknown_client=(400, "AADSTS700016", "Application was not found in the directory."),
    refusal=_refusal,
    granular=False,
    gives_refresh_token=lambda request, first: "offline_access" in request.scopes,
    cancel_extra={
        "error_description": "AADSTS65004: User declined to consent to access the app.",
        "error_subcode": "cancel",
    },
    scope_texts={
        "Calendars.Read": "Read your calendars",
        "Calendars.ReadBasic": "Read basic details of your calendars",
        "User.Read": "View your basic profile",
    },
)
_REFUSALS = {
    Refusal.CODE_UNKNOWN: (70000, "The provided value for the 'code' parameter is not valid."),
    Refusal.CODE_USED: (54005, "OAuth2 Authorization code was already redeemed, please retry with a new valid code."),
    Refusal.CODE_EXPIRED: (70008, "The provided authorization code has expired."),
    Refusal.WRONG_CLIENT: (70000, "The provided grant was issued to another client."),
    Refusal.WRONG_REDIRECT: (500112, "The reply address does not match the one provided when requesting the code."),
    Refusal.VERIFIER_MISSING: (50148, "The code_verifier does not match the code_challenge."),
    Refusal.VERIFIER_WRONG: (501481, "The Code_Verifier does not match the code_challenge of the authorization."),
    Refusal.GRANT_GONE: (50173, _REVOKED),
    Refusal.CONSENT_TAKEN_BACK: (65001, "The user or administrator has not consented to use the application."),
    Refusal.KEPT_OUT: (50173, _REVOKED),
    Refusal.SESSIONS_REVOKED: (50173, _REVOKED),
}


@router.get("/oauth2/v2.0/authorize")
async def authorize(tenant: str, http: Request, sandbox: CurrentSandbox) -> Response:
    """Ask the person for consent, on a page or automatically."""
    client = find_client(sandbox, Provider.MICROSOFT, http.query_params.get("client_id", ""))
    if client is not None and is_elsewhere(sandbox, client, tenant):
        refuse_other_directory()
    return consent.begin(sandbox, _LOGIN, http, signing_in_to(sandbox, tenant))


@router.post("/oauth2/v2.0/authorize", include_in_schema=False)
async def answer_consent_page(tenant: str, http: Request, sandbox: CurrentSandbox) -> Response:
    """Go on from a posted consent page."""
    return await consent.proceed(sandbox, _LOGIN, http, signing_in_to(sandbox, tenant))


@router.post("/oauth2/v2.0/token")
async def token(tenant: str, http: Request, sandbox: CurrentSandbox) -> Response:
    """Exchange an authorization code or a refresh token for tokens."""
    form = await read_token_request(http)
    client = find_client(sandbox, Provider.MICROSOFT, form.client_id)
    if client is None:
        detail = "Application was not found in the directory."
        return _aad_error(sandbox, "unauthorized_client", 700016, detail)
    if is_elsewhere(sandbox, client, tenant):
        return _aad_error(sandbox, "invalid_request", 50194, ONE_DIRECTORY)
    if not secret_fits(client, form.client_secret):
        return _aad_error(sandbox, "invalid_client", 7000215, "Invalid client secret provided.", 401)
    if form.grant_type == "authorization_code" and not is_registered(client, form.redirect_uri):
        detail = "The redirect URI specified in the request does not match the redirect URIs of the application."
        return _aad_error(sandbox, "invalid_client", 50011, detail, 401)
    try:
        match form.grant_type:
            case "authorization_code":
                return _exchange(sandbox, form)
            case "refresh_token":
                return _refresh(sandbox, form)
    except TokenRefusedError as refused:
        return _aad_error(sandbox, "invalid_grant", *_REFUSALS[refused.refusal])
    return _aad_error(sandbox, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")


@router.get("/discovery/v2.0/keys")
async def keys(tenant: str) -> dict[str, Any]:
    """Return the keys that sign ID tokens."""
    return key_set()


@router.get("/v2.0/.well-known/openid-configuration")
async def discovery(tenant: str, http: Request, sandbox: CurrentSandbox) -> Response:
    """Return the OpenID Connect discovery document.

    `common` names no single directory. A domain is answered with its directory's id.
    """
    directory = "{tenantid}" if tenant in SHARED_NAMES else find_directory_id(sandbox.state, tenant)
    if directory is None:
        return _aad_error(sandbox, "invalid_tenant", 90002, "Tenant not found.")
    base = f"{base_url(sandbox, http)}/microsoft/{tenant if tenant in SHARED_NAMES else directory}"
    document = {
        "issuer": microsoft_issuer(directory),
        "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
        "token_endpoint": f"{base}/oauth2/v2.0/token",
        "jwks_uri": f"{base}/discovery/v2.0/keys",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }
    return JSONResponse(document)


def _exchange(sandbox: Sandbox, form: TokenRequest) -> Response:
    redeemed = grants.redeem_code(
        sandbox.state, sandbox.now(), form.code, form.client_id, form.redirect_uri, form.code_verifier
    )
    if _is_taken_back(sandbox, redeemed.grant):
        return _consent_required(sandbox, form)
    return _tokens(sandbox, redeemed.grant, redeemed.scopes, redeemed.nonce)


def _refresh(sandbox: Sandbox, form: TokenRequest) -> Response:
    """A new refresh token comes every time, and the old one stays valid.

    Source: v2-oauth2-auth-code-flow#refresh-the-access-token.
    """
    grant, record = grants.redeem_refresh_token(sandbox.state, form.refresh_token, form.client_id)
    if _is_taken_back(sandbox, grant):
        return _consent_required(sandbox, form)
    if sandbox.state.behaviour.refresh_rotation is RefreshRotation.REPLACE:
        del sandbox.state.refresh_tokens[form.refresh_token]
    asked = set((form.scope or "").split())
    scopes = [scope for scope in record.scopes if not asked or scope in asked or scope == "offline_access"]
    return _tokens(sandbox, grant, scopes, None)


def _is_taken_back(sandbox: Sandbox, grant: Grant) -> bool:
    if not grant.by_directory:
        return False
    account = sandbox.state.accounts[grant.account]
    return not still_holds(sandbox.state, account, grant.client_id, grant.scopes)


def _consent_required(sandbox: Sandbox, form: TokenRequest) -> Response:
    """As it was seen in answers to refreshes after a consent was removed."""
    detail = (
        f"The user or administrator has not consented to use the application with ID '{form.client_id}'. "
        "Send an interactive authorization request for this user and resource."
    )
    return _aad_error(sandbox, "invalid_grant", 65001, detail, suberror="consent_required")


def _tokens(sandbox: Sandbox, grant: Grant, scopes: list[str], nonce: str | None) -> Response:
    state, now = sandbox.state, sandbox.now()
    lifetime = int(grants.ACCESS_LIFETIME.total_seconds())
    answer: dict[str, Any] = {
        "token_type": "Bearer",
        "scope": " ".join(_shown(sandbox, scope) for scope in scopes if scope != "offline_access"),
        "expires_in": lifetime - 1,
        "ext_expires_in": lifetime - 1,
        "access_token": grants.issue_access_token(state, now, grant, scopes, "EwB"),
    }
    if "offline_access" in scopes:
        answer["refresh_token"] = grants.issue_refresh_token(state, now, grant, scopes, "M.C5_")
    if "openid" in scopes:
        account = state.accounts[grant.account]
        answer["id_token"] = microsoft_id_token(account, grant.client_id, scopes, nonce, now)
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


def _shown(sandbox: Sandbox, scope: str) -> str:
    """Microsoft gives scopes by short names or full addresses; `ProviderBehaviour` chooses."""
    full = sandbox.state.behaviour.graph_scope_urls and "." in scope and not scope.startswith("https://")
    return GRAPH_SCOPE_PREFIX + scope if full else scope


def _aad_error(
    sandbox: Sandbox, error: str, number: int, detail: str, status: int = 400, *, suberror: str | None = None
) -> Response:
    trace, correlation, stamp = str(uuid.uuid4()), str(uuid.uuid4()), f"{sandbox.now():%Y-%m-%d %H:%M:%SZ}"
    description = f"AADSTS{number}: {detail} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}"
    answer = {
        "error": error,
        "error_description": description,
        "error_codes": [number],
        "timestamp": stamp,
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": f"https://login.microsoftonline.com/error?code={number}",
    }
    return JSONResponse(answer | ({"suberror": suberror} if suberror else {}), status)
