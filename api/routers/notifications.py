"""Push notifications of the calendar providers. They carry nothing but "look"."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, cast

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from api.dependencies import ApiServices, InjectedServices
from api.problems import Problem, described
from api.push_signals import PushSignals
from meetbot.domain.event import Provider
from meetbot.providers.times import parse_instant
from meetbot.push.notifications import Belief, Notice, NoticeKind, take_notices

router = APIRouter(prefix="/notifications", tags=["notifications"])

_LONGEST_ID = 64
_LONGEST_SECRET = 256
_LONGEST_NAME = 1024
_MOST_ITEMS = 250
_LIFECYCLE = {
    "reauthorizationRequired": NoticeKind.RENEW,
    "subscriptionRemoved": NoticeKind.REMOVED,
    "missed": NoticeKind.MISSED,
}
_ERRORS = described(400, 401, 404, 413, 415, 422, 429, 503)
_HeaderText = Annotated[str, Header(max_length=_LONGEST_NAME)]


class ChangedThing(BaseModel):
    """One item of a notification of Microsoft's; everything else in it is ignored."""

    subscriptionId: Annotated[str | None, Field(max_length=_LONGEST_NAME)] = None  # noqa: N815 - Microsoft's name
    subscriptionExpirationDateTime: Annotated[str | None, Field(max_length=64)] = None  # noqa: N815
    clientState: Annotated[str | None, Field(max_length=_LONGEST_SECRET)] = None  # noqa: N815
    lifecycleEvent: Annotated[str | None, Field(max_length=64)] = None  # noqa: N815


class ChangedThings(BaseModel):
    """A notification of Microsoft's. It may be about several subscriptions."""

    value: Annotated[list[ChangedThing], Field(max_length=_MOST_ITEMS)]


@router.post(
    "/google", status_code=204, response_class=Response, responses=_ERRORS, summary="Take Google's notification"
)
def take_google(
    request: Request,
    services: InjectedServices,
    x_goog_channel_id: _HeaderText = "",
    x_goog_channel_token: _HeaderText = "",
    x_goog_resource_id: _HeaderText = "",
    x_goog_resource_state: _HeaderText = "",
    x_goog_channel_expiration: _HeaderText = "",
) -> None:
    """Have the calendar of a channel synced.

    The channel's id, token and resource must be those of a live channel of ours. The state `sync` says that the channel is
    open, and is only acknowledged.
    """
    kind = NoticeKind.OPENED if x_goog_resource_state == "sync" else NoticeKind.CHANGED
    notice = Notice(
        Provider.GOOGLE,
        _possible_id(x_goog_channel_id),
        x_goog_channel_token,
        kind,
        resource_id=x_goog_resource_id or None,
        expires_at=_http_date(x_goog_channel_expiration),
    )
    _take(request, services, [notice])


@router.post(
    "/microsoft",
    status_code=202,
    response_class=PlainTextResponse,
    responses=_ERRORS | {200: {"description": "The `validationToken`, echoed.", "content": {"text/plain": {}}}},
    summary="Take Microsoft's notification",
)
def take_microsoft(
    request: Request,
    services: InjectedServices,
    body: ChangedThings | None = None,
    validation_token: Annotated[str | None, Query(alias="validationToken", max_length=2048)] = None,
) -> Response:
    """Have the calendars of subscriptions synced, or echo the `validationToken`.

    The `clientState` of an item must be that of a live subscription of ours. Items of unknown ones are passed over if there
    are good ones beside them.
    """
    if validation_token is not None:
        return PlainTextResponse(validation_token, status_code=200)
    _take(request, services, [_notice(item, NoticeKind.CHANGED) for item in _items(body)])
    return Response(status_code=202)


@router.post(
    "/microsoft/lifecycle",
    status_code=202,
    response_class=PlainTextResponse,
    responses=_ERRORS | {200: {"description": "The `validationToken`, echoed.", "content": {"text/plain": {}}}},
    summary="Take Microsoft's lifecycle notification",
)
def take_microsoft_lifecycle(
    request: Request,
    services: InjectedServices,
    body: ChangedThings | None = None,
    validation_token: Annotated[str | None, Query(alias="validationToken", max_length=2048)] = None,
) -> Response:
    """Renew a subscription, open it anew or look at its calendar, or echo the `validationToken`.

    Obeyed are `reauthorizationRequired`, `subscriptionRemoved` and `missed`; any other event leads to a look at the calendar.
    """
    if validation_token is not None:
        return PlainTextResponse(validation_token, status_code=200)
    notices = [_notice(item, _LIFECYCLE.get(item.lifecycleEvent or "", NoticeKind.MISSED)) for item in _items(body)]
    _take(request, services, notices)
    return Response(status_code=202)


def _items(body: ChangedThings | None) -> Sequence[ChangedThing]:
    if body is None or not body.value:
        raise Problem(422, "invalid_input", "send the items in `value`")
    return body.value


def _notice(item: ChangedThing, kind: NoticeKind) -> Notice:
    channel_id, _, secret = (item.clientState or "").partition(".")
    return Notice(
        Provider.MICROSOFT,
        _possible_id(channel_id),
        secret,
        kind,
        external_id=item.subscriptionId,
        expires_at=parse_instant(item.subscriptionExpirationDateTime, "UTC"),
    )


def _take(request: Request, services: ApiServices, notices: Sequence[Notice]) -> None:
    """Check the notifications, and have the calendars synced that they are about."""
    taken = take_notices(services.database, notices, services.clock())
    if Belief.GOOD not in taken.beliefs:
        if Belief.FORGED in taken.beliefs:
            raise Problem(401, "invalid_channel_token", "the token is not the channel's")
        raise Problem(404, "channel_not_found", "there is no such channel")
    signals_of(request).ask(taken.to_sync)


def signals_of(request: Request) -> PushSignals:
    """Return what signals workflows for the application that serves this request."""
    return cast(PushSignals, cast(Any, request.app).state.push_signals)


def _possible_id(text: str) -> str:
    """Return the id, or an empty one for what is never an id of ours."""
    is_possible = len(text) <= _LONGEST_ID and text.isascii() and text.replace("_", "").isalnum()
    return text if is_possible else ""


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text[:48])
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else None
