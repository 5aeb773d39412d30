"""The tenant's own OAuth apps, so that the consent screen shows the tenant's name."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import AfterValidator, BaseModel, Field, SecretStr
from pydantic_core import PydanticCustomError
from sqlmodel import Session

from api.audit import record
from api.auth import Caller, Scope, requires
from api.connect.authorize import redirect_uri
from api.dependencies import ApiServices, InjectedServices
from api.problems import COMMON, Problem, described, not_found
from api.routers.connect import ProviderName, provider_named
from api.schemas import Body
from meetbot.calendars.oauth_app_checks import AppCheck, CheckName, SeenFromOutside, check_app
from meetbot.calendars.oauth_clients import app_secret_binding, destroy_retired
from meetbot.domain.event import Provider
from meetbot.errors import Fault
from meetbot.resources.base import OneOf
from meetbot.resources.oauth_app import OAuthAppResource, oauth_app_resource
from meetbot.storage.oauth_apps import (
    AppUse,
    NewApp,
    consents_seen,
    list_apps,
    lock_apps,
    present_app,
    put_app,
    retire_app,
)
from meetbot.vault.sealing import seal_with

router = APIRouter(prefix="/oauth-apps/{provider}", tags=["tenant"])

Reader = Annotated[Caller, Depends(requires(Scope.TENANT_READ))]
Writer = Annotated[Caller, Depends(requires(Scope.TENANT_WRITE))]

_MOST_CONSENTS = 500
# RFC 6749 A.1 and A.2: visible ASCII, and for the secret the space.
_SECRET = re.compile(r"[\x20-\x7e]{1,1024}")


def _checked_secret(value: SecretStr) -> SecretStr:
    # Not by a pattern of the type: its error would quote the secret.
    if not _SECRET.fullmatch(value.get_secret_value()):
        raise PydanticCustomError("invalid_secret", "must be 1 to 1024 characters of printable ASCII")
    return value


class OAuthAppRequest(Body):
    """A client that you have registered at the provider."""

    client_id: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")] = Field(
        examples=["1234-abcd.apps.googleusercontent.com"]
    )
    client_secret: Annotated[SecretStr, AfterValidator(_checked_secret)] = Field(
        description="Sealed at once with your tenant's key. No answer shows it."
    )
    directory: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*$")] | None = (
        Field(
            default=None,
            description="Microsoft only: the directory of an application that is registered for this one alone.",
            examples=["4f1d2f0e-0000-4000-8000-000000000000"],
        )
    )


class OAuthAppCheck(BaseModel):
    """One check of an app."""

    check: Annotated[str, OneOf(CheckName)]
    ok: bool | None = Field(description="Null: it cannot be seen from outside, or not yet.")
    detail: str
    next_step: str = Field(description="What to do; empty if there is nothing to do.")


class OAuthAppChecks(BaseModel):
    """All checks of an app."""

    data: list[OAuthAppCheck]


@router.put("", responses=COMMON | described(404), summary="Use your own OAuth app")
def put_oauth_app(
    provider: ProviderName, body: OAuthAppRequest, caller: Writer, services: InjectedServices
) -> OAuthAppResource:
    """Have the tenant's next connections ask for consent to your own app.

    Calendar users that exist stay on the app that they consented to until they reconnect. The same `client_id` again replaces
    its secret; another one retires the app before it.
    """
    wanted = provider_named(provider)
    _check(services, wanted, body)
    # Before the transaction begins, since the key management service may take its time.
    binding = app_secret_binding(services.settings.region, caller.tenant_id, wanted, body.client_id)
    secret = body.client_secret.get_secret_value().encode("ascii")
    sealed = seal_with(services.vault.new_data_key(caller.tenant_id), secret, binding)
    with services.database.transaction(caller.tenant_id) as session:
        now = services.clock()
        lock_apps(session, caller.tenant_id, wanted)
        put_app(session, caller.tenant_id, wanted, NewApp(body.client_id, body.directory, sealed), now=now)
        destroy_retired(session, caller.tenant_id, wanted, now=now)
        shown = _resource(services, wanted, list_apps(session, caller.tenant_id, wanted))
        record(session, caller, wanted, {"client_id": body.client_id})
    return shown


@router.get("", responses=COMMON | described(404), summary="Get your own OAuth app")
def get_oauth_app(provider: ProviderName, caller: Reader, services: InjectedServices) -> OAuthAppResource:
    """Return the app, and those that are retired and still in use. The secret is never shown."""
    wanted = provider_named(provider)
    with services.database.transaction(caller.tenant_id) as session:
        apps = _apps_or_404(session, caller, wanted)
    return _resource(services, wanted, apps)


@router.delete("", status_code=204, responses=COMMON | described(404), summary="Go back to our OAuth app")
def delete_oauth_app(provider: ProviderName, caller: Writer, services: InjectedServices) -> Response:
    """Have the tenant's next connections ask for consent to our app again.

    While calendar users still use yours, it is retired: its secret is destroyed when the last of them is gone or has connected
    again. Repeating it changes nothing.
    """
    wanted = provider_named(provider)
    with services.database.transaction(caller.tenant_id) as session:
        now = services.clock()
        lock_apps(session, caller.tenant_id, wanted)
        present = _apps_or_404(session, caller, wanted)[0].app
        if present.retired_at is None:
            client_id = present.client_id
            retire_app(session, caller.tenant_id, wanted, now=now)
            destroy_retired(session, caller.tenant_id, wanted, now=now)
            record(session, caller, wanted, {"client_id": client_id})
    return Response(status_code=204)


@router.post("/check", responses=COMMON | described(404), summary="Check your own OAuth app")
def check_oauth_app(provider: ProviderName, caller: Writer, services: InjectedServices) -> OAuthAppChecks:
    """Say what the app's registration still lacks, as far as that can be seen from outside.

    The provider's token endpoint is offered a code that cannot be good: its refusal tells whether it takes the client.
    """
    wanted = provider_named(provider)
    with services.database.transaction(caller.tenant_id) as session:
        app = present_app(session, caller.tenant_id, wanted)
        if app is None:
            raise not_found("oauth_app")
        consents = consents_seen(session, app, most=_MOST_CONSENTS)
        record(session, caller, wanted, {"client_id": app.client_id})
    seen = SeenFromOutside(
        provider=wanted,
        redirect_uri=redirect_uri(services, wanted),
        probe=services.orchestrator.probe_oauth_app(caller.tenant_id, app.id),
        consents=consents,
        missing_scopes=services.providers[wanted].missing_scopes,
        now=services.clock(),
    )
    return OAuthAppChecks(data=[_shown(check) for check in check_app(seen)])


def _check(services: ApiServices, provider: Provider, body: OAuthAppRequest) -> None:
    if body.directory is not None and provider is not Provider.MICROSOFT:
        raise _invalid("directory", "microsoft_only", "only Microsoft's applications have a directory")
    ours = services.clients.get(provider)
    if ours is not None and ours.client_id == body.client_id:
        raise _invalid("client_id", "client_is_ours", "this is our own client: DELETE your app to use it")


def _invalid(field: str, code: str, message: str) -> Problem:
    return Problem(422, "invalid_input", f"{field}: {message}", faults=(Fault(field, code, message),))


def _apps_or_404(session: Session, caller: Caller, provider: Provider) -> list[AppUse]:
    apps = list_apps(session, caller.tenant_id, provider)
    if not apps:
        raise not_found("oauth_app")
    return apps


def _resource(services: ApiServices, provider: Provider, apps: list[AppUse]) -> OAuthAppResource:
    return oauth_app_resource(apps, redirect_uri=redirect_uri(services, provider))


def _shown(check: AppCheck) -> OAuthAppCheck:
    fields: dict[str, Any] = {
        "check": check.check.value,
        "ok": check.ok,
        "detail": check.detail,
        "next_step": check.next_step,
    }
    return OAuthAppCheck(**fields)
