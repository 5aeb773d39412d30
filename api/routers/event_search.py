"""Search the events of all calendar users."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import Field, TypeAdapter
from sqlmodel import Session

from api.auth import Caller, Scope, requires
from api.dependencies import InjectedServices
from api.paging import Page, PageQuery, PlaceInstant, PlaceText, decode_cursor, encode_cursor, micros_of, rows_to_read
from api.problems import COMMON
from api.schemas import Instant, ShortText
from meetbot.links.lookup import Lookup
from meetbot.resources.event import EventResource, OutcomeName, event_fields
from meetbot.storage.bot_reads import latest_bots
from meetbot.storage.event_search import EventSearch, Found, FoundPage, search_events
from meetbot.storage.overrides import overrides_of_users

router = APIRouter(prefix="/calendar/events", tags=["events"])

_PLACE: TypeAdapter[tuple[datetime, str]] = TypeAdapter(tuple[PlaceInstant, PlaceText])

Reader = Annotated[Caller, Depends(requires(Scope.CALENDARS_READ))]
Id = Annotated[str, Field(min_length=1, max_length=1024)]


class SearchQuery(PageQuery):
    """What to look for: all that is given must hold."""

    from_: Instant | None = Field(default=None, alias="from", description="Only events that start then or later.")
    to: Instant | None = Field(default=None, description="Only events that start before it.")
    decision: OutcomeName | None = None
    reason: Annotated[str, Field(max_length=64)] | None = Field(default=None, description="The decision's reason code.")
    q: Annotated[str, Field(min_length=2, max_length=200)] | None = Field(
        default=None,
        description="A piece of the title, or of an organiser's or attendee's name or address, in any letter case.",
    )
    id: Id | None = Field(
        default=None,
        description="Any id: of the event, its meeting (`meeting_key`), one of its bots here or at the bot backend, its "
        "iCalendar UID, or the provider's id.",
    )
    meeting_url: Annotated[str, Field(min_length=8, max_length=2048)] | None = Field(
        default=None, description="A link to the meeting; another way of writing it finds the same room."
    )
    meeting_id: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    ical_uid: Id | None = None
    customer_user_id: ShortText | None = None
    calendar_user_id: Annotated[str, Field(max_length=100)] | None = None
    include_deleted: bool = Field(
        default=False, description="Show events that were cancelled or left the calendar, too."
    )


class FoundEvent(EventResource):
    """An event with the calendar user's id at the customer."""

    customer_user_id: str


@router.get("", responses=COMMON, summary="Search the events of all calendar users")
def search_all_events(
    query: Annotated[SearchQuery, Query()], caller: Reader, services: InjectedServices
) -> Page[FoundEvent]:
    """Return a page of the events that match, the latest start first.

    A page looks at 20,000 events at most, so it may show fewer than asked for, or none, and still have a `next_cursor`.
    Events without a usable start are not found here.
    """
    asked = f"search {caller.tenant_id} {query.question()}"
    place = decode_cursor(query.cursor, asked=asked, shape=_PLACE)
    with services.database.transaction(caller.tenant_id) as session:
        page = search_events(session, caller.tenant_id, _search(query), after=place, limit=rows_to_read(query))
        shown = page.found[: query.limit]
        data = _views(session, caller.tenant_id, shown)
    return Page(data=data, next_cursor=_next_cursor(page, shown, asked))


def _search(query: SearchQuery) -> EventSearch:
    link = Lookup().find(query.meeting_url).link if query.meeting_url is not None else None
    # A room is known by its platform and number, however the link is written; without a number only the link tells.
    room = link if link is not None and link.meeting_id else None
    return EventSearch(
        starts_from=query.from_,
        starts_before=query.to,
        outcome=query.decision,
        reason=query.reason,
        any_id=query.id,
        words=query.q,
        meeting_url=None if room is not None else link.url if link is not None else query.meeting_url,
        room=None if room is None else (room.platform.value, room.meeting_id),
        meeting_id=query.meeting_id,
        ical_uid=query.ical_uid,
        customer_user_id=query.customer_user_id,
        calendar_user_id=query.calendar_user_id,
        with_deleted=query.include_deleted,
    )


def _next_cursor(page: FoundPage, shown: Sequence[Found], asked: str) -> str | None:
    if len(page.found) > len(shown):
        last = shown[-1].event
        return encode_cursor((micros_of(last.start_at), last.id), asked=asked)
    if page.looked_up_to is None:
        return None
    start, event_id = page.looked_up_to
    return encode_cursor((micros_of(start), event_id), asked=asked)


def _views(session: Session, tenant_id: str, found: Sequence[Found]) -> list[FoundEvent]:
    if not found:
        return []
    rows = [one.event for one in found]
    overrides = overrides_of_users(session, tenant_id, rows)
    bots = latest_bots(session, tenant_id, {row.meeting_key for row in rows})
    return [
        FoundEvent.model_validate(
            event_fields(
                one.event,
                override=overrides[one.event.calendar_user_id].of(one.event),
                bot_id=bots[one.event.meeting_key].id if one.event.meeting_key in bots else None,
            )
            | {"customer_user_id": one.customer_user_id}
        )
        for one in found
    ]
