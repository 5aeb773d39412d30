"""Connected calendars: the list, connecting one, and the page of each."""

from __future__ import annotations

from datetime import timedelta
from itertools import groupby
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from api.console import words
from api.console.api_calls import ApiRefused
from api.console.shell import Console, InjectedConsole, PostedForm, see_other

router = APIRouter(prefix="/console/calendars", include_in_schema=False)
_PAGE = 50
_CHOSEN = "calendar "
_FILTERS = ("state", "provider", "customer_user_id")


@router.get("")
async def calendars(console: InjectedConsole) -> Response:
    """Show the tenant's calendars, a page at a time."""
    asked = dict(console.request.query_params)
    filters = {name: asked.get(name) for name in _FILTERS}
    listed = await console.api.get("/calendar/users", {**filters, "cursor": asked.get("cursor"), "limit": _PAGE})
    return console.page("calendars.html", "Calendars", listed=listed, filters=filters)


@router.post("/connect")
async def connect(console: InjectedConsole, form: PostedForm) -> Response:
    """Begin to connect a calendar; the page leads on to the provider.

    The browser goes on by a link and a refresh, since a form may lead to no other site.
    """
    provider = "microsoft" if form.get("provider") == "microsoft" else "google"
    body: dict[str, Any] = {"customer_user_id": form.get("customer_user_id", "")}
    back = f"{console.services.settings.public_url.rstrip('/')}/console/calendars/connected"
    try:
        started = await console.api.change("POST", f"/calendar/connect/{provider}", body | {"redirect_url": back})
    except ApiRefused as refused:
        if refused.code != "invalid_redirect_url":
            raise
        # The tenant lets connects end at its own pages only; the plain page at the end does as well.
        started = await console.api.change("POST", f"/calendar/connect/{provider}", body)
    return console.page("go_on.html", "Going on to the provider", address=started["authorization_url"])


@router.get("/connected")
async def connected(console: InjectedConsole) -> Response:
    """Take the browser that comes back from a connect, and lead to what came of it."""
    told = console.request.query_params
    user = told.get("meetbot_calendar_user_id", "")
    if told.get("status") == "connected" and user.startswith("cu_") and user.isascii() and "/" not in user:
        return see_other(f"/console/calendars/{user}", told="connected")
    return see_other("/console/calendars", told=f"not_connected_{told.get('error', '')[:40]}")


@router.get("/{user_id}")
async def calendar(console: InjectedConsole, user_id: str) -> Response:
    """Show one calendar with its meetings by day."""
    asked = dict(console.request.query_params)
    user = await console.api.get(f"/calendar/users/{user_id}")
    since = (console.now - timedelta(hours=12)).strftime("%Y-%m-%dT%H:%M:%SZ")
    filters = {"decision": asked.get("decision"), "cursor": asked.get("cursor")}
    path = f"/calendar/users/{user_id}"
    # Somebody who waits for an administrator has no events.
    events = await console.api.get_or_none(
        f"{path}/events", {**filters, "from": asked.get("from") or since, "limit": _PAGE}
    ) or {"data": [], "next_cursor": None}
    bots = await _bots_of(console, user_id)
    return console.page(
        "calendar.html",
        user["email"],
        user=user,
        days=_by_day(console, events["data"]),
        bots=bots,
        next_cursor=events["next_cursor"],
        filters=filters,
        rules=await console.api.get_or_none(f"{path}/rules"),
        syncs=await console.api.get_or_none(f"{path}/syncs", {"limit": 10}),
        changes=await console.api.get_or_none(f"{path}/history", {"limit": 20}),
    )


@router.get("/{user_id}/check")
async def check(console: InjectedConsole, user_id: str) -> Response:
    """Answer what a person asks when no bot came; it may take some seconds."""
    user = await console.api.get(f"/calendar/users/{user_id}")
    checks = await console.api.get(f"/calendar/users/{user_id}/check")
    return console.page("check.html", f"Check of {user['email']}", user=user, checks=checks["data"])


@router.get("/{user_id}/choice")
async def choice(console: InjectedConsole, user_id: str) -> Response:
    """Show the account's calendars, and which of them are read."""
    user = await console.api.get(f"/calendar/users/{user_id}")
    listed = await console.api.get(f"/calendar/users/{user_id}/calendars")
    return console.page("choice.html", f"Calendars of {user['email']}", user=user, listed=listed["data"])


@router.post("/{user_id}/choice")
async def choose(console: InjectedConsole, form: PostedForm, user_id: str) -> Response:
    """Say which of the account's calendars are read."""
    mode = form.get("mode", "")
    chosen = [name.removeprefix(_CHOSEN) for name in form if name.startswith(_CHOSEN)]
    body = {"mode": mode} | ({"calendar_ids": chosen} if mode == "selected" else {})
    await console.api.change("PUT", f"/calendar/users/{user_id}/calendars", body)
    return see_other(f"/console/calendars/{user_id}/choice", told="saved")


@router.post("/{user_id}/sync")
async def sync(console: InjectedConsole, form: PostedForm, user_id: str) -> Response:
    """Have the calendar synced now."""
    await console.api.change("POST", f"/calendar/users/{user_id}/sync")
    return see_other(f"/console/calendars/{user_id}", told="syncing")


@router.post("/{user_id}/disconnect")
async def disconnect(console: InjectedConsole, form: PostedForm, user_id: str) -> Response:
    """Erase the calendar user, if the person has typed the calendar's address."""
    user = await console.api.get(f"/calendar/users/{user_id}")
    if form.get("confirm", "").strip().lower() != str(user["email"]).lower():
        return see_other(f"/console/calendars/{user_id}", told="not_confirmed")
    await console.api.change("DELETE", f"/calendar/users/{user_id}")
    return see_other("/console/calendars", told="disconnecting")


async def _bots_of(console: Console, user_id: str) -> dict[str, Any]:
    listed = await console.api.get_or_none("/bots", {"calendar_user_id": user_id, "limit": 250})
    return {bot["id"]: bot for bot in listed["data"]} if listed is not None else {}


def _by_day(console: Console, events: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Group events, which come in order, by the day that they start on in the viewer's zone."""
    return [
        (day, list(held))
        for day, held in groupby(events, key=lambda event: words.at(event["start"], console.zone, "day"))
    ]
