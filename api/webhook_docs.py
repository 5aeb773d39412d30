"""What webhooks about calendars hold, for the OpenAPI document.

None of these routes is served: FastAPI describes webhooks by functions that only have a docstring
(https://fastapi.tiangolo.com/advanced/openapi-webhooks/).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, Field

from meetbot.domain.event_types import WebhookEventType
from meetbot.resources.calendar_user import CalendarUserResource

router = APIRouter(generate_unique_id_function=lambda route: route.name)

_Sequence = Annotated[
    int,
    Field(
        description="Grows with everything that is told of this calendar user, whatever the type. Deliveries are at least once "
        "and in no promised order, retries included: of two messages the one with the higher number is the later one."
    ),
]


class Envelope(BaseModel):
    """What every webhook has around its `data`."""

    deliveryId: str = Field(description="The same in every attempt, and the `webhook-id`.")  # noqa: N815 - on the wire
    event: str
    emittedAt: datetime  # noqa: N815 - on the wire
    attempt: int = Field(description="Counts from 1, and goes on through replays.")
    version: int


class ChangedEvents(BaseModel):
    """Events of a calendar changed."""

    calendar_user_id: str
    watermark: str = Field(description="For `updated_since` of the events listing.")
    sequence: _Sequence


class ToldCalendarUser(CalendarUserResource):
    """A calendar user, as the API shows it."""

    sequence: _Sequence


class EventAtRisk(BaseModel):
    """A meeting that is not recorded unless access is given again in time."""

    event_id: str
    start: datetime


class LostCalendarUser(ToldCalendarUser):
    """A calendar user whose access is lost, and what that puts at risk."""

    at_risk: list[EventAtRisk] = Field(description="The nearest 20 of the meetings to come that would be recorded.")


class EventsChangedMessage(Envelope):
    """`calendar_events.changed`."""

    data: ChangedEvents


class ConnectedMessage(Envelope):
    """`calendar_user.connected`."""

    data: ToldCalendarUser


class NeedsReconnectMessage(Envelope):
    """`calendar_user.needs_reconnect`."""

    data: LostCalendarUser


_Signature = Annotated[
    str,
    Header(alias="x-meetbot-signature", description="`sha256=` and the hexadecimal HMAC-SHA256 of the raw body."),
]
_ANSWERS: dict[int | str, dict[str, Any]] = {
    204: {"description": "Taken. Any other 2xx does as well; everything else is tried again."},
    410: {"description": "Switches the endpoint off."},
    "4XX": {"description": "Not taken: it is tried again."},
}


@router.post(
    WebhookEventType.CALENDAR_EVENTS_CHANGED,
    status_code=204,
    response_class=Response,
    responses=_ANSWERS,
    tags=["webhooks"],
    summary="Events of a calendar changed",
)
def calendar_events_changed(body: EventsChangedMessage, signature: _Signature) -> None:
    """Told once per sync that changed anything. List the events since the `watermark`."""


@router.post(
    WebhookEventType.CALENDAR_USER_CONNECTED,
    status_code=204,
    response_class=Response,
    responses=_ANSWERS,
    tags=["webhooks"],
    summary="A calendar was connected, or connected again",
)
def calendar_user_connected(body: ConnectedMessage, signature: _Signature) -> None:
    """Told after every consent that was stored; one that follows a loss of access heals it."""


@router.post(
    WebhookEventType.CALENDAR_USER_NEEDS_RECONNECT,
    status_code=204,
    response_class=Response,
    responses=_ANSWERS,
    tags=["webhooks"],
    summary="Access to a calendar is lost",
)
def calendar_user_needs_reconnect(body: NeedsReconnectMessage, signature: _Signature) -> None:
    """Told when the provider says that the grant has ended.

    And again after 1, 3 and 7 days while nobody has connected again.

    Have the person open the `reconnect_url`, which works until then. `state_detail` and `next_step` say what else is to be
    done: an administrator's consent, or an OAuth client that is in testing mode (`reconnect:oauth_client_in_testing`).
    """
