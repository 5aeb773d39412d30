"""Microsoft's directories: their administrators' consent, and finding one by a domain.

Sources: learn.microsoft.com/entra/identity-platform/v2-admin-consent and …/v2-protocols-oidc.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import httpx

from meetbot.domain.event import Provider
from meetbot.providers.http import Deadline, error_object, send
from meetbot.providers.oauth import url_with_query

ANY_ORGANISATION: Final = "organizations"
NO_DIRECTORIES: Final = frozenset({"common", "organizations", "consumers"})
"""What stands for several directories in the login address."""

_GRAPH: Final = "https://graph.microsoft.com/"
_GUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_ISSUER: Final = re.compile(r"https://[a-z0-9.-]{1,253}/([0-9a-f-]{36})/v2\.0")
_DOMAIN: Final = re.compile(r"(?=.{3,253}\Z)[a-z0-9](?:[a-z0-9-]{0,62})(?:\.[a-z0-9](?:[a-z0-9-]{0,62}))+")
_ANSWER_LIMIT: Final = 64 * 1024


def read_directory_id(value: str) -> str | None:
    """Return a directory's id in lower case, None if this is none."""
    lowered = value.strip().lower()
    return lowered if len(lowered) == 36 and _GUID.fullmatch(lowered) else None


def admin_consent_address(
    login_url: str, directory: str, *, client_id: str, redirect_uri: str, state: str, scopes: tuple[str, ...]
) -> str:
    """Return the address of the page on which an administrator approves a client."""
    query: Mapping[str, str] = {
        "client_id": client_id,
        # Graph's permissions are named in full here, so that they are no other resource's.
        "scope": " ".join(f"{_GRAPH}{scope}" if "." in scope else scope for scope in scopes),
        "redirect_uri": redirect_uri,
        "state": state,
    }
    return url_with_query(f"{login_url.rstrip('/')}/{quote(directory, safe='')}/v2.0/adminconsent", query)


def domain_of(address: str | None) -> str | None:
    """Return the domain of an address in lower case, None if it has none that can be looked up."""
    domain = (address or "").rpartition("@")[2].strip().lower()
    return domain if _DOMAIN.fullmatch(domain) else None


def look_up_directory(http: httpx.Client, login_url: str, domain: str, *, timeout_seconds: float) -> str | None:
    """Return the id of the directory that has this domain, None if none has.

    Raises `RetryLater`.
    """
    answer = send(
        http,
        "GET",
        f"{login_url.rstrip('/')}/{quote(domain, safe='')}/v2.0/.well-known/openid-configuration",
        provider=Provider.MICROSOFT,
        deadline=Deadline(timeout_seconds),
        limit=_ANSWER_LIMIT,
    )
    if not answer.ok:
        return None
    issuer = error_object(answer).get("issuer")
    match = _ISSUER.fullmatch(issuer.lower()) if isinstance(issuer, str) else None
    return read_directory_id(match.group(1)) if match else None
