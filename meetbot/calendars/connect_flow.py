"""Decisions of the connect flow: tokens, PKCE, the browser's cookie, redirects. Pure.

Ticket (in the address we hand out) and state (in the one the provider hands back) both read ``{tenant id}.{random}``: row
level security must know the tenant before the row can be looked up. Only their SHA-256 is stored. The PKCE verifier is
derived from the browser's cookie and so is stored nowhere: a database dump completes no consent.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from urllib.parse import SplitResult, unquote_plus, urlencode, urlsplit

from meetbot.domain.event import Provider
from meetbot.errors import Fault, InvalidInput
from meetbot.providers.sign_in_codes import wants_administrator
from meetbot.settings import Network

LIFETIME = timedelta(minutes=10)
MAX_REDIRECT_URL = 2048
_OUR_PARAMETERS = frozenset({"status", "error", "customer_user_id", "meetbot_calendar_user_id"})

_TOKEN_FORM = re.compile(r"([A-Za-z0-9_-]{1,64})\.([A-Za-z0-9_-]{43})")
_BROWSER_SECRET_FORM = re.compile(r"[A-Za-z0-9_-]{43}")
_RECONNECT_FORM = re.compile(r"([A-Za-z0-9_-]{1,64})\.(cu_[a-z2-7]{26})\.([A-Za-z0-9_-]{43})")
# RFC 3986's characters and nothing else: browsers and libraries disagree about all others.
_URL_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
_ISSUERS = {
    Provider.GOOGLE: "https://accounts.google.com",
    Provider.MICROSOFT: "https://login.microsoftonline.com",
}
# Google's: the administrator does not allow the client, or has not configured it (Workspace for Education).
# support.google.com/accounts/answer/16668185
_ADMINISTRATORS_REFUSALS = frozenset({"admin_policy_enforced", "access_not_configured"})
_DEFAULT_PORTS = {"https": 443, "http": 80}


class ConnectError(StrEnum):
    """The ``error=…`` that the customer's redirect URL gets."""

    ACCESS_DENIED = "access_denied"
    SCOPE_MISSING = "scope_missing"
    EXPIRED = "expired"
    ACCOUNT_MISMATCH = "account_mismatch"
    PROVIDER_ERROR = "provider_error"
    ADMIN_CONSENT_REQUIRED = "admin_consent_required"


@dataclass(frozen=True, slots=True)
class Token:
    """A ticket or a state. ``text`` travels, ``digest`` (SHA-256) is stored."""

    tenant_id: str
    text: str = field(repr=False)
    digest: bytes


def new_token(tenant_id: str) -> Token:
    """Return a fresh ticket or state: 256 random bits behind the tenant's id."""
    return _token(tenant_id, f"{tenant_id}.{secrets.token_urlsafe(32)}")


def read_token(text: str) -> Token | None:
    """Return the token in this text, None if `new_token` cannot have made it."""
    match = _TOKEN_FORM.fullmatch(text)
    return _token(match.group(1), text) if match else None


def _token(tenant_id: str, text: str) -> Token:
    return Token(tenant_id, text, hashlib.sha256(text.encode("ascii")).digest())


def new_browser_secret() -> str:
    """Return a fresh value for the browser's cookie: 256 random bits."""
    return secrets.token_urlsafe(32)


def is_browser_secret(value: str | None) -> bool:
    """Return whether `new_browser_secret` can have made this value."""
    return value is not None and _BROWSER_SECRET_FORM.fullmatch(value) is not None


def browser_hash(browser_secret: str) -> bytes:
    """Return the SHA-256 of a browser's secret, the only form in which it is stored."""
    return hashlib.sha256(browser_secret.encode("ascii")).digest()


def cookie_name(state: Token, *, secure: bool) -> str:
    """Return the cookie's name: one per attempt, so that two tabs do not disturb each other.

    The ``__Host-`` prefix keeps sibling hosts from planting one; browsers refuse it on plain http.
    """
    return f"{'__Host-' if secure else ''}meetbot_connect_{state.digest.hex()[:16]}"


def code_verifier(browser_secret: str, state: Token) -> str:
    """Return the PKCE verifier (RFC 7636: 43 characters) of this browser and this state."""
    return _base64url(hmac.digest(browser_secret.encode("ascii"), state.digest, "sha256"))


def reconnect_token(tenant_id: str, calendar_user_id: str, token_digest: bytes) -> str:
    """Return the token of a ``reconnect_url``, which dies with the next connection.

    It is bound to the digest of the stored ciphertext. It opens nothing but the consent screen for one calendar user; another
    account is refused at the end.
    """
    return f"{tenant_id}.{calendar_user_id}.{_base64url(_reconnect_mac(calendar_user_id, token_digest))}"


def reconnect_url(public_url: str, tenant_id: str, calendar_user_id: str, token_digest: bytes) -> str:
    """Return where the end-user connects the same calendar again."""
    token = reconnect_token(tenant_id, calendar_user_id, token_digest)
    return f"{public_url.rstrip('/')}/v1/calendar/reconnect/{token}"


@dataclass(frozen=True, slots=True)
class ReconnectClaim:
    """What a reconnect token claims. Nothing is proved before `holds_for`."""

    tenant_id: str
    calendar_user_id: str
    mac: str = field(repr=False)

    def holds_for(self, token_digest: bytes) -> bool:
        """Return whether the token was made for the ciphertext of this digest, in constant time."""
        expected = _base64url(_reconnect_mac(self.calendar_user_id, token_digest))
        return hmac.compare_digest(expected, self.mac)


