"""The audit log's chain: an entry, its hash, and where a chain breaks. Pure.

An entry's hash is SHA-256 over the hash before it and the entry's canonical JSON (keys sorted, no spaces, UTF-8), so that
whoever was given one hash can tell later whether anything up to there was changed, taken out or put in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

import orjson

FIRST_HASH = bytes(32)
DetailValue = str | int | bool | None | list[str]


@dataclass(frozen=True, slots=True)
class AuditFact:
    """Who did what to what. ``detail`` holds ids, names of fields and numbers: no personal data."""

    at: datetime
    actor: str
    action: str
    target: str
    request_id: str = ""
    ip: str = ""
    detail: Mapping[str, DetailValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChainedEntry:
    """An entry in its place of a tenant's chain."""

    tenant_id: str
    sequence: int
    id: str
    fact: AuditFact
    previous_hash: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class ChainEnd:
    """The last entry of a stretch of the chain: where the next one begins."""

    sequence: int
    hash: bytes


class BreakReason(StrEnum):
    """What is wrong at the place where a chain breaks."""

    ENTRY_CHANGED = "entry_changed"
    ENTRY_MISSING = "entry_missing"
    LINK_BROKEN = "link_broken"


@dataclass(frozen=True, slots=True)
class ChainBreak:
    """The first place at which a chain is not what was written."""

    sequence: int
    reason: BreakReason


def entry_hash(entry_id: str, tenant_id: str, sequence: int, fact: AuditFact, previous_hash: bytes) -> bytes:
    """Return the hash of an entry in its place."""
    canonical = {
        "id": entry_id,
        "tenant_id": tenant_id,
        "sequence": sequence,
        "at": canonical_instant(fact.at),
        "actor": fact.actor,
        "action": fact.action,
        "target": fact.target,
        "request_id": fact.request_id,
        "ip": fact.ip,
        "detail": dict(fact.detail),
    }
    return hashlib.sha256(previous_hash + orjson.dumps(canonical, option=orjson.OPT_SORT_KEYS)).digest()


def canonical_instant(instant: datetime) -> str:
    """Return an instant in UTC with all six digits of its microseconds."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def find_break(entries: Iterable[ChainedEntry], begin: ChainEnd) -> tuple[ChainEnd, ChainBreak | None]:
    """Follow a chain; return the last good entry and the break after it, None if there is none."""
    good = begin
    for entry in entries:
        reason = _fault(entry, good)
        if reason is not None:
            return good, ChainBreak(good.sequence + 1, reason)
        good = ChainEnd(entry.sequence, entry.hash)
    return good, None


def _fault(entry: ChainedEntry, before: ChainEnd) -> BreakReason | None:
    if entry.sequence != before.sequence + 1:
        return BreakReason.ENTRY_MISSING
    if entry.previous_hash != before.hash:
        return BreakReason.LINK_BROKEN
    expected = entry_hash(entry.id, entry.tenant_id, entry.sequence, entry.fact, entry.previous_hash)
    return None if expected == entry.hash else BreakReason.ENTRY_CHANGED
