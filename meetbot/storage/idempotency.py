"""Answers kept for repeated requests with one Idempotency-Key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import text
from sqlmodel import Session

# The lock dies with its transaction: a crash leaves no key that is in flight for ever.
_TRY_LOCK = text("select pg_try_advisory_xact_lock(hashtextextended(:name, 7061))")
_FIND = text(
    """
    select fingerprint, status, body from idempotency_record
     where tenant_id = :tenant_id and key = :key and created_at > now() - interval '24 hours'
    """
)
_KEEP = text(
    """
    insert into idempotency_record (tenant_id, key, fingerprint, status, body)
    values (:tenant_id, :key, :fingerprint, :status, cast(:body as jsonb))
    on conflict (tenant_id, key) do update
       set fingerprint = excluded.fingerprint, status = excluded.status, body = excluded.body, created_at = now()
    """
)
_PURGE = text(
    """
    delete from idempotency_record
     where tenant_id = :tenant_id and key in (
           select key from idempotency_record
            where tenant_id = :tenant_id and created_at <= now() - interval '24 hours' limit 100)
    """
)


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """The answer that a key was given, with the fingerprint of its request."""

    fingerprint: bytes
    status: int
    body: dict[str, Any]


def try_lock(session: Session, tenant_id: str, key: str) -> bool:
    """Return whether no other request is at work on this key.

    The lock holds until the end of the transaction.
    """
    return bool(session.execute(_TRY_LOCK, {"name": f"idempotency/{tenant_id}/{key}"}).scalar_one())


def find_answer(session: Session, tenant_id: str, key: str) -> KeptAnswer | None:
    """Return the answer kept for this key in the last 24 hours."""
    row = session.execute(_FIND, {"tenant_id": tenant_id, "key": key}).one_or_none()
    return None if row is None else KeptAnswer(bytes(row.fingerprint), row.status, row.body)


def keep_answer(session: Session, tenant_id: str, key: str, answer: KeptAnswer) -> None:
    """Keep the answer for 24 hours, and drop some that are older."""
    session.execute(_PURGE, {"tenant_id": tenant_id})
    session.execute(
        _KEEP,
        {
            "tenant_id": tenant_id,
            "key": key,
            "fingerprint": answer.fingerprint,
            "status": answer.status,
            "body": orjson.dumps(answer.body).decode("utf-8"),
        },
    )
