"""Authentication by API key, scopes, and the rate limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlmodel import Session

from api.access import access_to, route_path
from api.admission import unauthorized
from api.dependencies import ApiServices, InjectedServices
from api.problems import Problem
from meetbot.settings import Settings
from meetbot.storage.keys import act_for_tenant, find_key, note_use
from meetbot.storage.rate_limits import Allowance, take_token
from meetbot.storage.tables import ApiKey, Tenant
from meetbot.storage.tenants import find_tenant
from meetbot.tenants.api_keys import KeyMode, is_working, matches_hash, public_id_in
from meetbot.tenants.regions import address_in
from meetbot.tenants.scopes import Scope as Scope
from meetbot.tenants.scopes import has_scope

_bearer = HTTPBearer(
    scheme_name="api_key",
    description="An API key: `mb_live_…` or `mb_test_…`.",
    bearerFormat="API key",
    auto_error=False,
)


@dataclass(frozen=True, slots=True)
class RequestOrigin:
    """What the audit log says about a request. ``path`` is the route's template."""

    method: str
    path: str
    request_id: str
    ip: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated request. ``api_key`` is the key in clear and never leaves this process."""

    tenant_id: str
    key_id: str
    scopes: frozenset[str]
    expires_at: datetime | None
    origin: RequestOrigin
    api_key: str = field(repr=False)

    def may(self, scope: Scope) -> bool:
        """Return whether the key has this scope."""
        return has_scope(self.scopes, scope)


@dataclass(frozen=True, slots=True)
class _Authenticated:
    caller: Caller
    allowance: Allowance | None


def requires(*scopes: Scope) -> Callable[..., Caller]:
    """Return the dependency by which a route takes its caller, who must have these scopes.

    ``caller: Annotated[Caller, Depends(requires(Scope.RULES_READ))]``

    A route has the same scopes in `api.access`; a route that is not there lets no key pass.
    """

    def authenticate(
        request: Request,
        services: InjectedServices,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    ) -> Caller:
        caller = authenticate_key(request, services, credentials.credentials if credentials is not None else "")
        for scope in {*scopes, *access_to(caller.origin.method, caller.origin.path).scopes}:
            if not caller.may(scope):
                raise Problem(403, "missing_scope", f"the API key lacks the scope {scope}")
        return caller

    authenticate.scopes = scopes  # type: ignore[attr-defined]
    return authenticate


def authenticate_key(request: Request, services: ApiServices, api_key: str) -> Caller:
    """Return the caller of this key, whatever its scopes.

    Raises the problem ``unauthorized`` for a key that does not work.
    """
    public_id = public_id_in(api_key)
    if public_id is None:
        raise unauthorized()
    with services.database.key_lookup(public_id) as session:
        authenticated = _look_up(session, services, request, api_key, public_id)
    if authenticated is None:
        raise unauthorized()
    request.state.tenant_id, request.state.key_id = authenticated.caller.tenant_id, authenticated.caller.key_id
    _enforce(request, authenticated)
    return authenticated.caller


def _look_up(
    session: Session, services: ApiServices, request: Request, api_key: str, public_id: str
) -> _Authenticated | None:
    """Return who calls, None for a key that does not work (any more).

    The row is read at every request, by every process: nothing outlives a key's revocation.
    """
    now, key = services.clock(), find_key(session, public_id)
    if not _is_good(key, api_key, now):
        return None
    assert key is not None  # noqa: S101 - for the type checker: none is not good
    act_for_tenant(session, key.tenant_id)
    tenant = find_tenant(session, key.tenant_id)
    if tenant is None or not _may_see(key, tenant):
        return None
    if tenant.region != services.settings.region:
        # Before anything is counted: nothing of this tenant is stored here.
        raise _wrong_region(tenant, services.settings)
    note_use(session, key, now=now)
    per_minute = services.settings.rate_limit_per_minute
    allowance = take_token(session, key.tenant_id, public_id, per_minute=per_minute) if per_minute else None
    caller = Caller(key.tenant_id, public_id, frozenset(key.scopes), key.expires_at, _origin(request, now), api_key)
    return _Authenticated(caller, allowance)


def _is_good(key: ApiKey | None, api_key: str, now: datetime) -> bool:
    # The comparison is made for an unknown key too, so that both take the same time.
    proven = matches_hash(api_key, key.secret_hash if key is not None else b"")
    return key is not None and proven and is_working(key, now=now)


def _may_see(key: ApiKey, tenant: Tenant) -> bool:
    """A test key sees only tenants for trying out."""
    return key.mode != KeyMode.TEST or tenant.mode == KeyMode.TEST


def _origin(request: Request, now: datetime) -> RequestOrigin:
    return RequestOrigin(
        method=request.method,
        path=route_path(request),
        request_id=getattr(request.state, "request_id", ""),
        ip=request.client.host[:64] if request.client is not None else "",
        at=now,
    )


def _wrong_region(tenant: Tenant, settings: Settings) -> Problem:
    known = tenant.home_url or address_in(tenant.region, public_url=settings.public_url, own_region=settings.region)
    where = f"ask {known}" if known is not None else "ask its host"
    return Problem(421, "wrong_region", f"this tenant lives in the region {tenant.region}; {where}", base_url=known)


def _enforce(request: Request, authenticated: _Authenticated) -> None:
    if authenticated.allowance is not None:
        request.state.rate_headers = _rate_headers(authenticated.allowance)
        if authenticated.allowance.is_exhausted:
            raise Problem(
                429,
                "rate_limited",
                f"more than {authenticated.allowance.limit} requests a minute",
                headers={"Retry-After": str(authenticated.allowance.retry_after_seconds)},
            )


def _rate_headers(allowance: Allowance) -> dict[str, str]:
    return {
        "RateLimit-Limit": str(allowance.limit),
        "RateLimit-Remaining": str(allowance.remaining),
        "RateLimit-Reset": str(allowance.reset_seconds),
    }
