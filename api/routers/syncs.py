"""When a calendar was read, and what came of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from api.auth import Caller, Scope, requires
from api.dependencies import InjectedServices
from api.paging import BY_CREATION, Page, PageQuery, cut_page, decode_cursor, micros_of, rows_to_read
from api.problems import COMMON, described, not_found
from meetbot.resources.sync_run import SyncRunResource, sync_run_resource
from meetbot.storage.calendar_users import find_calendar_user
from meetbot.storage.sync_runs import list_runs

router = APIRouter(prefix="/calendar/users/{calendar_user_id}/syncs", tags=["calendar users"])

Reader = Annotated[Caller, Depends(requires(Scope.CALENDARS_READ))]


class SyncsQuery(PageQuery):
    """The filters of the listing."""

    quiet: bool | None = Field(default=None, description="Only syncs that found nothing new, or only the others.")


@router.get("", responses=COMMON | described(404), summary="List the syncs of a calendar user")
def list_syncs(
    calendar_user_id: str, query: Annotated[SyncsQuery, Query()], caller: Reader, services: InjectedServices
) -> Page[SyncRunResource]:
    """Return a page of the syncs of the last seven days, the newest first."""
    asked = f"syncs {caller.tenant_id} {calendar_user_id} {query.question()}"
    place = decode_cursor(query.cursor, asked=asked, shape=BY_CREATION)
    with services.database.transaction(caller.tenant_id) as session:
        if find_calendar_user(session, caller.tenant_id, calendar_user_id) is None:
            raise not_found("calendar_user")
        rows = list_runs(
            session,
            caller.tenant_id,
            calendar_user_id,
            quiet=query.quiet,
            before=place,
            limit=rows_to_read(query),
        )
    shown, next_cursor = cut_page(
        rows, query, asked=asked, place_of=lambda entry: (micros_of(entry.last_at), entry.result)
    )
    return Page(data=[sync_run_resource(entry) for entry in shown], next_cursor=next_cursor)
