"""Usage: how much was recorded, and what it costs."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from api.auth import Caller, Scope, requires
from api.dependencies import InjectedServices
from api.problems import COMMON, Problem
from api.schemas import Body, Instant
from meetbot.domain.usage import CURRENCY, PRICE_PER_HOUR, amount_of, spreadsheet_text
from meetbot.storage.usage import Usage, UsageGroup, sum_usage

router = APIRouter(prefix="/usage", tags=["usage"])

_DEFAULT_DAYS = timedelta(days=30)
_MOST_DAYS = timedelta(days=366)
_MOST_GROUPS = 10_000


class UsageQuery(Body):
    """The time to sum up, and what by."""

    since: Annotated[Instant | None, Field(alias="from", description="30 days before `to` if left out.")] = None
    until: Annotated[Instant | None, Field(alias="to", description="Now if left out; not included.")] = None
    group_by: UsageGroup = UsageGroup.DAY


class UsageSums(BaseModel):
    """Sums of bots."""

    bots: int = Field(description="That were sent, or should have been.")
    completed: int
    failed: int
    missed: int
    recorded_seconds: int = Field(description="As the bot backend told it.")
    amount: str = Field(description="In `currency`: a decimal with two to six places.", examples=["0.30", "0.000083"])


class UsageRow(UsageSums):
    """The sums of one day, calendar user or customer user."""

    key: str | None = Field(description="Null for bots whose calendar user is not known any more.")


class UsageAnswer(BaseModel):
    """Usage by group, and in total."""

    data: list[UsageRow]
    total: UsageSums = Field(
        description="Each bot counted once. Its amount is of all seconds together, not of the rounded rows."
    )
    currency: str
    price_per_hour: str


@router.get(
    "",
    response_model=UsageAnswer,
    responses=COMMON
    | {200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "JSON, or CSV if asked for."}},
    summary="Sum up usage",
)
def get_usage(
    query: Annotated[UsageQuery, Query()],
    request: Request,
    caller: Annotated[Caller, Depends(requires(Scope.TENANT_READ))],
    services: InjectedServices,
) -> Any:
    """Return what was recorded in meetings that started in that time, at most 366 days.

    `Accept: text/csv` gives CSV.

    Recording costs $0.30 an hour, counted by the second; the calendar costs nothing. A bot that several calendar users claim
    counts once: for the one by whose event it was made, else for the first that claimed it.
    """
    since, until = _bounds(query, services.clock())
    with services.database.transaction(caller.tenant_id) as session:
        rows = sum_usage(session, caller.tenant_id, query.group_by, since=since, until=until, limit=_MOST_GROUPS + 1)
    if len(rows) > _MOST_GROUPS:
        raise Problem(422, "too_many_groups", f"more than {_MOST_GROUPS} rows; ask for a shorter time")
    if _wants_csv(request):
        return Response(_csv(rows), media_type="text/csv; charset=utf-8")
    return UsageAnswer(
        data=[UsageRow(key=row.key, **_sums([row])) for row in rows],
        total=UsageSums(**_sums(rows)),
        currency=CURRENCY,
        price_per_hour=str(PRICE_PER_HOUR),
    )


def _bounds(query: UsageQuery, now: datetime) -> tuple[datetime, datetime]:
    until = query.until or now
    try:
        since = query.since or until - _DEFAULT_DAYS
        if timedelta() < until - since <= _MOST_DAYS:
            return since, until
    except OverflowError:
        pass
    raise Problem(422, "invalid_range", "`from` must be before `to`, at most 366 days")


def _wants_csv(request: Request) -> bool:
    """Return whether CSV is the first type that the client takes."""
    first = request.headers.get("accept", "").split(",", 1)[0]
    return first.split(";", 1)[0].strip().lower() == "text/csv"


def _sums(rows: Sequence[Usage]) -> dict[str, Any]:
    seconds = sum(row.recorded_seconds for row in rows)
    return {
        "bots": sum(row.bots for row in rows),
        "completed": sum(row.completed for row in rows),
        "failed": sum(row.failed for row in rows),
        "missed": sum(row.missed for row in rows),
        "recorded_seconds": seconds,
        "amount": amount_of(seconds),
    }


_COLUMNS = ("bots", "completed", "failed", "missed", "recorded_seconds", "amount")


def _csv(rows: Sequence[Usage]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(("key", *_COLUMNS, "currency"))
    for row in rows:
        sums = _sums([row])
        writer.writerow((spreadsheet_text(row.key or ""), *(sums[name] for name in _COLUMNS), CURRENCY))
    return out.getvalue()
