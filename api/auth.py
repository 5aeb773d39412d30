"""Authentication by API key, scopes, and the rate limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlmodel import Session

from api.admission import unauthorized
from api.dependencies import ApiServices, InjectedServices
from api.problems import Problem
from meetbot.storage.keys import act_for_tenant, find_key
from meetbot.storage.rate_limits import Allowance, take_token
from meetbot.storage.tables import ApiKey
from meetbot.storage.tenants import find_tenant
from meetbot.tenants.api_keys import matches_hash, public_id_in

_bearer = HTTPBearer(
    scheme_name="api_key",
    description="An API key: `mb_live_…` or `mb_test_…`.",
    bearerFormat="API key",
    auto_error=False,
)


class Scope(StrEnum):
    """What an API key may be limited to. A key with ``*`` may do everything."""

    CALENDARS_READ = "calendars:read"
    CALENDARS_WRITE = "calendars:write"
    RULES_READ = "rules:read"
    RULES_WRITE = "rules:write"
    BOTS_READ = "bots:read"
    BOTS_WRITE = "bots:write"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    TENANT_READ = "tenant:read"
    TENANT_WRITE = "tenant:write"


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated request. ``api_key`` is the key in clear and never leaves this process."""

    tenant_id: str
    key_id: str
    scopes: frozenset[str]
    api_key: str = field(repr=False)

    def may(self, scope: Scope) -> bool:
        """Return whether the key has this scope."""
        return "*" in self.scopes or scope in self.scopes


@dataclass(frozen=True, slots=True)
class _Authenticated:
    caller: Caller
    region: str
    allowance: Allowance | None


def requires(*scopes: Scope) -> Callable[..., Caller]:
    """Return the dependency by which a route takes its caller, who must have these scopes.

    ``caller: Annotated[Caller, Depends(requires(Scope.RULES_READ))]``
    """

    def authenticate(
        request: Request,
        services: InjectedServices,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    ) -> Caller:
        caller = _authenticate(request, services, credentials)
        for scope in scopes:
            if not caller.may(scope):
                raise Problem(403, "missing_scope", f"the API key lacks the scope {scope}")
        return caller

    return authenticate


def _authenticate(request: Request, services: ApiServices, credentials: HTTPAuthorizationCredentials | None) -> Caller:
    api_key = credentials.credentials if credentials is not None else ""
    public_id = public_id_in(api_key)
    if public_id is None:
        raise unauthorized()
    with services.database.key_lookup(public_id) as session:
        authenticated = _look_up(session, api_key, public_id, per_minute=services.settings.rate_limit_per_minute)
    if authenticated is None:
        raise unauthorized()
    request.state.tenant_id, request.state.key_id = authenticated.caller.tenant_id, authenticated.caller.key_id
    _enforce(request, authenticated, services.settings.region)
    return authenticated.caller


def _look_up(session: Session, api_key: str, public_id: str, *, per_minute: int) -> _Authenticated | None:
    key = find_key(session, public_id)
    if not _is_good(key, api_key):
        return None
    assert key is not None  # noqa: S101 - for the type checker: none is not good
    act_for_tenant(session, key.tenant_id)
    tenant = find_tenant(session, key.tenant_id)
    if tenant is None:
        return None
    allowance = take_token(session, key.tenant_id, public_id, per_minute=per_minute) if per_minute else None
    caller = Caller(key.tenant_id, public_id, frozenset(key.scopes), api_key)
    return _Authenticated(caller, tenant.region, allowance)


def _is_good(key: ApiKey | None, api_key: str) -> bool:
    # The comparison is made for an unknown key too, so that both take the same time.
    proven = matches_hash(api_key, key.secret_hash if key is not None else b"")
    return key is not None and proven and key.revoked_at is None


def _enforce(request: Request, authenticated: _Authenticated, region: str) -> None:
    if authenticated.allowance is not None:
        request.state.rate_headers = _rate_headers(authenticated.allowance)
        if authenticated.allowance.is_exhausted:
            raise Problem(
                429,
                "rate_limited",
                f"more than {authenticated.allowance.limit} requests a minute",
                headers={"Retry-After": str(authenticated.allowance.retry_after_seconds)},
            )
    if authenticated.region != region:
        raise Problem(421, "wrong_region", f"this tenant lives in the region {authenticated.region}; ask its host")


def _rate_headers(allowance: Allowance) -> dict[str, str]:
    return {
        "RateLimit-Limit": str(allowance.limit),
        "RateLimit-Remaining": str(allowance.remaining),
        "RateLimit-Reset": str(allowance.reset_seconds),
    }
