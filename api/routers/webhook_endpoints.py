"""Webhook endpoints: where a tenant takes webhooks, and by which secret they are signed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError
from sqlmodel import Session

from api.audit import record
from api.auth import Caller, Scope, requires
from api.dependencies import ApiServices, InjectedServices
from api.idempotency import Creation
from api.paging import BY_CREATION, Page, PageQuery, cut_page, decode_cursor, place_by_creation, rows_to_read
from api.problems import COMMON, Problem, described, not_found
from api.schemas import Body
from meetbot.domain.event_types import ANY_EVENT, KNOWN_PATTERNS
from meetbot.domain.ids import new_id
from meetbot.domain.webhook_state import EndpointState
from meetbot.errors import Fault
from meetbot.resources.webhook import EndpointResource, endpoint_resource
from meetbot.storage import webhook_endpoints
from meetbot.storage.tables import WebhookEndpoint
from meetbot.vault.sealing import seal_with
from meetbot.webhooks.destinations import MAX_URL_LENGTH, DestinationRefused, check_destination
from meetbot.webhooks.endpoint_secrets import OVERLAP, StoredSecret, secret_binding, stored_secret
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
    """A new endpoint."""

    url: Url
    event_types: EventPatterns = Field(default=[ANY_EVENT])


class EndpointChange(Body):
    """Only what is given changes. Enabling again clears the record of failures."""

    url: Url | None = None
    event_types: EventPatterns | None = None
    state: EndpointState | None = None


class EndpointWithSecret(EndpointResource):
    """An endpoint with its new secret. No other answer shows it."""

    secret: str = Field(
        description="`whsec_` and base64. `x-meetbot-signature` is keyed with this whole text, "
        "Standard Webhooks' `webhook-signature` with what the base64 decodes to."
    )


class RotatedEndpoint(EndpointWithSecret):
    """An endpoint with its new secret, and how long the previous one is still used."""

    previous_valid_until: datetime = Field(
        description="Until then `webhook-signature` holds a signature by the previous secret too; "
        "`x-meetbot-signature` is by the new one at once."
    )


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
        record(session, caller, endpoint_id)
        return EndpointWithSecret(**_fields(endpoint), secret=secret)

    return creation.answer(201, caller, create)


@router.get("/webhook-endpoints", responses=COMMON)
def list_webhook_endpoints(
    query: Annotated[PageQuery, Query()], caller: Reader, services: InjectedServices
) -> Page[EndpointResource]:
    """Return a page of the tenant's endpoints, the oldest first."""
    asked = f"{caller.tenant_id} webhook-endpoints {query.question()}"
    after = decode_cursor(query.cursor, asked=asked, shape=BY_CREATION)
    with services.database.transaction(caller.tenant_id) as session:
        rows = webhook_endpoints.page(session, caller.tenant_id, after, rows_to_read(query))
    shown, next_cursor = cut_page(rows, query, asked=asked, place_of=place_by_creation)
    return Page[EndpointResource](data=[endpoint_resource(row) for row in shown], next_cursor=next_cursor)


@router.get("/webhook-endpoints/{endpoint_id}", responses={**COMMON, **_MISSING})
def get_webhook_endpoint(endpoint_id: str, caller: Reader, services: InjectedServices) -> EndpointResource:
    """Return one endpoint, without its secret."""
    with services.database.transaction(caller.tenant_id) as session:
        return endpoint_resource(endpoint_or_404(session, caller, endpoint_id))


@router.patch("/webhook-endpoints/{endpoint_id}", responses={**COMMON, **_MISSING})
def change_webhook_endpoint(
    endpoint_id: str, body: EndpointChange, caller: Writer, services: InjectedServices
) -> EndpointResource:
    """Change the address, the event types or the state."""
    if body.url is not None:
        _check_url(body.url, services)
    now = services.clock()
    with services.database.transaction(caller.tenant_id) as session:
        endpoint = endpoint_or_404(session, caller, endpoint_id, lock=True)
        if body.url is not None and body.url != endpoint.url:
            webhook_endpoints.change_url(endpoint, body.url, now)
        if body.event_types is not None:
            webhook_endpoints.change_event_types(endpoint, _unique(body.event_types), now)
        if body.state is not None:
            webhook_endpoints.change_state(endpoint, body.state, now)
        session.flush()
        record(session, caller, endpoint_id, {"changed": sorted(body.model_fields_set)})
        return endpoint_resource(endpoint)


@router.delete("/webhook-endpoints/{endpoint_id}", status_code=204, responses={**COMMON, **_MISSING})
def delete_webhook_endpoint(endpoint_id: str, caller: Writer, services: InjectedServices) -> Response:
    """Remove it with its log. What is under way to it is not sent any more."""
    with services.database.transaction(caller.tenant_id) as session:
        if not webhook_endpoints.remove(session, caller.tenant_id, endpoint_id):
            raise not_found("webhook_endpoint")
        record(session, caller, endpoint_id)
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
        endpoint_or_404(session, caller, endpoint_id)
    stored = _seal(services, caller.tenant_id, endpoint_id, secret, now)

    def rotate(session: Session) -> RotatedEndpoint:
        endpoint = endpoint_or_404(session, caller, endpoint_id, lock=True)
        webhook_endpoints.rotate_secret(session, endpoint, stored, overlap=OVERLAP, now=now)
        record(session, caller, endpoint_id)
        return RotatedEndpoint(**_fields(endpoint), secret=secret, previous_valid_until=now + OVERLAP)

    return creation.answer(200, caller, rotate)


def endpoint_or_404(session: Session, caller: Caller, endpoint_id: str, *, lock: bool = False) -> WebhookEndpoint:
    """Return the caller's endpoint, locked if asked for.

    Raises the problem ``webhook_endpoint_not_found``.
    """
    endpoint = webhook_endpoints.find(session, caller.tenant_id, endpoint_id, lock=lock)
    if endpoint is None:
        raise not_found("webhook_endpoint")
    return endpoint


def require_enabled(endpoint: WebhookEndpoint) -> None:
    """Raise the problem ``endpoint_disabled`` if the endpoint takes no webhooks."""
    if endpoint.state != EndpointState.ENABLED:
        raise Problem(409, "endpoint_disabled", "the endpoint is disabled; enable it first")


def _check_url(url: str, services: ApiServices) -> None:
    try:
        check_destination(url, services.settings.outbound_allow_cidrs)
    except DestinationRefused as error:
        fault = Fault("url", error.code, error.detail)
        raise Problem(422, "invalid_input", f"url: {error.detail}", faults=(fault,)) from None


def _seal(services: ApiServices, tenant_id: str, endpoint_id: str, secret: str, now: datetime) -> StoredSecret:
    """Seal before the transaction begins, since the key management service may take its time."""
    binding = secret_binding(services.settings.region, tenant_id, endpoint_id)
    return stored_secret(seal_with(services.vault.new_data_key(tenant_id), secret.encode("ascii"), binding), now)


def _fields(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return endpoint_resource(endpoint).model_dump()


def _unique(patterns: list[str]) -> list[str]:
    return list(dict.fromkeys(patterns))
