"""Webhook endpoints, the log of their deliveries, and replays."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AfterValidator, BaseModel, Field, TypeAdapter
from pydantic_core import PydanticCustomError
from sqlmodel import Session

from api.auth import Caller, Scope, requires
from api.dependencies import ApiServices, InjectedServices
from api.idempotency import Creation
from api.paging import Page, PageQuery, PlaceInstant, PlaceText, decode_cursor, encode_cursor, micros_of
from api.problems import COMMON, Problem, described, not_found
from api.schemas import Body, Instant
from meetbot.domain.ids import new_id
from meetbot.errors import Fault
from meetbot.resources.webhook import DeliveryResource, EndpointResource
from meetbot.storage import outbox, webhook_deliveries, webhook_endpoints
from meetbot.storage.tables import WebhookDelivery, WebhookEndpoint
from meetbot.storage.webhook_deliveries import MAX_REPLAYED_AT_ONCE, LogFilter
from meetbot.vault.sealing import seal_with
from meetbot.webhooks.destinations import MAX_URL_LENGTH, DestinationRefused, check_destination
from meetbot.webhooks.endpoint_secrets import OVERLAP, StoredSecret, secret_binding, stored_secret
from meetbot.webhooks.event_types import ANY_EVENT, KNOWN_PATTERNS, EventType
from meetbot.webhooks.outcome import DeliveryState, EndpointState
from meetbot.webhooks.signing import new_secret

router = APIRouter(tags=["webhooks"])

Reader = Annotated[Caller, Depends(requires(Scope.WEBHOOKS_READ))]
Writer = Annotated[Caller, Depends(requires(Scope.WEBHOOKS_WRITE))]

_MISSING = described(404)
_MISSING_OR_CONFLICT = described(404, 409)


def _known(pattern: str) -> str:
    if pattern not in KNOWN_PATTERNS:
        raise PydanticCustomError("unknown_event_type", "use one of {known}", {"known": ", ".join(KNOWN_PATTERNS)})
    return pattern


EventPattern = Annotated[
    str,
    Field(max_length=64, description="An event type, `*` for all, or such as `bot.*`.", examples=["*", "bot.*"]),
    AfterValidator(_known),
]
EventPatterns = Annotated[list[EventPattern], Field(min_length=1, max_length=len(KNOWN_PATTERNS))]
Url = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_URL_LENGTH,
        description="An https address on port 443 or 8443 that the internet can reach.",
        examples=["https://example.com/hooks/meetbot"],
    ),
]


class EndpointRequest(Body):
    url: Url
    event_types: EventPatterns = Field(default=[ANY_EVENT])


class EndpointChange(Body):
    """Only what is given changes. Enabling again clears the record of failures."""

    url: Url | None = None
    event_types: EventPatterns | None = None
    state: EndpointState | None = None


class EndpointWithSecret(EndpointResource):
    """The only answer that ever shows the secret."""

    secret: str = Field(
        description="`whsec_` and base64. `x-meetbot-signature` is keyed with this whole text, "
        "Standard Webhooks' `webhook-signature` with what the base64 decodes to."
    )


class RotatedEndpoint(EndpointWithSecret):
    previous_valid_until: datetime = Field(
        description="Until then `webhook-signature` holds a signature by the previous secret too; "
        "`x-meetbot-signature` is by the new one at once."
    )


class DeliveryQuery(PageQuery):
    state: DeliveryState | None = None
    event_type: Annotated[str | None, Field(max_length=64)] = None
    since: Annotated[Instant | None, Field(description="Created then or later.")] = None
    until: Annotated[Instant | None, Field(description="Created before then.")] = None


class DeliveryWithData(DeliveryResource):
    data: dict[str, Any] = Field(description="The `data` of its envelope.")


class ReplayRequest(Body):
    """Which finished deliveries to send again."""

    state: DeliveryState = Field(default=DeliveryState.DEAD, description="`dead` or `delivered`.")
    event_type: Annotated[str | None, Field(max_length=64)] = None
    since: Instant | None = None
    until: Instant | None = None


class ReplayedDeliveries(BaseModel):
    replayed: int = Field(description=f"At most {MAX_REPLAYED_AT_ONCE} at once, the oldest first: ask again for more.")


@router.post(
    "/webhook-endpoints", status_code=201, response_model=EndpointWithSecret, responses={**COMMON, **described(409)}
)
def create_webhook_endpoint(
    body: EndpointRequest, caller: Writer, services: InjectedServices, creation: Creation
) -> Any:
    """Register where to send webhooks. The answer shows the secret, once."""
    _check_url(body.url, services)
    now, endpoint_id, secret = services.clock(), new_id("whe"), new_secret()
    stored = _seal(services, caller.tenant_id, endpoint_id, secret, now)

    def create(session: Session) -> EndpointWithSecret:
        endpoint = WebhookEndpoint(
            tenant_id=caller.tenant_id,
            id=endpoint_id,
            url=body.url,
            event_types=_unique(body.event_types),
            secrets=[stored],
        )
        webhook_endpoints.add(session, endpoint)
        return EndpointWithSecret(**_fields(endpoint), secret=secret)

    return creation.answer(201, caller, create)


@router.get("/webhook-endpoints", responses=COMMON)
def list_webhook_endpoints(
    query: Annotated[PageQuery, Query()], caller: Reader, services: InjectedServices
) -> Page[EndpointResource]:
    """The oldest first."""
    asked = f"{caller.tenant_id} webhook-endpoints {query.question()}"
    after = _place(query.cursor, asked)
    with services.database.transaction(caller.tenant_id) as session:
        rows = webhook_endpoints.page(session, caller.tenant_id, after, query.limit + 1)
    return Page[EndpointResource](
        data=[EndpointResource.model_validate(row) for row in rows[: query.limit]],
        next_cursor=_next_cursor(rows[: query.limit], more=len(rows) > query.limit, asked=asked),
    )


@router.get("/webhook-endpoints/{endpoint_id}", responses={**COMMON, **_MISSING})
def get_webhook_endpoint(endpoint_id: str, caller: Reader, services: InjectedServices) -> EndpointResource:
    with services.database.transaction(caller.tenant_id) as session:
        return EndpointResource.model_validate(_endpoint(session, caller, endpoint_id))


@router.patch("/webhook-endpoints/{endpoint_id}", responses={**COMMON, **_MISSING})
def change_webhook_endpoint(
    endpoint_id: str, body: EndpointChange, caller: Writer, services: InjectedServices
) -> EndpointResource:
    """Change the address, the event types or the state."""
    if body.url is not None:
        _check_url(body.url, services)
    now = services.clock()
    with services.database.transaction(caller.tenant_id) as session:
        endpoint = _endpoint(session, caller, endpoint_id, lock=True)
        if body.url is not None and body.url != endpoint.url:
            webhook_endpoints.change_url(endpoint, body.url, now)
        if body.event_types is not None:
            webhook_endpoints.change_event_types(endpoint, _unique(body.event_types), now)
        if body.state is not None:
            webhook_endpoints.change_state(endpoint, body.state, now)
        session.flush()
        return EndpointResource.model_validate(endpoint)


@router.delete("/webhook-endpoints/{endpoint_id}", status_code=204, responses={**COMMON, **_MISSING})
def delete_webhook_endpoint(endpoint_id: str, caller: Writer, services: InjectedServices) -> Response:
    """Remove it with its log. What is under way to it is not sent any more."""
    with services.database.transaction(caller.tenant_id) as session:
        if not webhook_endpoints.remove(session, caller.tenant_id, endpoint_id):
            raise not_found("webhook_endpoint")
    return Response(status_code=204)


@router.post(
    "/webhook-endpoints/{endpoint_id}/rotate-secret",
    response_model=RotatedEndpoint,
    responses={**COMMON, **_MISSING_OR_CONFLICT},
)
def rotate_webhook_secret(endpoint_id: str, caller: Writer, services: InjectedServices, creation: Creation) -> Any:
    """Make a new secret, shown once. The previous one stays valid for 24 hours."""
    now, secret = services.clock(), new_secret()
    with services.database.transaction(caller.tenant_id) as session:
        _endpoint(session, caller, endpoint_id)
    stored = _seal(services, caller.tenant_id, endpoint_id, secret, now)

    def rotate(session: Session) -> RotatedEndpoint:
        endpoint = _endpoint(session, caller, endpoint_id, lock=True)
        webhook_endpoints.rotate_secret(endpoint, stored, now)
        session.flush()
        return RotatedEndpoint(**_fields(endpoint), secret=secret, previous_valid_until=now + OVERLAP)

    return creation.answer(200, caller, rotate)


@router.post(
    "/webhook-endpoints/{endpoint_id}/test",
    status_code=202,
    response_model=DeliveryResource,
    responses={**COMMON, **_MISSING_OR_CONFLICT},
)
def send_test_webhook(endpoint_id: str, caller: Writer, creation: Creation) -> Any:
    """Send a signed `webhook.ping`, whatever event types the endpoint takes."""

    def ping(session: Session) -> DeliveryResource:
        _require_enabled(_endpoint(session, caller, endpoint_id))
        data = {"endpoint_id": endpoint_id}
        delivery_id = outbox.emit_to(session, caller.tenant_id, endpoint_id, EventType.WEBHOOK_PING, data)
        return DeliveryResource.model_validate(_delivery(session, caller, delivery_id))

    return creation.answer(202, caller, ping)


@router.get("/webhook-endpoints/{endpoint_id}/deliveries", responses={**COMMON, **_MISSING})
def list_webhook_deliveries(
    endpoint_id: str, query: Annotated[DeliveryQuery, Query()], caller: Reader, services: InjectedServices
) -> Page[DeliveryResource]:
    """What was sent there or is to be, the newest first."""
    asked = f"{caller.tenant_id} webhook-endpoints/{endpoint_id}/deliveries {query.question()}"
    wanted = LogFilter(query.state, query.event_type, query.since, query.until, _place(query.cursor, asked))
    with services.database.transaction(caller.tenant_id) as session:
        _endpoint(session, caller, endpoint_id)
        rows = webhook_deliveries.log_page(session, caller.tenant_id, endpoint_id, wanted, query.limit + 1)
    return Page[DeliveryResource](
        data=[DeliveryResource.model_validate(row) for row in rows[: query.limit]],
        next_cursor=_next_cursor(rows[: query.limit], more=len(rows) > query.limit, asked=asked),
    )


@router.post(
    "/webhook-endpoints/{endpoint_id}/replay",
    status_code=202,
    response_model=ReplayedDeliveries,
    responses={**COMMON, **_MISSING_OR_CONFLICT},
)
def replay_webhook_deliveries(endpoint_id: str, body: ReplayRequest, caller: Writer, creation: Creation) -> Any:
    """Send finished deliveries again, by default the dead letters, each with its own id and the whole schedule."""
    wanted = LogFilter(body.state, body.event_type, body.since, body.until)

    def replay(session: Session) -> ReplayedDeliveries:
        _require_enabled(_endpoint(session, caller, endpoint_id))
        count = webhook_deliveries.replay_many(session, caller.tenant_id, endpoint_id, wanted)
        return ReplayedDeliveries(replayed=count)

    return creation.answer(202, caller, replay)


@router.get("/webhook-deliveries/{delivery_id}", responses={**COMMON, **_MISSING})
def get_webhook_delivery(delivery_id: str, caller: Reader, services: InjectedServices) -> DeliveryWithData:
    with services.database.transaction(caller.tenant_id) as session:
        return DeliveryWithData.model_validate(_delivery(session, caller, delivery_id))


@router.post(
    "/webhook-deliveries/{delivery_id}/replay",
    status_code=202,
    response_model=DeliveryResource,
    responses={**COMMON, **_MISSING_OR_CONFLICT},
)
def replay_webhook_delivery(delivery_id: str, caller: Writer, creation: Creation) -> Any:
    """Send one finished delivery again, with its own id and the whole schedule."""

    def replay(session: Session) -> DeliveryResource:
        delivery = _delivery(session, caller, delivery_id)
        _require_enabled(_endpoint(session, caller, delivery.endpoint_id))
        if not webhook_deliveries.replay(session, caller.tenant_id, delivery_id):
            raise Problem(409, "delivery_pending", "the delivery is still under way")
        session.refresh(delivery)
        return DeliveryResource.model_validate(delivery)

    return creation.answer(202, caller, replay)


def _endpoint(session: Session, caller: Caller, endpoint_id: str, *, lock: bool = False) -> WebhookEndpoint:
    endpoint = webhook_endpoints.find(session, caller.tenant_id, endpoint_id, lock=lock)
    if endpoint is None:
        raise not_found("webhook_endpoint")
    return endpoint


def _delivery(session: Session, caller: Caller, delivery_id: str) -> WebhookDelivery:
    delivery = webhook_deliveries.find(session, caller.tenant_id, delivery_id)
    if delivery is None:
        raise not_found("webhook_delivery")
    return delivery


def _require_enabled(endpoint: WebhookEndpoint) -> None:
    if endpoint.state != EndpointState.ENABLED:
        raise Problem(409, "endpoint_disabled", "the endpoint is disabled; enable it first")


def _check_url(url: str, services: ApiServices) -> None:
    try:
        check_destination(url, services.settings.outbound_allow_cidrs)
    except DestinationRefused as error:
        fault = Fault("url", error.code, error.detail)
        raise Problem(422, "invalid_input", f"url: {error.detail}", faults=(fault,)) from None


def _seal(services: ApiServices, tenant_id: str, endpoint_id: str, secret: str, now: datetime) -> StoredSecret:
    """Before the transaction begins: the key management service may take its time."""
    binding = secret_binding(services.settings.region, tenant_id, endpoint_id)
    return stored_secret(seal_with(services.vault.new_data_key(tenant_id), secret.encode("ascii"), binding), now)


def _fields(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return EndpointResource.model_validate(endpoint).model_dump()


def _unique(patterns: list[str]) -> list[str]:
    return list(dict.fromkeys(patterns))


_PLACE: TypeAdapter[tuple[datetime, str]] = TypeAdapter(tuple[PlaceInstant, PlaceText])


def _place(cursor: str | None, asked: str) -> tuple[datetime, str] | None:
    return decode_cursor(cursor, asked=asked, shape=_PLACE)


def _next_cursor(rows: Any, *, more: bool, asked: str) -> str | None:
    return encode_cursor([micros_of(rows[-1].created_at), rows[-1].id], asked=asked) if more else None
