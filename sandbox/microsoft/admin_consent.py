"""Microsoft's admin consent page.

Source: learn.microsoft.com/entra/identity-platform/v2-admin-consent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.datastructures import FormData

from sandbox.calendar.records import Account, Provider
from sandbox.login.authorization_requests import (
    AuthorizationPageError,
    AuthorizationRequest,
    read_authorization_request,
    redirect_back,
)
from sandbox.login.clients import find_client
from sandbox.login.directories import IDENTITY_SCOPES, approve
from sandbox.login.records import ConsentMode, Directory
from sandbox.microsoft.tenants import is_elsewhere, refuse_other_directory, signing_in_to
from sandbox.pages import render
from sandbox.running import CurrentSandbox, Sandbox

router = APIRouter(prefix="/microsoft/{tenant}/v2.0", tags=["Microsoft login"])

_GRAPH = "https://graph.microsoft.com/"
# As the documentation shows it, flag included.
_DECLINED = {
    "admin_consent": "True",
    "error": "consent_required",
    "error_description": "AADSTS65004: The resource owner or authorization server denied the request.",
}
_NO_ADMINISTRATOR = {
    "admin_consent": "True",
    "error": "access_denied",
    "error_description": "AADSTS90094: An administrator must consent.",
}
_TEXTS = {"Calendars.Read": "Read user calendars", "User.Read": "Sign in and read user profile"}


@dataclass(frozen=True, slots=True)
class _Visit:
    """One visit of the page. ``directory`` None: of whoever signs in."""

    sandbox: Sandbox
    request: AuthorizationRequest
    path: str
    query: str
    directory: str | None

    def accounts(self) -> list[Account]:
        return [
            each
            for each in self.sandbox.state.accounts.values()
            if each.provider is Provider.MICROSOFT and self.directory in (None, each.directory)
        ]

    def account(self, email: str | None) -> Account | None:
        return next((each for each in self.accounts() if each.email == (email or "").casefold()), None)

    def directory_of(self, account: Account) -> Directory | None:
        """The directory, if the account may approve for it."""
        found = self.sandbox.state.directories.get(account.directory)
        return found if found is not None and account.email in found.administrators else None


@router.get("/adminconsent")
async def ask_administrator(tenant: str, http: Request, sandbox: CurrentSandbox) -> Response:
    """Ask an administrator to approve a client for everybody of a directory."""
    return _begin(_visit(sandbox, tenant, http.url.path, str(http.url.query)))


@router.post("/adminconsent", include_in_schema=False)
async def answer_admin_page(tenant: str, http: Request, sandbox: CurrentSandbox) -> Response:
    """Go on from the posted page."""
    form = await http.form(max_files=0, max_fields=20)
    return _proceed(_visit(sandbox, tenant, http.url.path, str(form.get("request", ""))), form)


def _visit(sandbox: Sandbox, tenant: str, path: str, query: str) -> _Visit:
    values: Mapping[str, str] = dict(parse_qsl(query, keep_blank_values=True))
    if tenant == "common":
        raise AuthorizationPageError(400, "invalid_request", "Use an organisation's tenant, or organizations.")
    client = find_client(sandbox, Provider.MICROSOFT, values.get("client_id", ""))
    if client is None:
        raise AuthorizationPageError(400, "AADSTS700016", "Application was not found in the directory.")
    if is_elsewhere(sandbox, client, tenant):
        refuse_other_directory()
    request = read_authorization_request(client, values)
    if not request.scopes:
        raise AuthorizationPageError(400, "AADSTS900144", "The request must contain the parameter: 'scope'.")
    return _Visit(sandbox, request, path, query, signing_in_to(sandbox, tenant))


def _begin(visit: _Visit) -> Response:
    consent = visit.sandbox.state.consent
    if consent.mode is ConsentMode.AUTO:
        account = visit.account(consent.account)
        if account is not None:
            return _answer_automatically(visit, account)
    return _page(visit, accounts=visit.accounts())


def _answer_automatically(visit: _Visit, account: Account) -> Response:
    consent = visit.sandbox.state.consent
    if consent.error is not None:
        description = {"error_description": consent.error_description} if consent.error_description else {}
        return redirect_back(visit.request, {"admin_consent": "True", "error": consent.error, **description})
    directory = visit.directory_of(account)
    return redirect_back(visit.request, _NO_ADMINISTRATOR) if directory is None else _approve(visit, directory)


def _proceed(visit: _Visit, form: FormData) -> Response:
    if form.get("decision") == "cancel":
        return redirect_back(visit.request, _DECLINED)
    account = visit.account(str(form.get("account", "")))
    if account is None:
        return _page(visit, accounts=visit.accounts())
    directory = visit.directory_of(account)
    if directory is None:
        if form.get("decision") == "return":
            return redirect_back(visit.request, _NO_ADMINISTRATOR)
        return _page(visit, "need_administrator.html", account=account, may_ask=False, requested=False)
    if form.get("decision") == "allow":
        return _approve(visit, directory)
    return _page(visit, account=account)


def _approve(visit: _Visit, directory: Directory) -> Response:
    approve(directory, visit.request.client_id, visit.request.scopes)
    granted = " ".join(visit.request.scopes)
    return redirect_back(visit.request, {"admin_consent": "True", "tenant": directory.id, "scope": granted})


def _page(visit: _Visit, template: str = "admin_consent.html", **context: object) -> Response:
    short = [scope.removeprefix(_GRAPH) for scope in visit.request.scopes if scope not in IDENTITY_SCOPES]
    common = {
        "provider": Provider.MICROSOFT.value,
        "query": visit.query,
        "action": visit.path,
        "client_id": visit.request.client_id,
        "asked": [_TEXTS.get(scope, scope) for scope in short],
    }
    return render(template, common | context)
