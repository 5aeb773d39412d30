"""Webhook endpoints as rows.

Every function works inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import and_, delete, func, or_, select, text, update
from sqlmodel import Session, col

from meetbot.domain.webhook_state import DisabledReason, EndpointState
from meetbot.errors import InvalidInput
from meetbot.storage.sealed_writes import ROTATE_WEBHOOK_SECRET
from meetbot.storage.tables import WebhookDelivery, WebhookEndpoint

MAX_ENDPOINTS = 20
_MOST_SECRETS = 5

# Creations of one tenant wait for each other, so that counting and inserting are one step.
_LOCK_TENANT = text("select pg_advisory_xact_lock(hashtextextended('webhook_endpoint/' || :tenant_id, 0))")

_ROTATE = text(f"select {ROTATE_WEBHOOK_SECRET}(:tenant_id, :id, cast(:newest as jsonb), :now, :overlap, :most)")


def add(session: Session, endpoint: WebhookEndpoint) -> None:
    """Store a new endpoint. Raises `InvalidInput` ``too_many_endpoints`` beyond twenty."""
    session.execute(_LOCK_TENANT, {"tenant_id": endpoint.tenant_id})
    count = select(func.count()).where(col(WebhookEndpoint.tenant_id) == endpoint.tenant_id)
    if session.scalars(count).one() >= MAX_ENDPOINTS:
        raise InvalidInput("too_many_endpoints", f"a tenant has {MAX_ENDPOINTS} webhook endpoints at most")
    session.add(endpoint)
    session.flush()
    session.refresh(endpoint)


def find(session: Session, tenant_id: str, endpoint_id: str, *, lock: bool = False) -> WebhookEndpoint | None:
    """Return the endpoint, None if there is none."""
    return session.get(WebhookEndpoint, (tenant_id, endpoint_id), with_for_update=lock or None)


def page(session: Session, tenant_id: str, after: tuple[datetime, str] | None, limit: int) -> Sequence[WebhookEndpoint]:
    """Return endpoints, the oldest first. `after` is the last one seen: (created_at, id)."""
    created_at, identity = col(WebhookEndpoint.created_at), col(WebhookEndpoint.id)
    statement = select(WebhookEndpoint).where(col(WebhookEndpoint.tenant_id) == tenant_id)
    if after is not None:
        instant, last_id = after
        statement = statement.where(or_(created_at > instant, and_(created_at == instant, identity > last_id)))
    return session.scalars(statement.order_by(created_at, identity).limit(limit)).all()


def change_url(endpoint: WebhookEndpoint, url: str, now: datetime) -> None:
    """Change the address and forget the failures of the old one."""
    endpoint.url = url
    endpoint.failing_since = None
    endpoint.updated_at = now


def change_event_types(endpoint: WebhookEndpoint, event_types: list[str], now: datetime) -> None:
    """Change which event types the endpoint takes."""
    endpoint.event_types = event_types
    endpoint.updated_at = now


def change_state(endpoint: WebhookEndpoint, state: EndpointState, now: datetime) -> None:
    """Switch the endpoint on or off. Switched on again, it starts without failures.

    One that is in that state already stays as it is, its reason too.
    """
    if endpoint.state == state:
        return
    endpoint.state = state
    endpoint.disabled_reason = DisabledReason.MANUAL if state is EndpointState.DISABLED else None
    endpoint.failing_since = None
    endpoint.updated_at = now


def rotate_secret(
    session: Session, endpoint: WebhookEndpoint, newest: dict[str, Any], *, overlap: timedelta, now: datetime
) -> None:
    """Put a new sealed secret before the others, which stay valid for `overlap` at most.

    The others are not read: the api may not.
    """
    bounds = {"tenant_id": endpoint.tenant_id, "id": endpoint.id, "newest": orjson.dumps(newest).decode()}
    session.execute(_ROTATE, {**bounds, "now": now, "overlap": overlap, "most": _MOST_SECRETS})
    session.refresh(endpoint)


def remove(session: Session, tenant_id: str, endpoint_id: str) -> bool:
    """Delete the endpoint with its log; False if there is none.

    Deliveries under way stop at their next attempt.
    """
    endpoint = delete(WebhookEndpoint).where(_is(tenant_id, endpoint_id)).returning(col(WebhookEndpoint.id))
    if not session.execute(endpoint).all():
        return False
    session.execute(
        delete(WebhookDelivery).where(
            col(WebhookDelivery.tenant_id) == tenant_id, col(WebhookDelivery.endpoint_id) == endpoint_id
        )
    )
    return True


def note_success(session: Session, tenant_id: str, endpoint_id: str) -> None:
    """Forget that the endpoint was failing."""
    session.execute(
        update(WebhookEndpoint)
        .where(_is(tenant_id, endpoint_id), col(WebhookEndpoint.failing_since).is_not(None))
        .values(failing_since=None)
    )


def note_failure(session: Session, tenant_id: str, endpoint_id: str, now: datetime) -> None:
    """Remember since when the endpoint has taken nothing.

    Writes only at the first failure: the row is shared by all deliveries.
    """
    session.execute(
        update(WebhookEndpoint)
        .where(_is(tenant_id, endpoint_id), col(WebhookEndpoint.failing_since).is_(None))
        .values(failing_since=now)
    )


def disable_if_failing(
    session: Session, tenant_id: str, endpoint_id: str, *, failing_limit: timedelta, now: datetime
) -> WebhookEndpoint | None:
    """Switch the endpoint off if it has taken nothing for `failing_limit`.

    Return it only if this call switched it off.
    """
    too_long = col(WebhookEndpoint.failing_since) <= now - failing_limit
    return _disable(session, tenant_id, endpoint_id, DisabledReason.FAILING, now, too_long)


def disable_as_gone(session: Session, tenant_id: str, endpoint_id: str, now: datetime) -> WebhookEndpoint | None:
    """Switch the endpoint off since it answered 410; return it only if this call did so."""
    return _disable(session, tenant_id, endpoint_id, DisabledReason.GONE, now)


def _disable(
    session: Session, tenant_id: str, endpoint_id: str, reason: DisabledReason, now: datetime, *conditions: Any
) -> WebhookEndpoint | None:
    statement = (
        update(WebhookEndpoint)
        .where(_is(tenant_id, endpoint_id), col(WebhookEndpoint.state) == EndpointState.ENABLED, *conditions)
        .values(state=EndpointState.DISABLED, disabled_reason=reason, updated_at=now)
        .returning(WebhookEndpoint)
        .execution_options(populate_existing=True)
    )
    return session.scalars(statement).one_or_none()


def _is(tenant_id: str, endpoint_id: str) -> Any:
    return and_(col(WebhookEndpoint.tenant_id) == tenant_id, col(WebhookEndpoint.id) == endpoint_id)
