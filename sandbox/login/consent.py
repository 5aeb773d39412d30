"""The consent pages of both logins: choose an account, allow or cancel, go back.

A page carries the query of the authorization request along in a hidden field, so the sandbox keeps no sessions. The query
that comes back is checked again like a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.responses import Response
from starlette.datastructures import FormData

from sandbox.calendar.records import Account, Provider
from sandbox.login import grants
from sandbox.login.authorization_requests import (
    AuthorizationPageError,
    AuthorizationRequest,
    read_authorization_request,
    redirect_back,
    redirect_with_error,
)
from sandbox.login.clients import find_client
from sandbox.login.directories import IDENTITY_SCOPES, Standing, request_approval, standing
from sandbox.login.records import ConsentMode, UserConsent
from sandbox.pages import render
from sandbox.running import Sandbox


@dataclass(frozen=True, slots=True)
class ProviderLogin:
    """How one provider's login differs from the other's.

    ``unknown_client``: status, code and text of the error page. ``refusal`` returns the answer to a request that the
    provider refuses, or None. ``granular``: the user may untick single scopes. ``gives_refresh_token`` is asked with
    the request and whether this is the first consent. ``cancel_extra``: what `access_denied` carries besides.
    """

    provider: Provider
    unknown_client: tuple[int, str, str]
    refusal: Callable[[AuthorizationRequest, Mapping[str, str]], Response | None]
    granular: bool
    gives_refresh_token: Callable[[AuthorizationRequest, bool], bool]
    cancel_extra: dict[str, str]
    scope_texts: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Visit:
    """One visit to an authorization endpoint.

    ``query`` is the authorization request as text. ``directory``: only accounts of this one may sign in.
    """

    sandbox: Sandbox
    login: ProviderLogin
    request: AuthorizationRequest
    path: str
    query: str
    directory: str | None


def begin(sandbox: Sandbox, login: ProviderLogin, http: Request, directory: str | None = None) -> Response:
    """Answer an authorization request: with a page, or at once.

    At once if consent is automatic, or if the request has `prompt=none`.
    """
    visit = _visit(sandbox, login, http.url.path, str(http.url.query), directory)
    return visit if isinstance(visit, Response) else _begin(visit)


async def proceed(sandbox: Sandbox, login: ProviderLogin, http: Request, directory: str | None = None) -> Response:
    """Answer a posted page: an account was chosen, or consent was given or refused."""
    form = await http.form(max_files=0, max_fields=100)
    visit = _visit(sandbox, login, http.url.path, str(form.get("request", "")), directory)
    return visit if isinstance(visit, Response) else _proceed(visit, form)


def _visit(sandbox: Sandbox, login: ProviderLogin, path: str, query: str, directory: str | None) -> _Visit | Response:
    values = dict(parse_qsl(query, keep_blank_values=True))
    client = find_client(sandbox, login.provider, values.get("client_id", ""))
    if client is None:
        raise AuthorizationPageError(*login.unknown_client)
    request = read_authorization_request(client, values)
    return login.refusal(request, values) or _Visit(sandbox, login, request, path, query, directory)


def _begin(visit: _Visit) -> Response:
    consent, request = visit.sandbox.state.consent, visit.request
    hinted = _account(visit, request.login_hint)
    if consent.mode is ConsentMode.AUTO:
        account = hinted or _account(visit, consent.account) or _only_account(visit)
        if account is not None:
            return _consent_automatically(visit, account)
    if "none" in request.prompts:
        return _answer_silently(visit, hinted)
    if hinted is not None and "select_account" not in request.prompts:
        return _ask_for_scopes(visit, hinted)
    return _ask_for_account(visit)


def _proceed(visit: _Visit, form: FormData) -> Response:
    if form.get("decision") == "cancel":
        return redirect_with_error(visit.request, "access_denied", visit.login.cancel_extra)
    account = _account(visit, str(form.get("account", "")))
    if account is None:
        return _ask_for_account(visit)
    if _is_withheld(visit, account):
        return _answer_withheld(visit, account, form)
    if form.get("decision") == "allow":
        ticked = {str(scope) for scope in form.getlist("scope")}
        everything = not visit.login.granular
        scopes = [s for s in visit.request.scopes if s in IDENTITY_SCOPES or s in ticked or everything]
        return _allow(visit, account, scopes)
    return _ask_for_scopes(visit, account)


def _ask_for_account(visit: _Visit) -> Response:
    return _page(visit, accounts=_accounts(visit))


def _ask_for_scopes(visit: _Visit, account: Account) -> Response:
    if _is_withheld(visit, account):
        return _need_administrator(visit, account)
    if "consent" not in visit.request.prompts and (_is_covered(visit, account) or _is_approved(visit, account)):
        return _allow(visit, account, list(visit.request.scopes))
    return _page(visit, account=account)


def _answer_withheld(visit: _Visit, account: Account, form: FormData) -> Response:
    """Answer the page that asks for an administrator."""
    directory = visit.sandbox.state.directories[account.directory]
    if form.get("decision") == "request" and directory.user_consent is UserConsent.ADMIN_REQUEST:
        why = str(form.get("why", ""))[:500]
        request_approval(directory, account, visit.request.client_id, visit.request.scopes, why)
        return _need_administrator(visit, account, requested=True)
    if form.get("decision") == "return":
        return _back_without_consent(visit, account)
    return _need_administrator(visit, account)


def _need_administrator(visit: _Visit, account: Account, *, requested: bool = False) -> Response:
    policy = visit.sandbox.state.directories[account.directory].user_consent
    may_ask = policy is UserConsent.ADMIN_REQUEST and not requested
    return _page(visit, "need_administrator.html", account=account, may_ask=may_ask, requested=requested)


def _back_without_consent(visit: _Visit, account: Account) -> Response:
    directory = visit.sandbox.state.directories[account.directory]
    if not directory.names_reason:
        return redirect_with_error(visit.request, "access_denied", visit.login.cancel_extra)
    asks = directory.user_consent is UserConsent.ADMIN_REQUEST
    number, text = (90095, "Admin consent is required.") if asks else (90094, "An administrator must consent.")
    return redirect_with_error(visit.request, "access_denied", {"error_description": f"AADSTS{number}: {text}"})


def _consent_automatically(visit: _Visit, account: Account) -> Response:
    consent = visit.sandbox.state.consent
    if consent.error is not None:
        description = consent.error_description
        extra = {"error_description": description} if description else visit.login.cancel_extra
        return redirect_with_error(visit.request, consent.error, extra)
    if _is_withheld(visit, account):
        return _back_without_consent(visit, account)
    return _allow(visit, account, [scope for scope in visit.request.scopes if scope not in consent.withhold])


def _answer_silently(visit: _Visit, account: Account | None) -> Response:
    """`prompt=none` shows no page (OpenID Connect Core section 3.1.2.1)."""
    if account is not None and (_is_covered(visit, account) or _is_approved(visit, account)):
        return _allow(visit, account, list(visit.request.scopes))
    return redirect_with_error(visit.request, "interaction_required")


def _allow(visit: _Visit, account: Account, scopes: list[str]) -> Response:
    sandbox, request = visit.sandbox, visit.request
    first = grants.find_grant(sandbox.state, account, request.client_id) is None
    by_directory = _is_approved(visit, account) and not _is_covered(visit, account)
    offline = visit.login.gives_refresh_token(request, first)
    code = grants.record_consent(sandbox.state, sandbox.now(), account, request, scopes, offline)
    if by_directory:
        grants.rest_on_directory(sandbox.state, account, request.client_id)
    extra = {"scope": " ".join(scopes)} if visit.login.provider is Provider.GOOGLE else {}
    return redirect_back(request, {"code": code, **extra})


def _page(visit: _Visit, template: str = "consent.html", **context: object) -> Response:
    login = visit.login
    asked = [
        {"scope": scope, "text": login.scope_texts.get(scope.removeprefix("https://graph.microsoft.com/"), scope)}
        for scope in visit.request.scopes
        if scope not in IDENTITY_SCOPES
    ]
    common = {
        "provider": login.provider.value,
        "granular": login.granular,
        "query": visit.query,
        "asked": asked,
        "action": visit.path,
        "client_id": visit.request.client_id,
    }
    return render(template, common | context)


def _is_withheld(visit: _Visit, account: Account) -> bool:
    """Whether the directory withholds the consent from this user.

    An earlier consent of their own stays good, unless they are to be asked again: then even an approval does not help, since
    the page asks for a consent that the user may not give.
    """
    request = visit.request
    if "consent" in request.prompts:
        directory = visit.sandbox.state.directories.get(account.directory)
        if directory is None or account.email in directory.administrators:
            return False
        return directory.user_consent is not UserConsent.ALLOWED
    found = standing(visit.sandbox.state, account, request.client_id, request.scopes)
    return found is Standing.WITHHELD and not _is_covered(visit, account)


def _is_approved(visit: _Visit, account: Account) -> bool:
    request = visit.request
    return standing(visit.sandbox.state, account, request.client_id, request.scopes) is Standing.APPROVED


def _is_covered(visit: _Visit, account: Account) -> bool:
    grant = grants.find_grant(visit.sandbox.state, account, visit.request.client_id)
    return grant is not None and not grant.by_directory and set(visit.request.scopes) <= set(grant.scopes)


def _account(visit: _Visit, email: str | None) -> Account | None:
    return next((account for account in _accounts(visit) if account.email == (email or "").casefold()), None)


def _only_account(visit: _Visit) -> Account | None:
    accounts = _accounts(visit)
    return accounts[0] if len(accounts) == 1 else None


def _accounts(visit: _Visit) -> list[Account]:
    return [
        each
        for each in visit.sandbox.state.accounts.values()
        if each.provider is visit.login.provider and visit.directory in (None, each.directory)
    ]
