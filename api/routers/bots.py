"""Recording bots."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse, Response
from pydantic import Field, TypeAdapter
from sqlmodel import Session

from api.audit import record
from api.auth import Caller, Scope, requires
from api.dependencies import InjectedServices
from api.paging import (
    BY_CREATION,
    Page,
    PageQuery,
    PlaceNumber,
    cut_page,
    decode_cursor,
    place_by_creation,
    rows_to_read,
)
from api.problems import COMMON, described, not_found
from meetbot.resources.bot import (
    BotResource,
    BotStateName,
    BotTransitionResource,
    bot_resource,
    bot_transition_resource,
)
from meetbot.storage.bot_reads import BotFilter, find_bot, list_bots, meetings_to_cancel, suppress_meeting
from meetbot.storage.bot_transitions import timeline
from meetbot.storage.rooms import claimants_by_bot
from meetbot.storage.tables import Bot

router = APIRouter(prefix="/bots", tags=["bots"])

Reader = Annotated[Caller, Depends(requires(Scope.BOTS_READ))]
Writer = Annotated[Caller, Depends(requires(Scope.BOTS_WRITE))]

_BY_NUMBER: TypeAdapter[tuple[int]] = TypeAdapter(tuple[PlaceNumber])


class BotsQuery(PageQuery):
    """The filters of the listing."""

    state: BotStateName | None = None
    meeting_key: Annotated[str, Field(max_length=100)] | None = None
    calendar_user_id: Annotated[str, Field(max_length=100)] | None = Field(
        default=None, description="Only bots of meetings that this calendar user wants recorded now."
    )


@router.get("", responses=COMMON, summary="List bots")
def list_tenant_bots(
    query: Annotated[BotsQuery, Query()], caller: Reader, services: InjectedServices
) -> Page[BotResource]:
    """Return a page of the tenant's bots, the newest first."""
    asked = f"bots {caller.tenant_id} {query.question()}"
    place = decode_cursor(query.cursor, asked=asked, shape=BY_CREATION)
    with services.database.transaction(caller.tenant_id) as session:
        rows = list_bots(
            session,
            caller.tenant_id,
            BotFilter(query.state, query.meeting_key, query.calendar_user_id),
            before=place,
            limit=rows_to_read(query),
        )
        shown, next_cursor = cut_page(rows, query, asked=asked, place_of=place_by_creation)
        return Page(data=_views(session, caller.tenant_id, shown), next_cursor=next_cursor)


@router.get("/{bot_id}", responses=COMMON | described(404), summary="Get a bot")
def get_bot(bot_id: str, caller: Reader, services: InjectedServices) -> BotResource:
    """Return one bot."""
    with services.database.transaction(caller.tenant_id) as session:
        row = find_bot(session, caller.tenant_id, bot_id)
        if row is None:
            raise not_found("bot")
        return _views(session, caller.tenant_id, [row])[0]


@router.get("/{bot_id}/timeline", responses=COMMON | described(404), summary="List what happened to a bot")
def list_bot_timeline(
    bot_id: str, query: Annotated[PageQuery, Query()], caller: Reader, services: InjectedServices
) -> Page[BotTransitionResource]:
    """Return a page of the bot's changes, the oldest first.

    They are kept as long as the bot (`bot_days`). Of a bot that its backend is asked for again and again, the first 200
    changes are kept, and of the later ones only those of its state.
    """
    asked = f"timeline {caller.tenant_id} {bot_id} {query.question()}"
    place = decode_cursor(query.cursor, asked=asked, shape=_BY_NUMBER)
    with services.database.transaction(caller.tenant_id) as session:
        if find_bot(session, caller.tenant_id, bot_id) is None:
            raise not_found("bot")
        after = place[0] if place is not None else 0
        rows = timeline(session, caller.tenant_id, bot_id, after=after, limit=rows_to_read(query))
    shown, next_cursor = cut_page(rows, query, asked=asked, place_of=lambda row: (row.number,))
    return Page(data=[bot_transition_resource(row) for row in shown], next_cursor=next_cursor)


@router.post(
    "/{bot_id}/cancel",
    status_code=202,
    response_model=BotResource,
    responses=COMMON | described(404) | {200: {"model": BotResource, "description": "It had ended already."}},
    summary="Cancel a bot for the whole meeting",
)
def cancel_bot(bot_id: str, caller: Writer, services: InjectedServices) -> Response:
    """End the bot for the whole meeting, whichever calendar users wanted it.

    No other bot goes to the meeting until someone overrides with `record`. Repeating it changes nothing. A bot that overlapping
    meetings in one room share is ended for all of them: nobody who cancels a bot sees another come in its place. To end the
    recording of one of them only, cancel that meeting's own bot, whose outcome is `shared`.
    """
    with services.database.transaction(caller.tenant_id) as session:
        row = find_bot(session, caller.tenant_id, bot_id)
        if row is None:
            raise not_found("bot")
        meeting_keys = meetings_to_cancel(session, row)
        for meeting_key in meeting_keys:
            suppress_meeting(session, caller.tenant_id, meeting_key, suppressed_by=caller.key_id, now=services.clock())
        view = _views(session, caller.tenant_id, [row])[0]
        record(session, caller, bot_id, {"had_ended": not meeting_keys})
    for meeting_key in meeting_keys:
        services.orchestrator.cancel_bot(caller.tenant_id, meeting_key)
    return JSONResponse(view.document(), status_code=202 if meeting_keys else 200)


def _views(session: Session, tenant_id: str, rows: list[Bot]) -> list[BotResource]:
    claims = claimants_by_bot(session, tenant_id, rows)
    return [bot_resource(row, claims[row.id]) for row in rows]
