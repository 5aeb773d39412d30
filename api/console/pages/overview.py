"""The first page: what needs attention, what happens next, what is still to be set up."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from api.console.shell import Console, InjectedConsole

router = APIRouter(include_in_schema=False)
_MOST_CALENDARS = 250
_NEXT = 10
_LATELY = timedelta(days=1)


@router.get("/")
def root() -> RedirectResponse:
    """Lead to the console."""
    return RedirectResponse("/console", status_code=302)


@router.get("/console")
async def overview(console: InjectedConsole) -> Response:
    """Show the tenant's state on one page."""
    api = console.api
    lost = await api.get_or_none("/calendar/users", {"state": "needs_reconnect", "limit": 50})
    users = await api.get_or_none("/calendar/users", {"limit": _MOST_CALENDARS})
    bots = await api.get_or_none("/bots", {"limit": 250})
    endpoints = await api.get_or_none("/webhook-endpoints", {"limit": 50})
    found = bots["data"] if bots is not None else []
    return console.page(
        "overview.html",
        "Overview",
        lost=lost["data"] if lost is not None else [],
        users=users,
        bots=bots,
        troubled=[bot for bot in found if _is_troubled(bot, console.now)],
        coming=sorted((bot for bot in found if bot["state"] == "scheduled"), key=lambda bot: bot["join_at"])[:_NEXT],
        live=[bot for bot in found if bot["state"] in ("joining", "waiting_for_admission", "in_call", "recording")],
        counts=_counts(found, console.now),
        disabled=[one for one in (endpoints["data"] if endpoints is not None else []) if one["state"] != "enabled"],
        steps=await _steps(console, users, found, endpoints),
    )


def _is_troubled(bot: dict[str, Any], now: datetime) -> bool:
    return bot["state"] in ("failed", "missed") and datetime.fromisoformat(bot["join_at"]) > now - _LATELY


def _counts(bots: list[dict[str, Any]], now: datetime) -> dict[str, int]:
    """Count the bots of the last day, by what became of them."""
    lately = [bot for bot in bots if now - _LATELY < datetime.fromisoformat(bot["join_at"]) <= now]
    return {
        state: sum(bot["state"] == state for bot in lately) for state in ("completed", "failed", "missed", "cancelled")
    }


async def _steps(
    console: Console, users: Any, bots: list[dict[str, Any]], endpoints: Any
) -> list[tuple[str, bool, str]]:
    """Return the steps of setting up, whether each is done, and where to do it."""
    layer = await console.api.get_or_none("/calendar/rules/default")
    has_rules = bool(layer and layer["rules"])
    return [
        ("Connect a calendar", bool(users and users["data"]), "/console/calendars"),
        ("Set rules", has_rules, "/console/rules"),
        ("Add a webhook endpoint", bool(endpoints and endpoints["data"]), "/console/webhooks"),
        ("First recording", any(bot["state"] == "completed" for bot in bots), "/console/bots"),
    ]
