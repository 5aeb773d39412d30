"""What happened to an event, and how it was decided."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import Field, TypeAdapter

from api.auth import Caller, Scope, requires
from api.dependencies import InjectedServices
from api.explanation import Explanation, explain
from api.paging import Page, PageQuery, PlaceInstant, PlaceText, cut_page, decode_cursor, micros_of, rows_to_read
from api.problems import COMMON, described, not_found
from api.schemas import Instant
from meetbot.resources.event_history import (
    EventChangeName,
    EventChangeResource,
    UserEventChangeResource,
    event_change_resource,
    user_event_change_resource,
)
from meetbot.storage.calendar_users import find_calendar_user
from meetbot.storage.event_history import HistoryFilter, history_of, history_of_user
from meetbot.storage.event_reads import find_event

router = APIRouter(prefix="/calendar/users/{calendar_user_id}", tags=["events"])

_EVENT = "/events/{event_id}"

_Step = Annotated[int, Field(strict=True, ge=-1, le=9)]
_PLACE: TypeAdapter[tuple[datetime, int, str]] = TypeAdapter(tuple[PlaceInstant, _Step, PlaceText])

Reader = Annotated[Caller, Depends(requires(Scope.CALENDARS_READ))]
RuleReader = Annotated[Caller, Depends(requires(Scope.CALENDARS_READ, Scope.RULES_READ))]


class HistoryQuery(PageQuery):
    """The filters of a history."""

    change: EventChangeName | None = Field(default=None, description="Only entries with this kind of change.")


@router.get(f"{_EVENT}/history", responses=COMMON | described(404), summary="List what happened to an event")
def list_event_history(
    calendar_user_id: str,
    event_id: str,
    query: Annotated[HistoryQuery, Query()],
    caller: Reader,
    services: InjectedServices,
) -> Page[EventChangeResource]:
    """Return a page of the event's changes, the oldest first.

    It begins with `first_seen`; what the event was then, the first change tells. An entry holds codes, instants and counts,
    and no title, address or link. Entries are kept as long as the event, and for `event_days` at least.
    """
    asked = f"history {caller.tenant_id} {calendar_user_id} {event_id} {query.question()}"
    place = decode_cursor(query.cursor, asked=asked, shape=_PLACE)
    with services.database.transaction(caller.tenant_id) as session:
        event = find_event(session, caller.tenant_id, calendar_user_id, event_id)
        if event is None:
            raise not_found("event")
        rows = history_of(session, event, change=query.change, after=place, limit=rows_to_read(query))
    shown, next_cursor = cut_page(
        rows, query, asked=asked, place_of=lambda entry: (micros_of(entry.at), entry.step, entry.key)
    )
    return Page(data=[event_change_resource(entry) for entry in shown], next_cursor=next_cursor)


@router.get(f"{_EVENT}/explain", responses=COMMON | described(404), summary="Explain a decision, rule by rule")
def explain_event(calendar_user_id: str, event_id: str, caller: RuleReader, services: InjectedServices) -> Explanation:
    """Return each point of the fixed policy, each rule and each condition, with what it saw.

    It is worked out from what is stored, by the rule sets in force when it was decided. It shows rules, so the API key needs
    `rules:read` too.
    """
    with services.database.transaction(caller.tenant_id) as session:
        event = find_event(session, caller.tenant_id, calendar_user_id, event_id)
        explanation = explain(session, event) if event is not None else None
    if explanation is None:
        raise not_found("event")
    return explanation


class UserHistoryQuery(HistoryQuery):
    """The filters of a calendar user's history."""

    from_: Instant | None = Field(default=None, alias="from", description="Only changes seen then or later.")
    to: Instant | None = Field(default=None, description="Only changes seen before it.")


@router.get("/history", responses=COMMON | described(404), summary="List what changed of a calendar user's events")
def list_user_history(
    calendar_user_id: str, query: Annotated[UserHistoryQuery, Query()], caller: Reader, services: InjectedServices
) -> Page[UserEventChangeResource]:
    """Return a page of the changes of all events of a calendar user, the newest first.

    New events and the making of bots are no part of it: events say when they were first seen, and bots when they were made.
    """
    asked = f"history {caller.tenant_id} {calendar_user_id} {query.question()}"
    place = decode_cursor(query.cursor, asked=asked, shape=_PLACE)
    wanted = HistoryFilter(query.change, query.from_, query.to)
    with services.database.transaction(caller.tenant_id) as session:
        if find_calendar_user(session, caller.tenant_id, calendar_user_id) is None:
            raise not_found("calendar_user")
        rows = history_of_user(
            session, caller.tenant_id, calendar_user_id, wanted, before=place, limit=rows_to_read(query)
        )
    shown, next_cursor = cut_page(
        rows, query, asked=asked, place_of=lambda entry: (micros_of(entry.at), entry.step, entry.key)
    )
    return Page(data=[user_event_change_resource(entry) for entry in shown], next_cursor=next_cursor)
