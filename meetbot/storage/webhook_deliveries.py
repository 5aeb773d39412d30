"""Deliveries of webhooks as rows: attempts, the log, replays, and the queue for the relay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, or_, select, text, update
from sqlalchemy.orm import undefer
from sqlmodel import Session, col

from meetbot.domain.webhook_state import DeliveryState
from meetbot.storage.tables import WebhookAttempt, WebhookDelivery, WebhookEndpoint

MAX_REPLAYED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which deliveries of an endpoint to list or to replay.

    ``before`` is the last one seen: (created_at, id).
    """

    state: DeliveryState | None = None
    event_type: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: tuple[datetime, str] | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one attempt came to.

    ``status`` is the HTTP status if there was an answer, ``error`` a stable code if it failed. ``answer`` is the beginning of
    its text. ``next_at`` is when the next attempt is made at the earliest.
    """

    at: datetime
    state_after: DeliveryState
    status: int | None
    error: str | None
    milliseconds: int
    answer: str | None
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class WaitingDelivery:
    """A delivery that has no workflow yet."""

    tenant_id: str
    id: str
    replays: int
    event_type: str


def find(session: Session, tenant_id: str, delivery_id: str) -> WebhookDelivery | None:
    """Return the delivery, None if there is none."""
    return session.get(WebhookDelivery, (tenant_id, delivery_id))


def find_with_endpoint(
    session: Session, tenant_id: str, delivery_id: str
) -> tuple[WebhookDelivery, WebhookEndpoint | None] | None:
    """Return the delivery and its endpoint with secrets, if that still exists; None without one."""
    delivery = find(session, tenant_id, delivery_id)
    if delivery is None:
        return None
    # The secrets too, which only the worker may read.
    return delivery, session.get(WebhookEndpoint, (tenant_id, delivery.endpoint_id), options=[undefer("*")])


def record_attempt(session: Session, delivery: WebhookDelivery, attempt: Attempt) -> None:
    """Store what one attempt came to. A delivery that is no longer pending stays as it is."""
    session.execute(
        _RECORD,
        {
            "tenant_id": delivery.tenant_id,
            "id": delivery.id,
            "state": attempt.state_after.value,
            "number": delivery.attempts + 1,
            "at": attempt.at,
            "status": attempt.status,
            "error": attempt.error,
            "milliseconds": attempt.milliseconds,
            "answer": attempt.answer,
            "next_at": attempt.next_at,
        },
    )


def attempts_of(
    session: Session, tenant_id: str, delivery_id: str, *, after: int, limit: int
) -> Sequence[WebhookAttempt]:
    """Return a page of the delivery's attempts, oldest first, after the one of that number."""
    statement = (
        select(WebhookAttempt)
        .where(col(WebhookAttempt.tenant_id) == tenant_id, col(WebhookAttempt.delivery_id) == delivery_id)
        .where(col(WebhookAttempt.number) > after)
        .order_by(col(WebhookAttempt.number))
        .limit(limit)
    )
    return session.scalars(statement).all()


def give_up(session: Session, tenant_id: str, delivery_id: str, reason: str) -> None:
    """End a delivery without another attempt, for example because the endpoint is switched off."""
    session.execute(_pending(tenant_id, delivery_id).values(state=DeliveryState.DEAD, last_error=reason))


def log_page(
    session: Session, tenant_id: str, endpoint_id: str, wanted: LogFilter, limit: int
) -> Sequence[WebhookDelivery]:
    """Return deliveries of the endpoint, the newest first."""
    statement = (
        select(WebhookDelivery)
        .where(*_conditions(tenant_id, endpoint_id, wanted))
        .order_by(col(WebhookDelivery.created_at).desc(), col(WebhookDelivery.id).desc())
        .limit(limit)
    )
    return session.scalars(statement).all()


def replay(session: Session, tenant_id: str, delivery_id: str) -> bool:
    """Put a finished delivery back into the outbox, for a workflow of its own.

    False if it is still under way.
    """
    statement = _replayed().where(
        col(WebhookDelivery.tenant_id) == tenant_id,
        col(WebhookDelivery.id) == delivery_id,
        col(WebhookDelivery.state) != DeliveryState.PENDING,
    )
    return len(session.execute(statement.returning(col(WebhookDelivery.id))).all()) == 1


