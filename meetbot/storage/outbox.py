"""The transactional outbox: webhook messages, written in the transaction they tell about.

Rolled back with it or committed with it; `activities.background.relay` then starts a workflow for each row. Deliveries are at
least once and in no promised order: ``data`` carries a ``sequence`` that grows per resource wherever it matters.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import text
from sqlmodel import Session

from meetbot.domain.event_types import matching_patterns
from meetbot.domain.ids import new_id
from meetbot.storage.tables import WebhookDelivery

_EVENT_TYPE = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)+")
_EVENT_TYPE_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to tell.

    ``event_type`` is such as ``bot.joined``; ``data`` is JSON, in which datetimes are taken too.
    """

    event_type: str
    data: Mapping[str, Any]


def emit(session: Session, tenant_id: str, event_type: str, data: Mapping[str, Any]) -> int:
    """Queue one message for every enabled endpoint that takes it; return how many do.

    Call it inside the tenant's transaction (`Database.transaction`). Raises ``ValueError`` for a malformed event type.
    """
    return emit_many(session, tenant_id, (Message(event_type, data),))


def emit_many(session: Session, tenant_id: str, messages: Iterable[Message]) -> int:
    """Queue several messages in one statement, each as `emit` does."""
    rows = [_row(message) for message in messages]
    if not rows:
        return 0
    inserted = session.execute(_INSERT, {"tenant_id": tenant_id, "messages": _storable_json(rows)})
    return len(inserted.all())


def emit_to(session: Session, tenant_id: str, endpoint_id: str, event_type: str, data: Mapping[str, Any]) -> str:
    """Queue one message for one endpoint, whatever types it takes; return the delivery's id."""
    delivery = WebhookDelivery(
        tenant_id=tenant_id, id=new_id("dlv"), endpoint_id=endpoint_id, event_type=event_type, data=dict(data)
    )
    session.add(delivery)
    session.flush()
    return delivery.id


def is_event_type(value: str) -> bool:
    """Return whether this has the form of an event type: dotted lower-case words."""
    return len(value) <= _EVENT_TYPE_LENGTH and _EVENT_TYPE.fullmatch(value) is not None


def _row(message: Message) -> dict[str, Any]:
    if not is_event_type(message.event_type):
        raise ValueError("an event type is dot-separated lower-case words, 64 characters at most")
    return {
        "seed": secrets.token_hex(16),
        "event_type": message.event_type,
        "patterns": matching_patterns(message.event_type),
        "data": message.data,
    }


def _storable_json(rows: list[dict[str, Any]]) -> str:
    """Return JSON that PostgreSQL takes, without the character NUL.

    Neither jsonb nor a text column can hold it.
    """
    encoded = orjson.dumps(rows, option=orjson.OPT_UTC_Z)
    if b"\\u0000" in encoded:
        encoded = orjson.dumps(_without_nul(orjson.loads(encoded)))
    return encoded.decode("utf-8")


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(item) for key, item in value.items()}
    return value


# A delivery's id is derived from a random seed of its message and from the endpoint: 130 bits in the alphabet of
# meetbot.domain.ids, without a round trip to learn how many endpoints there are.
_INSERT = text(
    """
    insert into webhook_delivery (tenant_id, id, endpoint_id, event_type, data, state, attempts, replays)
    select endpoint.tenant_id, 'dlv_' || id.characters, endpoint.id, message.event_type, message.data, 'pending', 0, 0
      from jsonb_to_recordset(cast(:messages as jsonb))
           as message(seed text, event_type text, patterns text[], data jsonb)
      join webhook_endpoint endpoint
        on endpoint.tenant_id = :tenant_id
       and endpoint.state = 'enabled'
       and jsonb_exists_any(endpoint.event_types, message.patterns)
     cross join lateral (
           select string_agg(
                    substr('abcdefghijklmnopqrstuvwxyz234567', 1 + (get_byte(digest.bytes, place) & 31), 1), ''
                    order by place) as characters
             from (select sha256(convert_to(message.seed || endpoint.id, 'UTF8')) as bytes) digest,
                  generate_series(0, 25) place) id
    returning id
    """
)
