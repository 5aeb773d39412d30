"""The audit log as rows: entries are only ever added, each with the hash of the one before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import text
from sqlmodel import Session, col, select

from meetbot.domain.audit import FIRST_HASH, AuditFact, ChainedEntry, ChainEnd, entry_hash
from meetbot.domain.ids import new_id
from meetbot.storage.tables import AuditEntry

# Locks the chain until the transaction ends: entries of one tenant are written one after the other.
_LOCK_CHAIN = text(
    """
    insert into audit_chain as chain (tenant_id, head_sequence, head_hash, anchor_sequence, anchor_hash)
    values (:tenant_id, 0, :first_hash, 0, :first_hash)
    on conflict (tenant_id) do update set head_sequence = chain.head_sequence
    returning head_sequence, head_hash
    """
)
_APPEND = text(
    """
    with moved as (
        update audit_chain set head_sequence = :sequence, head_hash = :hash where tenant_id = :tenant_id)
    insert into audit_entry
           (tenant_id, sequence, id, at, actor, action, target, request_id, ip, detail, previous_hash, hash)
    values (:tenant_id, :sequence, :id, :at, :actor, :action, :target, :request_id, :ip, cast(:detail as jsonb),
            :previous_hash, :hash)
    """
)


def append(session: Session, tenant_id: str, fact: AuditFact) -> None:
    """Add an entry, in the transaction of what it tells about.

    Call it last: the tenant's other entries wait until this transaction ends.
    """
    chain = session.execute(_LOCK_CHAIN, {"tenant_id": tenant_id, "first_hash": FIRST_HASH}).one()
    entry_id, sequence, previous_hash = new_id("aud"), chain.head_sequence + 1, bytes(chain.head_hash)
    session.execute(
        _APPEND,
        {
            "tenant_id": tenant_id,
            "sequence": sequence,
            "id": entry_id,
            "at": fact.at,
            "actor": fact.actor,
            "action": fact.action,
            "target": fact.target,
            "request_id": fact.request_id,
            "ip": fact.ip,
            "detail": orjson.dumps(dict(fact.detail)).decode("utf-8"),
            "previous_hash": previous_hash,
            "hash": entry_hash(entry_id, tenant_id, sequence, fact, previous_hash),
        },
    )


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What a listing of entries is narrowed to; None does not narrow it."""

    since: datetime | None = None
    until: datetime | None = None
    actor: str | None = None
    action: str | None = None


def list_entries(
    session: Session, tenant_id: str, wanted: AuditFilter, *, before: int | None, limit: int
) -> list[AuditEntry]:
    """Return a page of entries, the newest first, before the one of that sequence."""
    statement = select(AuditEntry).where(AuditEntry.tenant_id == tenant_id)
    if wanted.since is not None:
        statement = statement.where(AuditEntry.at >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(AuditEntry.at < wanted.until)
    if wanted.actor is not None:
        statement = statement.where(AuditEntry.actor == wanted.actor)
    if wanted.action is not None:
        statement = statement.where(AuditEntry.action == wanted.action)
    if before is not None:
        statement = statement.where(AuditEntry.sequence < before)
    return list(session.exec(statement.order_by(col(AuditEntry.sequence).desc()).limit(limit)))


@dataclass(frozen=True, slots=True)
class StoredChain:
    """A stretch of a chain, with what the tenant's row says of its ends."""

    anchor: ChainEnd
    head: ChainEnd
    entries: list[ChainedEntry]


# One statement, so that all of it is of one instant although entries are added and the oldest deleted meanwhile.
_READ_CHAIN = text(
    """
    select chain.anchor_sequence, chain.anchor_hash, chain.head_sequence, chain.head_hash, entry.*
      from audit_chain chain
      left join lateral (
           select sequence, id, at, actor, action, target, request_id, ip, detail, previous_hash, hash
             from audit_entry entry
            where entry.tenant_id = chain.tenant_id
              and entry.sequence > greatest(cast(:after as bigint), chain.anchor_sequence)
            order by entry.sequence limit :limit) entry on true
     where chain.tenant_id = :tenant_id
     order by entry.sequence
    """
)


def read_chain(session: Session, tenant_id: str, *, after: int, limit: int) -> StoredChain:
    """Return the oldest entries that are kept after a sequence, as of one instant."""
    rows = session.execute(_READ_CHAIN, {"tenant_id": tenant_id, "after": after, "limit": limit}).all()
    if not rows:
        nothing = ChainEnd(0, FIRST_HASH)
        return StoredChain(nothing, nothing, [])
    first = rows[0]
    return StoredChain(
        anchor=ChainEnd(first.anchor_sequence, bytes(first.anchor_hash)),
        head=ChainEnd(first.head_sequence, bytes(first.head_hash)),
        entries=[
            ChainedEntry(
                tenant_id,
                row.sequence,
                row.id,
                AuditFact(row.at, row.actor, row.action, row.target, row.request_id, row.ip, row.detail),
                bytes(row.previous_hash),
                bytes(row.hash),
            )
            for row in rows
            if row.sequence is not None
        ],
    )


def hash_at(session: Session, tenant_id: str, sequence: int) -> bytes | None:
    """Return the hash of the entry of this sequence, None if there is none."""
    entry = session.get(AuditEntry, (tenant_id, sequence))
    return bytes(entry.hash) if entry is not None else None
