"""One meeting on one calendar: why it is or is not recorded, and the switch."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from api.console.shell import Console, InjectedConsole, PostedForm, see_other
from api.console.verdict import verdict_on

router = APIRouter(prefix="/console/calendars/{user_id}/meetings", include_in_schema=False)


@router.get("/{event_id}")
async def meeting(console: InjectedConsole, user_id: str, event_id: str) -> Response:
    """Show the verdict, the gates, the decision and the bot."""
    event = await console.api.get(f"/calendar/users/{user_id}/events/{event_id}")
    user = await console.api.get(f"/calendar/users/{user_id}")
    path = f"/calendar/users/{user_id}/events/{event_id}"
    return console.page(
        "meeting.html",
        event["title"] or "Meeting",
        event=event,
        user=user,
        verdict=verdict_on(event, event["bot"], console.now),
        explained=await console.api.get_or_none(f"{path}/explain"),
        history=await console.api.get_or_none(f"{path}/history", {"limit": 50}),
        timeline=await _timeline(console, event["bot_id"]),
    )


async def _timeline(console: Console, bot_id: str | None) -> Any:
    if bot_id is None:
        return None
    return await console.api.get_or_none(f"/bots/{bot_id}/timeline", {"limit": 100})


@router.post("/{event_id}/override")
async def override(console: InjectedConsole, form: PostedForm, user_id: str, event_id: str) -> Response:
    """Switch the recording on or off by hand, or follow the rules again."""
    path = f"/calendar/users/{user_id}/events/{event_id}/override"
    scope = "series" if form.get("scope") == "series" else "occurrence"
    recording = form.get("recording", "")
    if recording in ("record", "skip"):
        await console.api.change("PUT", path, {"recording": recording, "scope": scope})
    else:
        await console.api.change("DELETE", f"{path}?scope={scope}")
    return see_other(f"/console/calendars/{user_id}/meetings/{event_id}", told="override")
