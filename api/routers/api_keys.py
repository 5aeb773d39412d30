"""API keys: create, list, rotate, revoke."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import Field
from sqlmodel import Session

from api.audit import record
from api.auth import Caller, Scope, requires
from api.dependencies import InjectedServices
from api.idempotency import Creation
from api.paging import BY_CREATION, Page, PageQuery, cut_page, decode_cursor, micros_of, rows_to_read
from api.problems import COMMON, described, not_found
from api.schemas import Body, Instant, ShortText
from meetbot.storage.keys import list_keys
from meetbot.storage.tables import ApiKey
from meetbot.tenants.key_changes import (
    MAX_OVERLAP_HOURS,
    KeyMaker,
    KeyRequest,
    create_key,
    revoke_key,
    rotate_key,
)
from meetbot.tenants.key_resource import ApiKeyResource, ApiKeyWithSecret, api_key_resource, api_key_with_secret
from meetbot.tenants.scopes import KNOWN_SCOPES

router = APIRouter(prefix="/api-keys", tags=["api keys"])

Maker = Annotated[Caller, Depends(requires(Scope.KEYS_WRITE))]
KeyId = Annotated[str, Path(max_length=100, description="The `id` of the key.")]
ScopeName = Annotated[str, Field(max_length=40, json_schema_extra={"enum": list(KNOWN_SCOPES)})]


class KeyCreation(Body):
    """A new key. It can have no scope that the key which makes it has not."""

    name: ShortText = Field(description="For people: what the key is for.", examples=["the billing service"])
    scopes: Annotated[list[ScopeName], Field(min_length=1, max_length=len(KNOWN_SCOPES))] = Field(
        description="`*` for all.", examples=[["calendars:read", "bots:read"]]
    )
    expires_at: Instant | None = Field(
        default=None, description="Within ten years. It never outlives the key that made it; null: as long as that."
    )


class KeyRotation(Body):
    """How long the old key goes on working beside the new one."""

    overlap_hours: Annotated[int, Field(strict=True, ge=0, le=MAX_OVERLAP_HOURS)] = Field(
        default=24, description="0 ends the old key at once."
    )


@router.get("", responses=COMMON, summary="List API keys")
def list_api_keys(
    query: Annotated[PageQuery, Query()], caller: Maker, services: InjectedServices
) -> Page[ApiKeyResource]:
    """Return a page of the tenant's keys, the oldest first, without secrets; revoked ones too."""
    asked = f"{caller.tenant_id} api-keys {query.question()}"
    after = decode_cursor(query.cursor, asked=asked, shape=BY_CREATION)
    with services.database.transaction(caller.tenant_id) as session:
        rows = list_keys(session, caller.tenant_id, after=after, limit=rows_to_read(query))
    shown, next_cursor = cut_page(rows, query, asked=asked, place_of=_place)
    now = services.clock()
    return Page(data=[api_key_resource(row, now=now) for row in shown], next_cursor=next_cursor)


@router.post(
    "",
    status_code=201,
    response_model=ApiKeyWithSecret,
    responses=COMMON | described(409),
    summary="Create an API key",
)
def create_api_key(body: KeyCreation, caller: Maker, services: InjectedServices, creation: Creation) -> Any:
    """Create a key. The answer shows it, once.

    A repeated request with one `Idempotency-Key` and one API key gets the same answer: it is kept encrypted, with a key that
    only the caller has. At most 100 keys of a tenant work at a time (`too_many_keys`).
    """
    wanted = KeyRequest(body.name, body.scopes, body.expires_at)

    def create(session: Session) -> ApiKeyWithSecret:
        now = services.clock()
        made = create_key(session, caller.tenant_id, _maker(caller), wanted, now=now)
        record(session, caller, made.row.public_id, {"scopes": made.row.scopes})
        return api_key_with_secret(made.row, made.text, now=now)

    return creation.answer(201, caller, create)


@router.post(
    "/{key_id}/rotate",
    status_code=201,
    response_model=ApiKeyWithSecret,
    responses=COMMON | described(404, 409),
    summary="Replace an API key",
)
def rotate_api_key(
    key_id: KeyId, caller: Maker, services: InjectedServices, creation: Creation, body: KeyRotation | None = None
) -> Any:
    """Make a new key of the same name, scopes and expiry; the answer shows it, once.

    The old key goes on working for `overlap_hours`, 24 if nothing is said.
    """
    overlap_hours = (body or KeyRotation()).overlap_hours

    def rotate(session: Session) -> ApiKeyWithSecret:
        now = services.clock()
        made = rotate_key(session, caller.tenant_id, _maker(caller), key_id, overlap_hours=overlap_hours, now=now)
        if made is None:
            raise not_found("api_key")
        record(session, caller, key_id, {"new_key": made.row.public_id, "overlap_hours": overlap_hours})
        return api_key_with_secret(made.row, made.text, now=now)

    return creation.answer(201, caller, rotate)


@router.delete("/{key_id}", status_code=204, responses=COMMON | described(404, 409), summary="Revoke an API key")
def revoke_api_key(key_id: KeyId, caller: Maker, services: InjectedServices) -> Response:
    """Revoke a key, which stops working at once, everywhere. Repeating it changes nothing.

    The last working key with `keys:write` stays (`last_key`): create another one first.
    """
    with services.database.transaction(caller.tenant_id) as session:
        if revoke_key(session, caller.tenant_id, key_id, now=services.clock()) is None:
            raise not_found("api_key")
        record(session, caller, key_id)
    return Response(status_code=204)


def _maker(caller: Caller) -> KeyMaker:
    return KeyMaker(caller.key_id, caller.scopes, caller.expires_at)


def _place(row: ApiKey) -> tuple[int | None, str]:
    return micros_of(row.created_at), row.public_id