def read_reconnect_token(text: str) -> ReconnectClaim | None:
    """Return the claim in this text, None if it is no reconnect token."""
    match = _RECONNECT_FORM.fullmatch(text)
    return ReconnectClaim(*match.groups()) if match else None


def _reconnect_mac(calendar_user_id: str, token_digest: bytes) -> bytes:
    return hmac.digest(token_digest, f"reconnect {calendar_user_id}".encode(), "sha256")


def callback_address(public_url: str, provider: str) -> str:
    """Return where a provider sends the browser back to.

    It is registered at the provider and compared there character by character, so it is never built from a Host header.
    """
    return f"{public_url.rstrip('/')}/v1/calendar/callback/{provider}"


def check_redirect_url(url: str, *, allowed_networks: Sequence[Network], origins: Sequence[str]) -> None:
    """Check that the browser may be sent to this URL with our answer.

    https, or http to an address inside `allowed_networks` (``localhost`` counts as the loopback address); under one of the
    tenant's `origins` if it has any. No fragment, no user name, and none of the parameters that we add: of two with one name
    many servers read the first. Raises `InvalidInput` (``invalid_redirect_url``).
    """
    reason = _fault_of_url(url, allowed_networks)
    if reason is None and not _OUR_PARAMETERS.isdisjoint(_names_in(urlsplit(url).query)):
        reason = f"must not carry what we add: {', '.join(sorted(_OUR_PARAMETERS))}"
    if reason is None and origins and origin_of(url) not in {origin_of(origin) for origin in origins}:
        reason = "is under none of the tenant's redirect_origins"
    if reason is not None:
        raise InvalidInput(
            "invalid_redirect_url", f"redirect_url {reason}", (Fault("redirect_url", "invalid_redirect_url", reason),)
        )


def _names_in(query: str) -> set[str]:
    """Return the names in a query, as lenient servers read them: ``a;b[]=c`` has two."""
    return {unquote_plus(part.partition("=")[0]).partition("[")[0].strip() for part in re.split("[&;]", query)}


def check_origin(origin: str, *, allowed_networks: Sequence[Network]) -> None:
    """Check that this is a scheme, a host and perhaps a port, and nothing else.

    Raises `InvalidInput` (``invalid_origin``).
    """
    reason = _fault_of_url(origin, allowed_networks)
    if reason is None and (urlsplit(origin).path not in ("", "/") or urlsplit(origin).query or "?" in origin):
        reason = "has more than a scheme, a host and a port"
    if reason is not None:
        raise InvalidInput(
            "invalid_origin", f"an origin {reason}", (Fault("redirect_origins", "invalid_origin", reason),)
        )


def origin_of(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port (RFC 6454). Raises ``ValueError`` if there are none."""
    parts = urlsplit(url)
    port = parts.port if parts.port is not None else _DEFAULT_PORTS.get(parts.scheme, 0)
    return parts.scheme, (parts.hostname or "").rstrip("."), port


def result_url(redirect_url: str, parameters: Iterable[tuple[str, str]]) -> str:
    """Return the customer's URL with our answer added to the query it has."""
    query = urlencode(list(parameters))
    if "?" not in redirect_url:
        return f"{redirect_url}?{query}"
    return f"{redirect_url}{'' if redirect_url.endswith(('?', '&')) else '&'}{query}"


def error_from_provider(error: str, description: str) -> ConnectError:
    """Return what the provider's ``error`` parameter means to the customer.

    Microsoft reports most things as ``access_denied`` and tells them apart by the AADSTS number in the description.
    """
    if error in _ADMINISTRATORS_REFUSALS or wants_administrator(description):
        return ConnectError.ADMIN_CONSENT_REQUIRED
    if error in ("access_denied", "consent_required"):
        return ConnectError.ACCESS_DENIED
    return ConnectError.PROVIDER_ERROR


def is_issuer_of(provider: Provider, authorize_url: str, issuer: str) -> bool:
    """Return whether the ``iss`` parameter (RFC 9207) names the server asked, or the provider.

    A server that stands in for the provider may call itself by either name, as in its ID tokens.
    """
    try:
        return origin_of(issuer) in (origin_of(authorize_url), origin_of(_ISSUERS[provider]))
    except ValueError:
        return False


def _fault_of_url(url: str, allowed_networks: Sequence[Network]) -> str | None:
    if len(url) > MAX_REDIRECT_URL or not _URL_CHARACTERS.fullmatch(url):
        return f"must be a URL of at most {MAX_REDIRECT_URL} characters"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "must be a URL"
    if parts.username is not None or parts.password is not None or parts.fragment or url.endswith("#"):
        return "must have neither a user name nor a fragment"
    if not parts.hostname or port == 0 or "*" in parts.hostname:
        return "must name one host"
    return _fault_of_scheme(parts, allowed_networks)


def _fault_of_scheme(parts: SplitResult, allowed_networks: Sequence[Network]) -> str | None:
    if parts.scheme == "https":
        return None
    if parts.scheme == "http" and _is_inside(parts.hostname or "", allowed_networks):
        return None
    return "must be https"


def _is_inside(host: str, networks: Sequence[Network]) -> bool:
    names = ("127.0.0.1", "::1") if host == "localhost" else (host,)
    try:
        addresses = [ipaddress.ip_address(name) for name in names]
    except ValueError:
        return False
    return any(address in network for address in addresses for network in networks)


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")
