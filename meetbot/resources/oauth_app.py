"""A tenant's own OAuth app as customers see it. No answer holds its secret."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from meetbot.domain.event import Provider
from meetbot.resources.base import OneOf, Resource
from meetbot.storage.oauth_apps import AppUse


class AppState(StrEnum):
    """Whether new connections use an app."""

    ACTIVE = "active"
    RETIRED = "retired"


class RetiredApp(Resource):
    """An app that calendar users still use, although new connections do not."""

    client_id: str
    directory: str | None
    users: int
    error_code: str | None
    retired_at: datetime


class OAuthAppResource(Resource):
    """The app by which a tenant's calendars are connected at one provider."""

    provider: Annotated[str, OneOf(Provider)]
    client_id: str
    directory: str | None = Field(description="Of an application that is registered for one Microsoft directory only.")
    state: Annotated[str, OneOf(AppState)] = Field(
        description="`retired`: new connections use our app; the secret is kept for those who consented to this one, and is "
        "destroyed with the last of them."
    )
    users: int = Field(description="Calendar users who have given their consent to this app.")
    error_code: str | None = Field(
        description="`oauth_app_refused`: the provider refused the app when it was last asked. Nobody is disconnected by that."
    )
    redirect_uri: str = Field(description="Register this address at the provider, character by character.")
    retired: list[RetiredApp] = Field(description="Other apps that calendar users still use until they reconnect.")
    created_at: datetime
    updated_at: datetime


def oauth_app_resource(apps: Sequence[AppUse], *, redirect_uri: str) -> OAuthAppResource:
    """Return the resource of a tenant's apps at a provider, of which there is one at least.

    They are as `list_apps` orders them.
    """
    first, app = apps[0], apps[0].app
    return OAuthAppResource(
        provider=app.provider,
        client_id=app.client_id,
        directory=app.directory,
        state=AppState.ACTIVE if app.retired_at is None else AppState.RETIRED,
        users=first.users,
        error_code=app.error_code,
        redirect_uri=redirect_uri,
        retired=[_retired(other) for other in apps[1:]],
        created_at=app.created_at,
        updated_at=app.updated_at,
    )


def _retired(use: AppUse) -> RetiredApp:
    app = use.app
    return RetiredApp(
        client_id=app.client_id,
        directory=app.directory,
        users=use.users,
        error_code=app.error_code,
        retired_at=app.retired_at or app.updated_at,
    )
