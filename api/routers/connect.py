"""Requests that begin to connect a calendar, for the first time or again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from fastapi.responses import Response
from pydantic import BaseModel, Field
from sqlmodel import Session

from api.audit import record
from api.auth import Caller, Scope, requires
from api.connect.authorize import (
    IssuedTicket,
    RequestedConnection,
    authorize_url,
    issue_ticket,
    requested_continuation,
    requested_reconnection,
)
from api.dependencies import ApiServices, InjectedServices
from api.idempotency import Creation
from api.problems import COMMON, Problem, described, not_found
from api.schemas import Attributes, Body, ShortText
from meetbot.calendars.connect_flow import MAX_REDIRECT_URL
from meetbot.domain.event import Provider
from meetbot.rules import RuleSetBody
from meetbot.storage.calendar_users import find_calendar_user
from meetbot.storage.waiting_users import find_waiting

router = APIRouter(tags=["connect"])

ProviderName = Annotated[str, Path(description="`google` or `microsoft`.", json_schema_extra={"enum": list(Provider)})]
RedirectUrl = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_REDIRECT_URL,
        description="Where the browser goes at the end, with `status=connected&meetbot_calendar_user_id=…&customer_user_id=…` "
        "or `status=error&error=…&customer_user_id=…`. https, and under the tenant's `redirect_origins` if it has any.",
        examples=["https://app.example.com/calendar/connected"],
    ),
]


class ConnectRequest(Body):
    """Which end-user's calendar to connect."""

    customer_user_id: ShortText = Field(description="Your own id of the end-user.", examples=["user-4711"])
    redirect_url: RedirectUrl | None = None
    login_hint: ShortText | None = Field(default=None, description="The address to offer on the provider's page.")
    attributes: Attributes | None = Field(
        default=None, description="What rules may name with a leading `$`. Connecting again with some replaces them."
    )
    rules: RuleSetBody | None = Field(
        default=None,
        description="The calendar user's first rule set; takes a key that may write rules too (`rules:write`). A calendar "
        "user that exists keeps its own.",
    )


class ConnectAnswer(BaseModel):
    """The address to send the end-user's browser to."""

    authorization_url: str = Field(description="Send the end-user's browser there. It works once.")
    expires_at: datetime


@router.post(
    "/calendar/connect/{provider}",
    status_code=201,
    response_model=ConnectAnswer,
    responses=COMMON | described(404, 409),
    summary="Begin to connect a calendar",
)
def connect_calendar(
    provider: ProviderName,
    body: ConnectRequest,
    caller: Annotated[Caller, Depends(requires(Scope.CALENDARS_WRITE))],
    services: InjectedServices,
    creation: Creation,
) -> Response:
    """Return a URL of ours that begins the provider's consent.

    A calendar user is the provider's account together with your `customer_user_id`: connecting the same again keeps its id.
    """
    if body.rules is not None and not caller.may(Scope.RULES_WRITE):
        raise Problem(403, "missing_scope", f"the API key lacks the scope {Scope.RULES_WRITE}, which rules take")
    requested = RequestedConnection(
        provider=provider_named(provider),
        customer_user_id=body.customer_user_id,
        redirect_url=body.redirect_url,
        login_hint=body.login_hint,
        attributes=body.attributes,
        rules=body.rules.document() if body.rules is not None else None,
    )

    def create(session: Session) -> ConnectAnswer:
        issued = issue_ticket(session, services, caller.tenant_id, requested)
        record(session, caller, provider)
        return _answer(services, issued)

    return creation.answer(201, caller, create)


class ReconnectRequest(Body):
    """The address that the browser is sent to at the end."""

    redirect_url: RedirectUrl | None = None


@router.post(
    "/calendar/users/{calendar_user_id}/reconnect",
    status_code=201,
    response_model=ConnectAnswer,
    responses=COMMON | described(404, 409),
    summary="Give access to a calendar again",
)
def reconnect_calendar_user(
    calendar_user_id: str,
    caller: Annotated[Caller, Depends(requires(Scope.CALENDARS_WRITE))],
    services: InjectedServices,
    creation: Creation,
    body: ReconnectRequest | None = None,
) -> Response:
    """Return a URL that gives access to a known account again.

    Another account ends in `account_mismatch` and changes nothing. One that waits for an administrator is connected for the
    first time by it.
    """
    redirect_url = body.redirect_url if body is not None else None

    def create(session: Session) -> ConnectAnswer:
        user = find_calendar_user(session, caller.tenant_id, calendar_user_id)
        waiting = find_waiting(session, caller.tenant_id, calendar_user_id, now=services.clock())
        if user is not None:
            requested = requested_reconnection(user, redirect_url)
        elif waiting is not None:
            requested = requested_continuation(waiting, redirect_url)
        else:
            raise not_found("calendar_user")
        issued = issue_ticket(session, services, caller.tenant_id, requested)
        record(session, caller, calendar_user_id)
        return _answer(services, issued)

    return creation.answer(201, caller, create)


def _answer(services: ApiServices, issued: IssuedTicket) -> ConnectAnswer:
    return ConnectAnswer(authorization_url=authorize_url(services, issued.ticket), expires_at=issued.expires_at)


def provider_named(name: str) -> Provider:
    """Return the provider of this name. Raises the problem ``provider_unknown``."""
    try:
        return Provider(name)
    except ValueError:
        raise Problem(404, "provider_unknown", "the providers are google and microsoft") from None
