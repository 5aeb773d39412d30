"""An API key as customers and operators see it. No stored row holds its secret."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from meetbot.resources.base import OneOf, Resource
from meetbot.storage.tables import ApiKey
from meetbot.tenants.api_keys import KeyMode, is_working


class KeyState(StrEnum):
    """Whether a key works."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


class ApiKeyResource(Resource):
    """An API key, without its secret."""

    id: str = Field(description="Its public part: `mb_live_{id}_…`. The audit log names it as the actor.")
    name: str
    mode: Annotated[str, OneOf(KeyMode)]
    scopes: list[str] = Field(description="`*` is all of them.")
    state: Annotated[str, OneOf(KeyState)]
    created_at: datetime
    created_by: str | None = Field(description="The key that made it, or `operator`.")
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="Noted at most once in five minutes.")
    revoked_at: datetime | None


class ApiKeyWithSecret(ApiKeyResource):
    """A new key. No other answer shows its text."""

    api_key: str = Field(description="The whole key: send it as `Authorization: Bearer`. Shown only here.")


def api_key_resource(row: ApiKey, *, now: datetime) -> ApiKeyResource:
    """Return the resource of a row."""
    if row.created_at is None:
        raise AssertionError("the database sets created_at")
    return ApiKeyResource(
        id=row.public_id,
        name=row.name,
        mode=row.mode,
        scopes=row.scopes,
        state=_state(row, now),
        created_at=row.created_at,
        created_by=row.created_by,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )


def api_key_with_secret(row: ApiKey, text: str, *, now: datetime) -> ApiKeyWithSecret:
    """Return the resource of a row that was just made, with its text."""
    return ApiKeyWithSecret(**api_key_resource(row, now=now).model_dump(), api_key=text)


def _state(row: ApiKey, now: datetime) -> KeyState:
    if row.revoked_at is not None:
        return KeyState.REVOKED
    return KeyState.ACTIVE if is_working(row, now=now) else KeyState.EXPIRED
