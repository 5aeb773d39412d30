"""Answered API requests as rows: written in batches, listed by the tenant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import orjson
from sqlalchemy import text, tuple_
from sqlmodel import Session, col, select

from meetbot.storage.tables import ApiRequest


@dataclass(frozen=True, slots=True)
class AnsweredRequest:
    """One answered request: no path, query, body or address. ``route`` is the route's template."""

    at: datetime
    request_id: str
    key_id: str
    method: str
    route: str
    status: int
    code: str | None
    milliseconds: int


# Nothing is written for a tenant that is erased, or about to be: its row is locked against that.
_ADD = text(
    """
    insert into api_request (tenant_id, at, request_id, key_id, method, route, status, code, milliseconds)
    select t.id, r.at, r.request_id, r.key_id, r.method, r.route, r.status, r.code, r.milliseconds
      from (select id from tenant where id = :tenant_id for key share) t
     cross join jsonb_to_recordset(cast(:requests as jsonb))
           as r (at timestamptz, request_id text, key_id text, method text, route text, status int, code text,
                 milliseconds int)
    on conflict do nothing
    """
)


def add_requests(session: Session, tenant_id: str, requests: Sequence[AnsweredRequest]) -> None:
    """Store requests of one tenant, in one statement."""
    rows = orjson.dumps([asdict(request) for request in requests]).decode("utf-8")
    session.execute(_ADD, {"tenant_id": tenant_id, "requests": rows})


@dataclass(frozen=True, slots=True)
class RequestFilter:
    """Which requests to list: all that is given must hold.

    ``failed``: those answered with an error, or the others.
    """

    since: datetime | None = None
    until: datetime | None = None
    key_id: str | None = None
    route: str | None = None
    status: int | None = None
    code: str | None = None
    request_id: str | None = None
    failed: bool | None = None


_FIRST_ERROR = 400


def list_requests(
    session: Session, tenant_id: str, wanted: RequestFilter, *, before: tuple[datetime, str] | None, limit: int
) -> list[ApiRequest]:
    """Return a page of requests, the newest first, after the one at (at, request_id)."""
    statement = select(ApiRequest).where(ApiRequest.tenant_id == tenant_id)
    if wanted.since is not None:
        statement = statement.where(col(ApiRequest.at) >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(col(ApiRequest.at) < wanted.until)
    for name in ("key_id", "route", "status", "code", "request_id"):
        value = getattr(wanted, name)
        if value is not None:
            statement = statement.where(getattr(ApiRequest, name) == value)
    if wanted.failed is not None:
        is_error = col(ApiRequest.status) >= _FIRST_ERROR
        statement = statement.where(is_error if wanted.failed else ~is_error)
    if before is not None:
        statement = statement.where(tuple_(col(ApiRequest.at), col(ApiRequest.request_id)) < before)
    newest_first = statement.order_by(col(ApiRequest.at).desc(), col(ApiRequest.request_id).desc())
    return list(session.exec(newest_first.limit(limit)))