def replay_many(session: Session, tenant_id: str, endpoint_id: str, wanted: LogFilter) -> int:
    """Put the oldest thousand finished deliveries back into the outbox; return how many."""
    chosen = (
        select(col(WebhookDelivery.id))
        .where(*_conditions(tenant_id, endpoint_id, wanted), col(WebhookDelivery.state) != DeliveryState.PENDING)
        .order_by(col(WebhookDelivery.created_at), col(WebhookDelivery.id))
        .limit(MAX_REPLAYED_AT_ONCE)
        .with_for_update()
    )
    statement = _replayed().where(col(WebhookDelivery.tenant_id) == tenant_id, col(WebhookDelivery.id).in_(chosen))
    return len(session.execute(statement.returning(col(WebhookDelivery.id))).all())


def lock_waiting(session: Session, limit: int) -> list[WaitingDelivery]:
    """Return deliveries of all tenants without a workflow, locked until the transaction ends.

    For `Database.relay` only. The tenants take turns, the oldest of each first, so that one with a long queue keeps no other
    waiting. What another relay has locked is passed over.
    """
    rows = session.execute(_LOCK_WAITING, {"considered": limit * 50, "limit": limit}).all()
    return [WaitingDelivery(row.tenant_id, row.id, row.replays, row.event_type) for row in rows]


def mark_relayed(session: Session, relayed: Sequence[WaitingDelivery], now: datetime) -> None:
    """Remember that these deliveries have their workflow."""
    session.execute(
        _MARK_RELAYED,
        {"now": now, "tenants": [row.tenant_id for row in relayed], "ids": [row.id for row in relayed]},
    )


def _pending(tenant_id: str, delivery_id: str) -> Any:
    return update(WebhookDelivery).where(
        col(WebhookDelivery.tenant_id) == tenant_id,
        col(WebhookDelivery.id) == delivery_id,
        col(WebhookDelivery.state) == DeliveryState.PENDING,
    )


def _replayed() -> Any:
    return update(WebhookDelivery).values(
        state=DeliveryState.PENDING,
        replays=col(WebhookDelivery.replays) + 1,
        relayed_at=None,
        last_error=None,
    )


def _conditions(tenant_id: str, endpoint_id: str, wanted: LogFilter) -> list[Any]:
    created_at, identity = col(WebhookDelivery.created_at), col(WebhookDelivery.id)
    conditions: list[Any] = [
        col(WebhookDelivery.tenant_id) == tenant_id,
        col(WebhookDelivery.endpoint_id) == endpoint_id,
    ]
    if wanted.state is not None:
        conditions.append(col(WebhookDelivery.state) == wanted.state)
    if wanted.event_type is not None:
        conditions.append(col(WebhookDelivery.event_type) == wanted.event_type)
    if wanted.since is not None:
        conditions.append(created_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(created_at < wanted.until)
    if wanted.before is not None:
        instant, last_id = wanted.before
        conditions.append(or_(created_at < instant, and_(created_at == instant, identity < last_id)))
    return conditions


_RECORD = text(
    """
    with recorded as (
        update webhook_delivery
           set state = :state, attempts = :number, last_attempt_at = :at, last_status = cast(:status as int),
               last_error = cast(:error as text)
         where tenant_id = :tenant_id and id = :id and state = 'pending'
        returning tenant_id, id, attempts, replays)
    insert into webhook_attempt (tenant_id, delivery_id, number, replay, at, milliseconds, status, error, answer, next_at)
    select tenant_id, id, attempts, replays, :at, :milliseconds, cast(:status as int), cast(:error as text),
           cast(:answer as text), cast(:next_at as timestamptz)
      from recorded
    on conflict do nothing
    """
)

_LOCK_WAITING = text(
    """
    with oldest as (
        select tenant_id, id, created_at
          from webhook_delivery
         where relayed_at is null
         order by created_at
         limit :considered),
    turns as (
        select tenant_id, id, created_at, row_number() over (partition by tenant_id order by created_at, id) as turn
          from oldest)
    select delivery.tenant_id, delivery.id, delivery.replays, delivery.event_type
      from turns
      join webhook_delivery delivery on delivery.tenant_id = turns.tenant_id and delivery.id = turns.id
     where delivery.relayed_at is null
     order by turns.turn, turns.created_at
     limit :limit
       for update of delivery skip locked
    """
)

_MARK_RELAYED = text(
    """
    update webhook_delivery delivery
       set relayed_at = :now
      from unnest(cast(:tenants as text[]), cast(:ids as text[])) as relayed(tenant_id, id)
     where delivery.tenant_id = relayed.tenant_id and delivery.id = relayed.id
    """
)
