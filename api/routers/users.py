"""Calendar users."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from api.audit import record
from api.auth import Caller, Scope, requires
from api.dependencies import ApiServices, InjectedServices
from api.paging import BY_CREATION, Page, PageQuery, cut_page, decode_cursor, place_by_creation, rows_to_read
from api.problems import COMMON, Problem, described, not_found
from api.schemas import AttributeChanges, Body, ShortText
from api.waiting import refuse_waiting, waiting_view, with_waiting
from meetbot.calendars.connect_flow import reconnect_url
from meetbot.domain.account_calendar import CalendarsMode
from meetbot.domain.calendar_user import CONNECTED
from meetbot.domain.push import Channel, push_health
from meetbot.resources.calendar_user import (
    CalendarUserResource,
    CalendarUserState,
    ProviderName,
    calendar_user_resource,
)
from meetbot.storage.account_calendars import default_mode
from meetbot.storage.calendar_user_state import note_asked
from meetbot.storage.calendar_users import (
    CalendarUserFilter,
    CalendarUserRef,
    find_calendar_user,
    list_calendar_users,
    set_attributes,
)
from meetbot.storage.push_channels import as_channels, channels_by_user, channels_of
from meetbot.storage.tables import CalendarUser
from meetbot.temporal.messages import CalendarUserSignal

router = APIRouter(prefix="/calendar/users", tags=["calendar users"])

Reader = Annotated[Caller, Depends(requires(Scope.CALENDARS_READ))]
Writer = Annotated[Caller, Depends(requires(Scope.CALENDARS_WRITE))]


class UsersQuery(PageQuery):
    """The filters of the listing."""

    customer_user_id: ShortText | None = None
    provider: ProviderName | None = None
    state: CalendarUserState | None = None


@router.get("", responses=COMMON, summary="List calendar users")
def list_users(
    query: Annotated[UsersQuery, Query()], caller: Reader, services: InjectedServices
) -> Page[CalendarUserResource]:
    """Return a page of the tenant's calendar users, the first connected first."""
    asked = f"users {caller.tenant_id} {query.question()}"
    place = decode_cursor(query.cursor, asked=asked, shape=BY_CREATION)
    wanted = CalendarUserFilter(query.customer_user_id, query.provider, query.state)
    with services.database.transaction(caller.tenant_id) as session:
        rows = list_calendar_users(
            session,
            caller.tenant_id,
            wanted,
            after=place,
            limit=rows_to_read(query),
        )
        merged = with_waiting(session, services, caller.tenant_id, rows, wanted, after=place, limit=rows_to_read(query))
        channels = channels_by_user(session, caller.tenant_id, [row.id for row in rows])
        mode = default_mode(session, caller.tenant_id)
    shown, next_cursor = cut_page(merged, query, asked=asked, place_of=place_by_creation)
    data = [
        row if isinstance(row, CalendarUserResource) else view(services, row, channels.get(row.id, ()), mode)
        for row in shown
    ]
    return Page(data=data, next_cursor=next_cursor)


@router.get("/{calendar_user_id}", responses=COMMON | described(404), summary="Get a calendar user")
def get_user(calendar_user_id: str, caller: Reader, services: InjectedServices) -> CalendarUserResource:
    """Return one calendar user."""
    with services.database.transaction(caller.tenant_id) as session:
        row = find_calendar_user(session, caller.tenant_id, calendar_user_id)
        waiting = waiting_view(session, services, caller.tenant_id, calendar_user_id) if row is None else None
        channels = channels_of(session, caller.tenant_id, [calendar_user_id])
        mode = default_mode(session, caller.tenant_id)
    if waiting is not None:
        return waiting
    if row is None:
        raise not_found("calendar_user")
    return view(services, row, as_channels(channels), mode)


class UserChanges(Body):
    """The attributes to change."""

    attributes: AttributeChanges = Field(
        description="Merged into the stored ones (RFC 7396): what is not named stays, null removes."
    )


@router.patch(
    "/{calendar_user_id}", responses=COMMON | described(404, 409), summary="Change a calendar user's attributes"
)
def change_user(
    calendar_user_id: str, body: UserChanges, caller: Writer, services: InjectedServices
) -> CalendarUserResource:
    """Change a calendar user's attributes. Rules that name them are applied again at once."""
    with services.database.transaction(caller.tenant_id) as session:
        row = find_calendar_user(session, caller.tenant_id, calendar_user_id, for_update=True)
        if row is None:
            refuse_waiting(session, services, caller.tenant_id, calendar_user_id)
            raise not_found("calendar_user")
        merged = {name: value for name, value in (row.attributes | body.attributes).items() if value is not None}
        if len(merged) > _MAX_ATTRIBUTES:
            raise Problem(422, "too_many_attributes", f"at most {_MAX_ATTRIBUTES} attributes")
        set_attributes(session, row, merged, now=services.clock())
        record(session, caller, row.id, {"changed": ["attributes"]})
        channels = channels_of(session, caller.tenant_id, [row.id])
        mode = default_mode(session, caller.tenant_id)
    services.orchestrator.signal_calendar_user(reference(row), CalendarUserSignal.RULES_CHANGED)
    return view(services, row, as_channels(channels), mode)


_MAX_ATTRIBUTES = 50


@router.post(
    "/{calendar_user_id}/sync", status_code=202, responses=COMMON | described(404, 409), summary="Sync a calendar now"
)
def sync_user(calendar_user_id: str, caller: Writer, services: InjectedServices) -> CalendarUserResource:
    """Ask the provider now instead of at the next slot. `last_synced_at` shows when it was done."""
    with services.database.transaction(caller.tenant_id) as session:
        row = find_calendar_user(session, caller.tenant_id, calendar_user_id)
        if row is None:
            refuse_waiting(session, services, caller.tenant_id, calendar_user_id)
            raise not_found("calendar_user")
        if row.state not in CONNECTED:
            raise Problem(409, "calendar_user_not_connected", "the calendar must be connected again first")
        note_asked(session, row.tenant_id, row.id, now=services.clock())
        record(session, caller, row.id)
        channels = channels_of(session, caller.tenant_id, [row.id])
        mode = default_mode(session, caller.tenant_id)
    services.orchestrator.signal_calendar_user(reference(row), CalendarUserSignal.SYNC_NOW)
    return view(services, row, as_channels(channels), mode)


def reference(row: CalendarUser) -> CalendarUserRef:
    """Return what names a calendar user to the workflows."""
    return CalendarUserRef(row.tenant_id, row.id, row.provider)


def view(
    services: ApiServices, row: CalendarUser, channels: Iterable[Channel], default_mode: CalendarsMode
) -> CalendarUserResource:
    """Return the resource of a row, with the address on which the end-user connects again.

    ``channels`` are the user's push channels, ``default_mode`` is the tenant's.
    """
    url = reconnect_url(services.settings.public_url, row.tenant_id, row.id, row.token_digest)
    now = services.clock()
    push = push_health(channels, now=now, is_on=services.settings.push_is_on)
    return calendar_user_resource(row, now=now, default_mode=default_mode, push=push, reconnect_url=url)
