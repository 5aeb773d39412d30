"""The tenant's requests of the last days, and how they were answered."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Caller, Scope, requires
from api.dependencies import InjectedServices
from api.paging import BY_CREATION, Page, PageQuery, cut_page, decode_cursor, micros_of, rows_to_read
from api.problems import COMMON
from api.schemas import Instant, ShortText
from meetbot.storage.api_requests import RequestFilter, list_requests

router = APIRouter(prefix="/api-requests", tags=["audit log"])

Reader = Annotated[Caller, Depends(requires(Scope.AUDIT_READ))]


class ApiRequestResource(BaseModel):
    """One answered request. Neither its body nor its parameters are kept."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "examples": [
                {
                    "at": "2026-11-28T09:00:00Z",
                    "request_id": "5f1d8c93ab07e2d4",
                    "key_id": "k3f7a9c2b1d8e6f4",
                    "method": "GET",
                    "route": "/bots/{bot_id}",
                    "status": 404,
                    "code": "bot_not_found",
                    "milliseconds": 7,
                }
            ]
        },
    )

    at: datetime
    request_id: str = Field(description="The `X-Request-Id` of the answer.")
    key_id: str = Field(description="The public id of the API key.")
    method: str
    route: str = Field(description="The route's template, such as `/bots/{bot_id}`, without `/v1`.")
    status: int
    code: str | None = Field(description="The `code` of the problem, if it was answered with one.")
    milliseconds: int


class RequestsQuery(PageQuery):
    """The filters of the listing."""

    since: Annotated[Instant | None, Field(alias="from", description="Begun then or later.")] = None
    until: Annotated[Instant | None, Field(alias="to", description="Begun before then.")] = None
    key_id: ShortText | None = None
    route: ShortText | None = Field(default=None, description="The template, as it is shown.")
    status: Annotated[int, Field(ge=100, le=599)] | None = None
    code: ShortText | None = None
    request_id: ShortText | None = None
    failed: bool | None = Field(
        default=None, description="Only requests answered with 400 or more, or only the others."
    )


@router.get("", responses=COMMON, summary="List API requests")
def list_api_requests(
    query: Annotated[RequestsQuery, Query()], caller: Reader, services: InjectedServices
) -> Page[ApiRequestResource]:
    """Return a page of the requests of the last seven days, the newest first.

    Requests with a working key are shown, a second or so after their answer. It is no audit log: in an outage or a flood some
    are left out; what changed something stands in the audit log in any case.
    """
    asked = f"requests {caller.tenant_id} {query.question()}"
    place = decode_cursor(query.cursor, asked=asked, shape=BY_CREATION)
    wanted = RequestFilter(
        query.since, query.until, query.key_id, query.route, query.status, query.code, query.request_id, query.failed
    )
    with services.database.transaction(caller.tenant_id) as session:
        rows = list_requests(session, caller.tenant_id, wanted, before=place, limit=rows_to_read(query))
    shown, next_cursor = cut_page(rows, query, asked=asked, place_of=lambda row: (micros_of(row.at), row.request_id))
    return Page(data=[ApiRequestResource.model_validate(row) for row in shown], next_cursor=next_cursor)
