"""Authorization requests (RFC 6749 section 4.1.1): read them, and return to the client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from fastapi.responses import RedirectResponse, Response

from sandbox.login.clients import is_registered
from sandbox.login.records import RegisteredClient


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """An authorization request of either provider, with a known client and redirect address.

    ``challenge`` is PKCE's `code_challenge` (RFC 7636). ``offline`` is Google's `access_type=offline`.
    """

    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    state: str | None
    nonce: str | None
    challenge: str | None
    login_hint: str | None
    prompts: frozenset[str]
    offline: bool


class AuthorizationPageError(Exception):
    """A request that must not be answered by a redirect; a page says why.

    Source: RFC 6749 section 4.1.2.1.
    """

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(code)
        self.status, self.code, self.detail = status, code, detail


def read_authorization_request(client: RegisteredClient, query: Mapping[str, str]) -> AuthorizationRequest:
    """Read the query of an authorization request that names a registered client.

    Raises `AuthorizationPageError` for a redirect address that is wrong or not registered.
    """
    return AuthorizationRequest(
        client_id=client.client_id,
        redirect_uri=_checked_redirect_uri(client, query.get("redirect_uri")),
        scopes=tuple(dict.fromkeys(query.get("scope", "").split())),
        state=query.get("state"),
        nonce=query.get("nonce"),
        challenge=query.get("code_challenge"),
        login_hint=query.get("login_hint"),
        prompts=frozenset(query.get("prompt", "").split()),
        offline=query.get("access_type") == "offline",
    )


def redirect_with_error(request: AuthorizationRequest, error: str, extra: Mapping[str, str] | None = None) -> Response:
    """Send the browser back to the client with an error code (RFC 6749 section 4.1.2.1)."""
    return redirect_back(request, {"error": error, **(extra or {})})


def redirect_back(request: AuthorizationRequest, parameters: Mapping[str, str]) -> Response:
    """Send the browser back to the client with these parameters and the client's `state`."""
    if request.state is not None:
        parameters = {**parameters, "state": request.state}
    separator = "&" if "?" in request.redirect_uri else "?"
    return RedirectResponse(f"{request.redirect_uri}{separator}{urlencode(parameters)}", 303)


def _checked_redirect_uri(client: RegisteredClient, uri: str | None) -> str:
    """Exactly a registered one. If none is registered: any http(s) address without a fragment."""
    parts = urlsplit(uri or "")
    if not uri or parts.scheme not in ("http", "https") or not parts.netloc or parts.fragment:
        raise AuthorizationPageError(400, "invalid_request", "redirect_uri is missing or is not an http(s) address")
    if not is_registered(client, uri):
        raise AuthorizationPageError(400, "redirect_uri_mismatch", "redirect_uri is not registered for this client")
    return uri
