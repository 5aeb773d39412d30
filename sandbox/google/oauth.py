"""Google's login: authorization, token and revocation endpoints.

Source: developers.google.com/identity/protocols/oauth2/web-server.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from sandbox.calendar.records import Provider
from sandbox.login import consent, grants
from sandbox.login.authorization_requests import AuthorizationPageError, AuthorizationRequest, redirect_with_error
from sandbox.login.clients import find_client, is_registered, secret_fits
from sandbox.login.grants import Refusal, TokenRefusedError
from sandbox.login.id_tokens import GOOGLE_ISSUER, google_id_token, key_set
from sandbox.login.records import Grant
from sandbox.login.token_requests import TokenRequest, read_token_request
from sandbox.running import CurrentSandbox, Sandbox, base_url
from sandbox.state import RefreshRotation

router = APIRouter(prefix="/google", tags=["Google login"])

_CALENDAR = "https://www.googleapis.com/auth/calendar"


def _refusal(request: AuthorizationRequest, query: Mapping[str, str]) -> Response | None:
    if query.get("response_type") != "code":
        return redirect_with_error(request, "unsupported_response_type")
    if not request.scopes:
        raise AuthorizationPageError(400, "invalid_request", "Missing required parameter: scope")
    if request.challenge and query.get("code_challenge_method") != "S256":
        raise AuthorizationPageError(400, "invalid_request", "code_challenge_method must be S256")
    return None


_LOGIN = consent.ProviderLogin(
    provider=Provider.GOOGLE,
    unknown_client=(401, "invalid_client", "The OAuth client was not found."),
    refusal=_refusal,
    granular=True,
    gives_refresh_token=lambda request, first: request.offline and (first or "consent" in request.prompts),
    cancel_extra={},
    scope_texts={
        f"{_CALENDAR}.events.readonly": "View events on all your calendars",
        f"{_CALENDAR}.calendarlist.readonly": "See the list of Google calendars you're subscribed to",
        f"{_CALENDAR}.readonly": "See and download any calendar you can access using your Google Calendar",
    },
)
_DESCRIPTIONS = {
    Refusal.CODE_UNKNOWN: "Malformed auth code.",
    Refusal.CODE_USED: "Bad Request",
    Refusal.CODE_EXPIRED: "Bad Request",
    Refusal.WRONG_CLIENT: "Bad Request",
    Refusal.WRONG_REDIRECT: "Bad Request",
    Refusal.VERIFIER_MISSING: "Missing code verifier.",
    Refusal.VERIFIER_WRONG: "Invalid code verifier.",
    Refusal.GRANT_GONE: "Token has been expired or revoked.",
    Refusal.CONSENT_TAKEN_BACK: "Token has been expired or revoked.",
    Refusal.KEPT_OUT: "Access to your account data is restricted by policies within your organization.",
    Refusal.SESSIONS_REVOKED: "Token has been expired or revoked.",
}
_CODES = {Refusal.WRONG_REDIRECT: "redirect_uri_mismatch", Refusal.KEPT_OUT: "admin_policy_enforced"}


@router.get("/o/oauth2/v2/auth")
async def authorize(http: Request, sandbox: CurrentSandbox) -> Response:
    """Ask the person for consent, on a page or automatically."""
    return consent.begin(sandbox, _LOGIN, http)


@router.post("/o/oauth2/v2/auth", include_in_schema=False)
async def answer_consent_page(http: Request, sandbox: CurrentSandbox) -> Response:
    """Go on from a posted consent page."""
    return await consent.proceed(sandbox, _LOGIN, http)


@router.post("/token")
async def token(http: Request, sandbox: CurrentSandbox) -> Response:
    """Exchange an authorization code or a refresh token for tokens."""
    form = await read_token_request(http)
    client = find_client(sandbox, Provider.GOOGLE, form.client_id)
    if client is None:
        return _oauth_error("invalid_client", "The OAuth client was not found.", 401)
    if not secret_fits(client, form.client_secret):
        return _oauth_error("invalid_client", "Unauthorized", 401)
    if form.grant_type == "authorization_code" and not is_registered(client, form.redirect_uri):
        return _oauth_error("redirect_uri_mismatch", "Bad Request")
    try:
        match form.grant_type:
            case "authorization_code":
                return _exchange(sandbox, form)
            case "refresh_token":
                if client.in_testing:
                    grants.end_testing_grants(sandbox.state, sandbox.now(), client)
                return _refresh(sandbox, form)
    except TokenRefusedError as refused:
        code = _CODES.get(refused.refusal, "invalid_grant")
        return _oauth_error(code, _DESCRIPTIONS[refused.refusal])
    return _oauth_error("unsupported_grant_type", f"Invalid grant_type: {form.grant_type[:40]}")


@router.post("/revoke")
async def revoke(http: Request, sandbox: CurrentSandbox, token: Annotated[str | None, Query()] = None) -> Response:
    """Revoke the whole grant of an account to the client, given any of its tokens."""
    form = await http.form(max_files=0, max_fields=20)
    given = token or str(form.get("token", ""))
    record = sandbox.state.refresh_tokens.get(given) or sandbox.state.access_tokens.get(given)
    if record is None or record.grant not in sandbox.state.grants:
        return _oauth_error("invalid_token", "Token expired or revoked")
    grants.revoke_grant(sandbox.state, record.grant)
    return JSONResponse({})


@router.get("/oauth2/v3/certs")
async def certificates() -> dict[str, Any]:
    """Return the keys that sign ID tokens."""
    return key_set()


@router.get("/.well-known/openid-configuration")
async def discovery(http: Request, sandbox: CurrentSandbox) -> dict[str, Any]:
    """Return the OpenID Connect discovery document."""
    base = f"{base_url(sandbox, http)}/google"
    return {
        "issuer": GOOGLE_ISSUER,
        "authorization_endpoint": f"{base}/o/oauth2/v2/auth",
        "token_endpoint": f"{base}/token",
        "revocation_endpoint": f"{base}/revoke",
        "jwks_uri": f"{base}/oauth2/v3/certs",
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "code_challenge_methods_supported": ["S256"],
    }


def _exchange(sandbox: Sandbox, form: TokenRequest) -> Response:
    state, now = sandbox.state, sandbox.now()
    redeemed = grants.redeem_code(state, now, form.code, form.client_id, form.redirect_uri, form.code_verifier)
    answer = _tokens(sandbox, redeemed.grant, redeemed.scopes, redeemed.nonce)
    if redeemed.offline:
        answer["refresh_token"] = grants.issue_refresh_token(state, now, redeemed.grant, redeemed.scopes, "1//0")
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


def _refresh(sandbox: Sandbox, form: TokenRequest) -> Response:
    """Google keeps the refresh token as it is, and does not send it again."""
    state, now = sandbox.state, sandbox.now()
    grant, record = grants.redeem_refresh_token(state, form.refresh_token, form.client_id)
    answer = _tokens(sandbox, grant, record.scopes, None)
    if state.behaviour.refresh_rotation is RefreshRotation.REPLACE:
        del state.refresh_tokens[form.refresh_token]
        answer["refresh_token"] = grants.issue_refresh_token(state, now, grant, record.scopes, "1//0")
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


def _tokens(sandbox: Sandbox, grant: Grant, scopes: list[str], nonce: str | None) -> dict[str, Any]:
    now = sandbox.now()
    answer: dict[str, Any] = {
        "access_token": grants.issue_access_token(sandbox.state, now, grant, scopes, "ya29.a0"),
        "expires_in": int(grants.ACCESS_LIFETIME.total_seconds()) - 1,
        "scope": " ".join(_as_google_names(scope) for scope in scopes),
        "token_type": "Bearer",
    }
    if "openid" in scopes:
        account = sandbox.state.accounts[grant.account]
        answer["id_token"] = google_id_token(account, grant.client_id, scopes, nonce, now)
    return answer


def _as_google_names(scope: str) -> str:
    """Google grants the short identity scopes under their long names."""
    return f"https://www.googleapis.com/auth/userinfo.{scope}" if scope in ("email", "profile") else scope


def _oauth_error(code: str, description: str, status: int = 400) -> Response:
    return JSONResponse({"error": code, "error_description": description}, status)
