"""What was recorded, and what it costs."""

from __future__ import annotations

from datetime import timedelta

from fastapi import APIRouter
from starlette.responses import Response

from api.console.charts import bars
from api.console.shell import InjectedConsole

router = APIRouter(prefix="/console/usage", include_in_schema=False)
_GROUPS = ("day", "calendar_user", "customer_user_id")
_SPANS = (7, 30, 90, 365)


@router.get("")
async def usage(console: InjectedConsole, group_by: str = "day", days: int = 30) -> Response:
    """Show usage by day, calendar or the customer's own id; as CSV with ``?csv=1``."""
    group, span = (group_by if group_by in _GROUPS else _GROUPS[0]), (days if days in _SPANS else 30)
    since = (console.now - timedelta(days=span)).strftime("%Y-%m-%dT%H:%M:%SZ")
    params = {"from": since, "group_by": group}
    if console.request.query_params.get("csv"):
        text = await console.api.text("/usage", params, accept="text/csv")
        headers = {"Content-Disposition": 'attachment; filename="usage.csv"'}
        return Response(text, media_type="text/csv; charset=utf-8", headers=headers)
    found = await console.api.get("/usage", params)
    chart = bars([(str(row["key"]), row["completed"], row["failed"] + row["missed"]) for row in found["data"]])
    return console.page(
        "usage.html", "Usage", usage=found, group=group, groups=_GROUPS, span=span, spans=_SPANS, chart=chart
    )
