"""The consent dance both logins share: choose an account, allow or cancel, go back with a code or an error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from sandbox.calendar.records import Account, Provider
from sandbox.login import grants
from sandbox.login.grants import AuthorizationRequest
from sandbox.login.records import ConsentMode
from sandbox.pages import render
from sandbox.running import Sandbox

IDENTITY_SCOPES = frozenset({"openid", "email", "profile", "offline_access"})


@dataclass(frozen=True, slots=True)
class Login:
    """How one provider's consent differs. ``granular``: the user may untick scopes. ``gives_refresh`` decides from
    (request, whether this is the first consent). ``cancel_extra``: what its access_denied carries beside."""

    provider: Provider
    granular: bool
    gives_refresh: Callable[[AuthorizationRequest, bool], bool]
    cancel_extra: dict[str, str]
    scope_texts: dict[str, str]


class AuthorizeError(Exception):
    """A request that must not be answered by a redirect: the page says why (RFC 6749 4.1.2.1)."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(code)
        self.status, self.code, self.detail = status, code, detail


def begin(sandbox: Sandbox, login: Login, request: AuthorizationRequest, http: Request) -> Response:
    """Answer an authorization request: at once in automatic mode or where `prompt=none`, else by a page."""
    consent = sandbox.state.consent
    hinted = _hinted(sandbox, login.provider, request.login_hint)
    if consent.mode is ConsentMode.AUTO:
        account = hinted or _hinted(sandbox, login.provider, consent.account) or _only_account(sandbox, login.provider)
        if account is not None:
            return _automatic(sandbox, login, request, account)
    if "none" in request.prompts:
        return _silent(sandbox, login, request, hinted)
    if hinted is not None and "select_account" not in request.prompts:
        return ask_scopes(sandbox, login, request, hinted, http)
    return ask_account(sandbox, login, request, http)


async def answered(sandbox: Sandbox, login: Login, request: AuthorizationRequest, http: Request) -> Response:
    """Go on from a page: an account was chosen, or consent given or refused."""
    form = await http.form(max_files=0, max_fields=100)
    if form.get("decision") == "cancel":
        return error_redirect(request, "access_denied", login.cancel_extra)
    account = _hinted(sandbox, login.provider, str(form.get("account", "")))
    if account is None:
        return ask_account(sandbox, login, request, http)
    if form.get("decision") == "allow":
        ticked = {str(scope) for scope in form.getlist("scope")}
        scopes = [s for s in request.scopes if s in IDENTITY_SCOPES or s in ticked or not login.granular]
        return _allow(sandbox, login, request, account, scopes)
    return ask_scopes(sandbox, login, request, account, http)


def ask_account(sandbox: Sandbox, login: Login, request: AuthorizationRequest, http: Request) -> Response:
    accounts = [each for each in sandbox.state.accounts.values() if each.provider is login.provider]
    return _page(http, login, request, accounts=accounts)


def ask_scopes(
    sandbox: Sandbox, login: Login, request: AuthorizationRequest, account: Account, http: Request
) -> Response:
    if "consent" not in request.prompts and _is_covered(sandbox, request, account):
        return _allow(sandbox, login, request, account, list(request.scopes))
    return _page(http, login, request, account=account)


def original_query(form_value: str) -> dict[str, str]:
    """The authorization request which a page carries along; it is checked again like a fresh one."""
    return dict(parse_qsl(form_value, keep_blank_values=True, max_num_fields=50))


def error_redirect(request: AuthorizationRequest, error: str, extra: dict[str, str] | None = None) -> Response:
    return _back(request, {"error": error, **(extra or {})})


def check_redirect_uri(sandbox: Sandbox, uri: str | None) -> str:
    """Exactly a registered one; where none is registered, any http(s) address without a fragment."""
    parts = urlsplit(uri or "")
    allowed = sandbox.config.redirect_uris
    if not uri or parts.scheme not in ("http", "https") or not parts.netloc or parts.fragment:
        raise AuthorizeError(400, "invalid_request", "redirect_uri is missing or no http(s) address")
    if allowed and uri not in allowed:
        raise AuthorizeError(400, "redirect_uri_mismatch", "redirect_uri is not registered for this client")
    return uri


def _automatic(sandbox: Sandbox, login: Login, request: AuthorizationRequest, account: Account) -> Response:
    consent = sandbox.state.consent
    if consent.error is not None:
        extra = {"error_description": consent.error_description} if consent.error_description else login.cancel_extra
        return error_redirect(request, consent.error, extra)
    scopes = [scope for scope in request.scopes if scope not in consent.withhold]
    return _allow(sandbox, login, request, account, scopes)


def _silent(sandbox: Sandbox, login: Login, request: AuthorizationRequest, account: Account | None) -> Response:
    if account is not None and _is_covered(sandbox, request, account):
        return _allow(sandbox, login, request, account, list(request.scopes))
    return error_redirect(request, "interaction_required")


def _allow(
    sandbox: Sandbox, login: Login, request: AuthorizationRequest, account: Account, scopes: list[str]
) -> Response:
    first = grants.grant_of(sandbox.state, account, request.client_id) is None
    offline = login.gives_refresh(request, first)
    code = grants.record_consent(sandbox.state, sandbox.now(), account, request, scopes, offline)
    extra = {"scope": " ".join(scopes)} if login.provider is Provider.GOOGLE else {}
    return _back(request, {"code": code, **extra})


def _back(request: AuthorizationRequest, parameters: dict[str, str]) -> Response:
    if request.state is not None:
        parameters = {**parameters, "state": request.state}
    joint = "&" if "?" in request.redirect_uri else "?"
    return RedirectResponse(f"{request.redirect_uri}{joint}{urlencode(parameters)}", 303)


def _page(http: Request, login: Login, request: AuthorizationRequest, **context: object) -> Response:
    carried = str(http.url.query) if http.method == "GET" else str(http.scope["sandbox.carried"])
    asked = [
        {"scope": scope, "text": login.scope_texts.get(scope.removeprefix("https://graph.microsoft.com/"), scope)}
        for scope in request.scopes
        if scope not in IDENTITY_SCOPES
    ]
    common = {
        "provider": login.provider.value,
        "granular": login.granular,
        "carried": carried,
        "asked": asked,
        "action": http.url.path,
        "client_id": request.client_id,
    }
    return render("consent.html", common | context)


def _is_covered(sandbox: Sandbox, request: AuthorizationRequest, account: Account) -> bool:
    grant = grants.grant_of(sandbox.state, account, request.client_id)
    return grant is not None and set(request.scopes) <= set(grant.scopes)


def _hinted(sandbox: Sandbox, provider: Provider, email: str | None) -> Account | None:
    account = sandbox.state.accounts.get((email or "").casefold())
    return account if account is not None and account.provider is provider else None


def _only_account(sandbox: Sandbox, provider: Provider) -> Account | None:
    accounts = [account for account in sandbox.state.accounts.values() if account.provider is provider]
    return accounts[0] if len(accounts) == 1 else None
