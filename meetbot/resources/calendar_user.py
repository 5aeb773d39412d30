"""The calendar user as customers see it: one end-user's connected calendar account."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from meetbot.domain.account_calendar import CalendarsMode
from meetbot.domain.calendar_user import CONNECTED, CalendarUserStatus
from meetbot.domain.connection_health import health_of
from meetbot.domain.event import Provider
from meetbot.domain.push import NO_PUSH, PushHealth, PushState
from meetbot.resources.base import OneOf, Resource
from meetbot.storage.tables import CalendarUser

# What is gone has no row to be shown.
_SHOWN = tuple(status for status in CalendarUserStatus if status is not CalendarUserStatus.GONE)
CalendarUserState = Annotated[str, OneOf(_SHOWN)]
ProviderName = Annotated[str, OneOf(Provider)]


class PushResource(Resource):
    """Whether the provider reports changes by itself. Polling goes on either way."""

    state: Annotated[str, OneOf(PushState)] = Field(
        default=PushState.OFF,
        description="`active` if all calendars are reported on. With `failing` at least one is not, with `pending` not yet: "
        "they are polled as without push.",
    )
    expires_at: datetime | None = Field(
        default=None, description="When the first calendar goes unreported, unless renewed."
    )


class CalendarUserResource(Resource):
    """One end-user's connected calendar account."""

    id: str = Field(examples=["cu_mzxw6ytboi4dsmrqgezdgnbvgy"])
    customer_user_id: str
    provider: ProviderName
    email: str = Field(
        description="While the account is not known yet, the `login_hint` of the connection, or an empty text."
    )
    state: CalendarUserState
    error_code: str | None = Field(
        description="Why the last sync failed, what it left out, or why access was lost; null while all is well."
    )
    state_detail: str | None = Field(
        description="Whose matter an error is, and its code; null while all is well. `reconnect:…`: the end-user's, who has "
        "to connect again. `operator:…`: of an OAuth client, an administrator or the service; nobody is disconnected, and "
        "syncs go on by themselves once it is mended. `retry:…`: it passes by itself. In state `connecting`: `awaiting_admin` "
        "if an administrator of the user's organisation must agree first, `admin_approved` if one has and the user is to open "
        "the `connect_url`.",
        examples=["reconnect:invalid_grant", "operator:oauth_app_refused", "retry:rate_limited", "awaiting_admin"],
    )
    next_step: str | None = Field(description="What a person does about it; null while all is well.")
    attributes: dict[str, Any] = Field(description="What rules may name with a leading `$`.")
    calendars_mode: Annotated[str, OneOf(CalendarsMode)] = Field(
        description="Which of the account's calendars are read; the tenant's default if nothing else was said."
    )
    last_synced_at: datetime | None
    sync_lag_seconds: int | None = Field(description="Seconds since the last complete sync; null before the first.")
    push: PushResource
    scopes: list[str]
    reconnect_url: str | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="Only in state `needs_reconnect`: a page of ours that the end-user opens to give access again.",
    )
    connect_url: str | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="Only while an administrator is waited for: a page of ours that the end-user opens to connect. It works "
        "as often as it takes, until the calendar is connected.",
    )
    admin_consent_url: str | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="Only while an administrator of a Microsoft directory is waited for: the link to forward to them.",
    )
    expires_at: datetime | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="Only while an administrator is waited for: when that ends, and the calendar user is removed.",
    )
    created_at: datetime
    updated_at: datetime


def calendar_user_resource(
    row: CalendarUser,
    *,
    now: datetime,
    default_mode: CalendarsMode,
    push: PushHealth = NO_PUSH,
    reconnect_url: str | None = None,
) -> CalendarUserResource:
    """Return the resource of a row. ``default_mode`` is the tenant's.

    The `reconnect_url` is shown only while access is lost, and `push` only while there is access.
    """
    shown = push if row.state in CONNECTED else NO_PUSH
    health = health_of(CalendarUserStatus(row.state), row.error_code)
    lag = None if row.last_synced_at is None else max(0, int((now - row.last_synced_at).total_seconds()))
    return CalendarUserResource.model_validate(
        {
            "id": row.id,
            "customer_user_id": row.customer_user_id,
            "provider": row.provider,
            "email": row.email,
            "state": row.state,
            "error_code": row.error_code,
            "state_detail": health.detail if health is not None else None,
            "next_step": health.next_step if health is not None else None,
            "attributes": row.attributes,
            "calendars_mode": row.calendars_mode or default_mode,
            "last_synced_at": row.last_synced_at,
            "sync_lag_seconds": lag,
            "push": PushResource(state=shown.state, expires_at=shown.expires_at),
            "scopes": sorted(row.scopes),
            "reconnect_url": reconnect_url if row.state == CalendarUserStatus.NEEDS_RECONNECT else None,
            "created_at": row.created_at,
            "updated_at": row.updated_at,
        }
    )


def calendar_user_document(
    row: CalendarUser,
    *,
    now: datetime,
    default_mode: CalendarsMode,
    push: PushHealth = NO_PUSH,
    reconnect_url: str | None = None,
) -> dict[str, Any]:
    """Return the ``data`` of a webhook about this calendar user."""
    shown = calendar_user_resource(row, now=now, default_mode=default_mode, push=push, reconnect_url=reconnect_url)
    return shown.document() | {"sequence": row.sequence}
