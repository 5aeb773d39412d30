"""One search for any id, person or calendar."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from api.console import words
from api.console.shell import Console, InjectedConsole

router = APIRouter(prefix="/console/search", include_in_schema=False)
_PLACES = {
    "cu_": "/console/calendars/{}",
    "bot_": "/console/bots/{}",
    "dlv_": "/console/webhooks/deliveries/{}",
    "whe_": "/console/webhooks/{}",
}
_LONGEST = 200
_MOST_CALENDARS = 1000
_PAGE = 250
_MOST_MEETINGS = 20
Found = tuple[str, str]


@router.get("")
async def search(console: InjectedConsole, q: str = "") -> Response:
    """Lead to what was searched for, or list what fits."""
    query = q.strip()[:_LONGEST]
    for prefix, place in _PLACES.items():
        if query.startswith(prefix) and query.isascii() and query.replace("_", "").isalnum():
            return RedirectResponse(place.format(query), status_code=303)
    found = await _calendars(console, query) if query else []
    found += await _meetings(console, query) if len(query) > 1 else []
    if len(found) == 1:
        return RedirectResponse(found[0][1], status_code=303)
    return console.page("search.html", "Search", query=query, found=found)


async def _calendars(console: Console, query: str) -> list[Found]:
    """Find calendars by the customer's own id, or among the first thousand by their address."""
    exact = await console.api.get("/calendar/users", {"customer_user_id": query, "limit": _PAGE})
    if exact["data"]:
        return [_found(user) for user in exact["data"]]
    found: list[Found] = []
    cursor: str | None = None
    for _ in range(_MOST_CALENDARS // _PAGE):
        listed = await console.api.get("/calendar/users", {"cursor": cursor, "limit": _PAGE})
        found += [_found(user) for user in listed["data"] if query.casefold() in str(user["email"]).casefold()]
        cursor = listed["next_cursor"]
        if cursor is None:
            break
    return found


async def _meetings(console: Console, query: str) -> list[Found]:
    """Find meetings by any id of theirs, by a link, or by a piece of a title or a person."""
    by_id = await console.api.get_or_none("/calendar/events", {"id": query, "limit": _MOST_MEETINGS})
    listed = by_id if by_id and by_id["data"] else await _by_words(console, query)
    return [
        (
            f"{event['title'] or '(no title)'}, {words.at(event['start'], console.zone)} ({event['customer_user_id']})",
            f"/console/calendars/{event['calendar_user_id']}/meetings/{event['id']}",
        )
        for event in (listed["data"] if listed else [])
    ]


async def _by_words(console: Console, query: str) -> Any:
    name = "meeting_url" if query.startswith("https://") else "q"
    return await console.api.get_or_none("/calendar/events", {name: query, "limit": _MOST_MEETINGS})


def _found(user: dict[str, str]) -> Found:
    return f"{user['email']} ({user['provider']}, {user['customer_user_id']})", f"/console/calendars/{user['id']}"
