"""Events with their decisions, and why each was (not) recorded."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import Field, TypeAdapter
from sqlmodel import Session

from api.auth import Caller, Scope, requires
from api.dependencies import ApiServices, InjectedServices
from api.paging import Page, PageQuery, PlaceInstant, PlaceText, cut_page, decode_cursor, micros_of, rows_to_read
from api.problems import COMMON, Problem, described, not_found
from api.schemas import Instant
from meetbot.resources.base import Resource
from meetbot.resources.bot import BotResource, DispatchResource, bot_resource, dispatch_resource
from meetbot.resources.event import EventResource, OutcomeName, event_fields, event_resource
from meetbot.storage.bot_reads import latest_bots, latest_dispatch
from meetbot.storage.calendar_users import find_calendar_user
from meetbot.storage.event_reads import (
    After,
    EventFilter,
    copies_of_meeting,
    find_event,
    list_events,
    next_transaction,
)
from meetbot.storage.overrides import overrides_of
from meetbot.storage.rooms import claimants_by_bot
from meetbot.storage.tables import CalendarEvent
from meetbot.storage.watermarks import Watermark, current_watermark, parse_watermark

router = APIRouter(prefix="/calendar/users/{calendar_user_id}/events", tags=["events"])

_PLACE: TypeAdapter[tuple[str, datetime | None, str]] = TypeAdapter(tuple[PlaceText, PlaceInstant | None, PlaceText])

Reader = Annotated[Caller, Depends(requires(Scope.CALENDARS_READ))]


class EventsQuery(PageQuery):
    """The filters of the listing."""

    from_: Instant | None = Field(default=None, alias="from", description="Only events that end after it.")
    to: Instant | None = Field(default=None, description="Only events that start before it.")
    updated_since: Annotated[str, Field(max_length=200)] | None = Field(
        default=None,
        description="A watermark of an earlier listing: only what changed after it, tombstones (`deleted: true`) included. "
        "To mirror a calendar, list without the other filters: an event that no longer matches them is not shown.",
    )
    decision: OutcomeName | None = None
    has_meeting_url: bool | None = None
    calendar_id: Annotated[str, Field(max_length=1024)] | None = None


class EventPage(Page[EventResource]):
    """One page of events."""

    watermark: str | None = Field(
        description="On the last page: give it as `updated_since` later. It was taken before the first page was read, so what "
        "changed meanwhile is after it."
    )


@router.get("", responses=COMMON | described(404, 410), summary="List events")
def list_user_events(
    calendar_user_id: str, query: Annotated[EventsQuery, Query()], caller: Reader, services: InjectedServices
) -> EventPage:
    """Return a page of events in the order of their start.

    With `updated_since` they come in no meaningful order. Tombstones are kept for 30 days.
    """
    asked = f"events {caller.tenant_id} {calendar_user_id} {query.question()}"
    place = decode_cursor(query.cursor, asked=asked, shape=_PLACE)
    with services.database.transaction(caller.tenant_id) as session:
        if find_calendar_user(session, caller.tenant_id, calendar_user_id) is None:
            raise not_found("calendar_user")
        since = _since(session, services, query)
        # Taken before the first row is read: every change that this listing does not show is after it.
        watermark = current_watermark(session) if place is None else place[0]
        rows = list_events(
            session,
            caller.tenant_id,
            calendar_user_id,
            _filter(query, since),
            after=None if place is None else After(start_at=place[1], id=place[2]),
            limit=rows_to_read(query),
        )
        shown, next_cursor = cut_page(
            rows, query, asked=asked, place_of=lambda row: (watermark, micros_of(row.start_at), row.id)
        )
        data = _views(session, caller.tenant_id, calendar_user_id, shown)
    return EventPage(data=data, next_cursor=next_cursor, watermark=watermark if next_cursor is None else None)


def _since(session: Session, services: ApiServices, query: EventsQuery) -> Watermark | None:
    if query.updated_since is None:
        return None
    watermark = parse_watermark(query.updated_since)
    # A watermark ahead of the database's own is from before a restore: what changed since is not known.
    if watermark.is_expired(services.clock()) or watermark.xid > next_transaction(session):
        raise Problem(410, "watermark_expired", "this watermark is too old; list again without updated_since")
    return watermark


def _filter(query: EventsQuery, since: Watermark | None) -> EventFilter:
    return EventFilter(
        overlaps_from=query.from_,
        overlaps_to=query.to,
        outcome=query.decision,
        has_meeting_url=query.has_meeting_url,
        calendar_id=query.calendar_id,
        changed_since=None if since is None else since.xid,
    )


def _views(session: Session, tenant_id: str, calendar_user_id: str, rows: list[CalendarEvent]) -> list[EventResource]:
    if not rows:
        return []
    overrides = overrides_of(session, tenant_id, calendar_user_id, rows)
    bots = latest_bots(session, tenant_id, {row.meeting_key for row in rows})
    return [
        event_resource(
            row,
            override=overrides.of(row),
            bot_id=bots[row.meeting_key].id if row.meeting_key in bots else None,
        )
        for row in rows
    ]


def view_event(session: Session, row: CalendarEvent) -> EventResource:
    """Return the resource of an event, with its override and bot."""
    return _views(session, row.tenant_id, row.calendar_user_id, [row])[0]


class CopyResource(Resource):
    """The same meeting on one calendar of the tenant."""

    calendar_user_id: str
    event_id: str
    outcome: OutcomeName
    reason: str
    claimed: bool = Field(description="Whether this calendar user wants it recorded. One bot serves all claims.")


class DeduplicationResource(Resource):
    """The copies of the same meeting on all calendars of the tenant."""

    meeting_key: str
    copies: list[CopyResource]


class EventAnswer(EventResource):
    """An event with everything that answers "why was this (not) recorded"."""

    bot: BotResource | None
    dispatch: DispatchResource | None = Field(description="The last time the bot backend was asked for the bot.")
    deduplication: DeduplicationResource


@router.get("/{event_id}", responses=COMMON | described(404), summary="Get an event, and why it was (not) recorded")
def get_event(calendar_user_id: str, event_id: str, caller: Reader, services: InjectedServices) -> EventAnswer:
    """Return an event, the override that applies, its bot, and the other copies of the meeting."""
    with services.database.transaction(caller.tenant_id) as session:
        row = find_event(session, caller.tenant_id, calendar_user_id, event_id)
        if row is None:
            raise not_found("event")
        return _answer(session, row)


def _answer(session: Session, row: CalendarEvent) -> EventAnswer:
    tenant_id, key = row.tenant_id, row.meeting_key
    bot = latest_bots(session, tenant_id, {key}).get(key)
    dispatch = latest_dispatch(session, bot) if bot is not None else None
    claims = claimants_by_bot(session, tenant_id, [bot])[bot.id] if bot is not None else []
    override = overrides_of(session, tenant_id, row.calendar_user_id, [row]).of(row)
    copies = [
        CopyResource.model_validate(copy, from_attributes=True) for copy in copies_of_meeting(session, tenant_id, key)
    ]
    return EventAnswer.model_validate(
        event_fields(row, override=override, bot_id=bot.id if bot is not None else None)
        | {
            "bot": bot_resource(bot, claims) if bot is not None else None,
            "dispatch": dispatch_resource(dispatch) if dispatch is not None else None,
            "deduplication": DeduplicationResource(meeting_key=key, copies=copies),
        }
    )
