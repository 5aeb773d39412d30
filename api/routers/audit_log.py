"""The audit log: who changed what, and which workflow had secrets opened."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field, TypeAdapter

from api.auth import Caller, Scope, requires
from api.dependencies import InjectedServices
from api.paging import (
    Page,
    PageQuery,
    PlaceInstant,
    PlaceText,
    cut_page,
    decode_cursor,
    micros_of,
    rows_to_read,
)
from api.problems import COMMON
from api.schemas import Body, Instant, ShortText
from meetbot.domain.audit import BreakReason, ChainEnd, canonical_instant, find_break
from meetbot.storage.audit_log import AuditFilter, StoredChain, hash_at, list_entries, read_chain
from meetbot.storage.secret_uses import SecretPurpose, list_secret_uses
from meetbot.storage.tables import AuditEntry, SecretUse

router = APIRouter(prefix="/audit-log", tags=["audit log"])

Reader = Annotated[Caller, Depends(requires(Scope.AUDIT_READ))]
_VERIFIED_AT_ONCE = 20_000


class AuditEntryResource(BaseModel):
    """One entry of the audit log."""

    sequence: int = Field(description="Its place in the tenant's chain, without gaps.")
    id: str
    at: str = Field(description="UTC, with six digits of microseconds, as it is hashed.")
    actor: str = Field(description="The id of the API key, `operator`, or `browser` for a consent.")
    action: str
    target: str
    request_id: str = Field(description="The `X-Request-Id` of the answer.")
    ip: str
    detail: dict[str, Any]
    previous_hash: str
    hash: str = Field(
        description="SHA-256, in hexadecimal, over the bytes of `previous_hash` and the entry as JSON without `hash` and "
        "`previous_hash` and with `tenant_id`: keys sorted, no spaces."
    )


class AuditQuery(PageQuery):
    """The filters of the listing."""

    since: Annotated[Instant | None, Field(alias="from", description="Written then or later.")] = None
    until: Annotated[Instant | None, Field(alias="to", description="Written before then.")] = None
    actor: ShortText | None = None
    action: ShortText | None = Field(default=None, description="Such as `rules.put`.")


_BY_SEQUENCE: TypeAdapter[tuple[int]] = TypeAdapter(tuple[Annotated[int, Field(strict=True, ge=0, lt=2**63)]])


@router.get("", responses=COMMON, summary="List audit entries")
def list_audit_entries(
    query: Annotated[AuditQuery, Query()], caller: Reader, services: InjectedServices
) -> Page[AuditEntryResource]:
    """Return a page of what was changed and by whom, the newest first.

    Each change writes its entry in the same transaction.
    """
    asked = f"audit {caller.tenant_id} {query.question()}"
    place = decode_cursor(query.cursor, asked=asked, shape=_BY_SEQUENCE)
    wanted = AuditFilter(query.since, query.until, query.actor, query.action)
    before = place[0] if place is not None else None
    with services.database.transaction(caller.tenant_id) as session:
        rows = list_entries(session, caller.tenant_id, wanted, before=before, limit=rows_to_read(query))
    shown, next_cursor = cut_page(rows, query, asked=asked, place_of=lambda row: [row.sequence])
    return Page(data=[_entry(row) for row in shown], next_cursor=next_cursor)


class VerifyQuery(Body):
    """Where to begin."""

    after: Annotated[int, Field(ge=0, lt=2**63)] = Field(default=0, description="Verify the entries after this one.")


class ChainBreakResource(BaseModel):
    """Where the chain is not what was written."""

    sequence: int
    reason: BreakReason


class Verification(BaseModel):
    """What following the chain has shown."""

    ok: bool
    checked: int = Field(description="How many entries were followed.")
    anchor_sequence: int = Field(description="Entries up to here were deleted after the tenant's `audit_days`.")
    verified_to: int = Field(description="The last good entry. If `complete` is false, go on with it as `after`.")
    hash: str = Field(
        description="The hash of that entry. Kept by you, it shows later that nothing before was changed."
    )
    complete: bool
    broken_at: ChainBreakResource | None


@router.get("/verify", responses=COMMON, summary="Verify the chain of hashes")
def verify_audit_log(
    query: Annotated[VerifyQuery, Query()], caller: Reader, services: InjectedServices
) -> Verification:
    """Follow the chain, at most 20,000 entries in one request, and say where it breaks.

    What the chain alone cannot show: that its newest entries were cut off and its end rewritten by someone who may write to
    the database. Keep the `hash` of a verification, and look for it later.
    """
    with services.database.transaction(caller.tenant_id) as session:
        chain = read_chain(session, caller.tenant_id, after=query.after, limit=_VERIFIED_AT_ONCE)
        begin = chain.anchor
        if query.after > begin.sequence:
            known = hash_at(session, caller.tenant_id, query.after)
            begin = ChainEnd(query.after, known if known is not None else b"")
    return _verification(chain, begin)


def _verification(chain: StoredChain, begin: ChainEnd) -> Verification:
    good, broken = find_break(chain.entries, begin)
    found = ChainBreakResource(sequence=broken.sequence, reason=broken.reason) if broken is not None else None
    is_end = len(chain.entries) < _VERIFIED_AT_ONCE
    if found is None and is_end and good != chain.head:
        reason = BreakReason.LINK_BROKEN if good.sequence == chain.head.sequence else BreakReason.ENTRY_MISSING
        found = ChainBreakResource(sequence=good.sequence + (reason is BreakReason.ENTRY_MISSING), reason=reason)
    return Verification(
        ok=found is None,
        checked=good.sequence - begin.sequence,
        anchor_sequence=chain.anchor.sequence,
        verified_to=good.sequence,
        hash=good.hash.hex(),
        complete=found is None and is_end,
        broken_at=found,
    )


class SecretUseResource(BaseModel):
    """How often one workflow had one secret opened in one hour."""

    hour: datetime
    purpose: SecretPurpose
    subject_id: str = Field(description="The calendar user or the webhook endpoint whose secret it is.")
    used_by: str = Field(description="The workflow that needed it.")
    uses: int
    first_at: datetime
    last_at: datetime


class SecretUsesQuery(PageQuery):
    """The filters of the listing."""

    since: Annotated[Instant | None, Field(alias="from")] = None
    until: Annotated[Instant | None, Field(alias="to")] = None


_BY_HOUR: TypeAdapter[tuple[datetime, str, str, str]] = TypeAdapter(
    tuple[PlaceInstant, PlaceText, PlaceText, PlaceText]
)


@router.get("/decryptions", responses=COMMON, summary="List uses of secrets")
def list_decryptions(
    query: Annotated[SecretUsesQuery, Query()], caller: Reader, services: InjectedServices
) -> Page[SecretUseResource]:
    """Return a page of when, and for which workflow, tokens and secrets were opened.

    A use is noted before the secret is opened. One row counts the uses of one workflow in one hour.
    """
    asked = f"decryptions {caller.tenant_id} {query.question()}"
    before = decode_cursor(query.cursor, asked=asked, shape=_BY_HOUR)
    with services.database.transaction(caller.tenant_id) as session:
        rows = list_secret_uses(
            session,
            caller.tenant_id,
            since=query.since,
            until=query.until,
            before=before,
            limit=rows_to_read(query),
        )
    shown, next_cursor = cut_page(rows, query, asked=asked, place_of=_place)
    return Page(data=[SecretUseResource.model_validate(row.model_dump()) for row in shown], next_cursor=next_cursor)


def _place(row: SecretUse) -> tuple[int | None, str, str, str]:
    return micros_of(row.hour), row.purpose, row.subject_id, row.used_by


def _entry(row: AuditEntry) -> AuditEntryResource:
    return AuditEntryResource(
        sequence=row.sequence,
        id=row.id,
        at=canonical_instant(row.at),
        actor=row.actor,
        action=row.action,
        target=row.target,
        request_id=row.request_id,
        ip=row.ip,
        detail=row.detail,
        previous_hash=bytes(row.previous_hash).hex(),
        hash=bytes(row.hash).hex(),
    )
