"""The log of webhook deliveries, replays, and test messages."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, TypeAdapter
from sqlmodel import Session

from api.audit import record
from api.auth import Caller
from api.dependencies import InjectedServices
from api.idempotency import Creation
from api.paging import (
    BY_CREATION,
    Page,
    PageQuery,
    PlaceNumber,
    cut_page,
    decode_cursor,
    place_by_creation,
    rows_to_read,
)
from api.problems import COMMON, Problem, described, not_found
from api.routers.webhook_endpoints import Reader, Writer, endpoint_or_404, require_enabled
from api.schemas import Body, Instant
from meetbot.domain.event_types import WebhookEventType
from meetbot.domain.webhook_state import DeliveryState
from meetbot.resources.webhook import AttemptResource, DeliveryResource, attempt_resource, delivery_resource
from meetbot.storage import outbox, webhook_deliveries
from meetbot.storage.tables import WebhookDelivery
from meetbot.storage.webhook_deliveries import MAX_REPLAYED_AT_ONCE, LogFilter

router = APIRouter(tags=["webhooks"])

_BY_NUMBER: TypeAdapter[tuple[int]] = TypeAdapter(tuple[PlaceNumber])
_MISSING = described(404)
_MISSING_OR_CONFLICT = described(404, 409)


class DeliveryQuery(PageQuery):
    """The filters of the log."""

    state: DeliveryState | None = None
    event_type: Annotated[str | None, Field(max_length=64)] = None
    since: Annotated[Instant | None, Field(description="Created then or later.")] = None
    until: Annotated[Instant | None, Field(description="Created before then.")] = None


class DeliveryWithData(DeliveryResource):
    """A delivery with what it tells."""

    data: dict[str, Any] = Field(description="The `data` of its envelope.")


class ReplayRequest(Body):
    """Which finished deliveries to send again."""

    state: DeliveryState = Field(default=DeliveryState.DEAD, description="`dead` or `delivered`.")
    event_type: Annotated[str | None, Field(max_length=64)] = None
    since: Instant | None = None
    until: Instant | None = None


class ReplayedDeliveries(BaseModel):
    """The number of deliveries that are sent again."""

    replayed: int = Field(description=f"At most {MAX_REPLAYED_AT_ONCE} at once, the oldest first: ask again for more.")


@router.post(
    "/webhook-endpoints/{endpoint_id}/test",
    status_code=202,
    response_model=DeliveryResource,
    responses={**COMMON, **_MISSING_OR_CONFLICT},
)
def send_test_webhook(endpoint_id: str, caller: Writer, creation: Creation) -> Any:
    """Send a signed `webhook.ping`, whatever event types the endpoint takes."""

    def ping(session: Session) -> DeliveryResource:
        require_enabled(endpoint_or_404(session, caller, endpoint_id))
        data = {"endpoint_id": endpoint_id}
        delivery_id = outbox.emit_to(session, caller.tenant_id, endpoint_id, WebhookEventType.WEBHOOK_PING, data)
        record(session, caller, endpoint_id)
        return delivery_resource(_delivery_or_404(session, caller, delivery_id))

    return creation.answer(202, caller, ping)


@router.get("/webhook-endpoints/{endpoint_id}/deliveries", responses={**COMMON, **_MISSING})
def list_webhook_deliveries(
    endpoint_id: str, query: Annotated[DeliveryQuery, Query()], caller: Reader, services: InjectedServices
) -> Page[DeliveryResource]:
    """Return a page of what was or will be sent to the endpoint, the newest first."""
    asked = f"{caller.tenant_id} webhook-endpoints/{endpoint_id}/deliveries {query.question()}"
    before = decode_cursor(query.cursor, asked=asked, shape=BY_CREATION)
    wanted = LogFilter(query.state, query.event_type, query.since, query.until, before)
    with services.database.transaction(caller.tenant_id) as session:
        endpoint_or_404(session, caller, endpoint_id)
        rows = webhook_deliveries.log_page(session, caller.tenant_id, endpoint_id, wanted, rows_to_read(query))
    shown, next_cursor = cut_page(rows, query, asked=asked, place_of=place_by_creation)
    return Page[DeliveryResource](data=[delivery_resource(row) for row in shown], next_cursor=next_cursor)


@router.post(
    "/webhook-endpoints/{endpoint_id}/replay",
    status_code=202,
    response_model=ReplayedDeliveries,
    responses={**COMMON, **_MISSING_OR_CONFLICT},
)
def replay_webhook_deliveries(endpoint_id: str, body: ReplayRequest, caller: Writer, creation: Creation) -> Any:
    """Send finished deliveries again, by default the dead letters.

    Each keeps its own id and gets the whole schedule.
    """
    wanted = LogFilter(body.state, body.event_type, body.since, body.until)

    def replay(session: Session) -> ReplayedDeliveries:
        require_enabled(endpoint_or_404(session, caller, endpoint_id))
        count = webhook_deliveries.replay_many(session, caller.tenant_id, endpoint_id, wanted)
        record(session, caller, endpoint_id, {"replayed": count})
        return ReplayedDeliveries(replayed=count)

    return creation.answer(202, caller, replay)


@router.get("/webhook-deliveries/{delivery_id}", responses={**COMMON, **_MISSING})
def get_webhook_delivery(delivery_id: str, caller: Reader, services: InjectedServices) -> DeliveryWithData:
    """Return one delivery with the `data` of its envelope."""
    with services.database.transaction(caller.tenant_id) as session:
        return DeliveryWithData.model_validate(_delivery_or_404(session, caller, delivery_id))


@router.get(
    "/webhook-deliveries/{delivery_id}/attempts",
    responses={**COMMON, **_MISSING},
    summary="List the attempts of a delivery",
)
def list_webhook_attempts(
    delivery_id: str, query: Annotated[PageQuery, Query()], caller: Reader, services: InjectedServices
) -> Page[AttemptResource]:
    """Return a page of a delivery's attempts, the first one first, with the endpoint's answers."""
    asked = f"attempts {caller.tenant_id} {delivery_id} {query.question()}"
    place = decode_cursor(query.cursor, asked=asked, shape=_BY_NUMBER)
    with services.database.transaction(caller.tenant_id) as session:
        _delivery_or_404(session, caller, delivery_id)
        after = place[0] if place is not None else 0
        rows = webhook_deliveries.attempts_of(
            session, caller.tenant_id, delivery_id, after=after, limit=rows_to_read(query)
        )
    shown, next_cursor = cut_page(rows, query, asked=asked, place_of=lambda row: (row.number,))
    return Page[AttemptResource](data=[attempt_resource(row) for row in shown], next_cursor=next_cursor)


@router.post(
    "/webhook-deliveries/{delivery_id}/replay",
    status_code=202,
    response_model=DeliveryResource,
    responses={**COMMON, **_MISSING_OR_CONFLICT},
)
def replay_webhook_delivery(delivery_id: str, caller: Writer, creation: Creation) -> Any:
    """Send one finished delivery again, with its own id and the whole schedule."""

    def replay(session: Session) -> DeliveryResource:
        delivery = _delivery_or_404(session, caller, delivery_id)
        require_enabled(endpoint_or_404(session, caller, delivery.endpoint_id))
        if not webhook_deliveries.replay(session, caller.tenant_id, delivery_id):
            raise Problem(409, "delivery_pending", "the delivery is still under way")
        session.refresh(delivery)
        record(session, caller, delivery_id)
        return delivery_resource(delivery)

    return creation.answer(202, caller, replay)


def _delivery_or_404(session: Session, caller: Caller, delivery_id: str) -> WebhookDelivery:
    delivery = webhook_deliveries.find(session, caller.tenant_id, delivery_id)
    if delivery is None:
        raise not_found("webhook_delivery")
    return delivery
