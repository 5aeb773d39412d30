"""What the nightly runs have deleted."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field, TypeAdapter

from api.auth import Caller, Scope, requires
from api.dependencies import InjectedServices
from api.paging import Page, PageQuery, PlaceNumber, cut_page, decode_cursor, rows_to_read
from api.problems import COMMON
from meetbot.storage.retention import list_runs

router = APIRouter(prefix="/tenant/retention-runs", tags=["tenant"])


class RetentionRunResource(BaseModel):
    """One night's run."""

    day: date
    started_at: datetime
    finished_at: datetime | None = Field(description="Null while it runs, or if it died: another worker does it again.")
    deleted: dict[str, int] = Field(
        description="How many rows were deleted for good, by kind.", examples=[{"events": 12, "bots": 0}]
    )


_BY_DAY: TypeAdapter[tuple[int]] = TypeAdapter(tuple[Annotated[PlaceNumber, Field(ge=1, le=date.max.toordinal())]])


@router.get("", responses=COMMON, summary="List retention runs")
def list_retention_runs(
    query: Annotated[PageQuery, Query()],
    caller: Annotated[Caller, Depends(requires(Scope.TENANT_READ))],
    services: InjectedServices,
) -> Page[RetentionRunResource]:
    """Return a page of the nightly runs, the newest first. They are kept for 400 days."""
    asked = f"retention-runs {caller.tenant_id} {query.question()}"
    place = decode_cursor(query.cursor, asked=asked, shape=_BY_DAY)
    before = date.fromordinal(place[0]) if place is not None else None
    with services.database.transaction(caller.tenant_id) as session:
        rows = list_runs(session, caller.tenant_id, before=before, limit=rows_to_read(query))
    shown, next_cursor = cut_page(rows, query, asked=asked, place_of=lambda row: [row.day.toordinal()])
    data = [RetentionRunResource.model_validate(row.model_dump()) for row in shown]
    return Page(data=data, next_cursor=next_cursor)
