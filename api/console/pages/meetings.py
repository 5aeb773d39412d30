"""One meeting on one calendar: why it is or is not recorded, and the switch."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from api.console.shell import InjectedConsole, PostedForm, see_other
from api.console.verdict import verdict_on

router = APIRouter(prefix="/console/calendars/{user_id}/meetings", include_in_schema=False)


@router.get("/{event_id}")
async def meeting(console: InjectedConsole, user_id: str, event_id: str) -> Response:
    """Show the verdict, the gates, the decision and the bot."""
    event = await console.api.get(f"/calendar/users/{user_id}/events/{event_id}")
    user = await console.api.get(f"/calendar/users/{user_id}")
    verdict = verdict_on(event, event["bot"], console.now)
    return console.page("meeting.html", event["title"] or "Meeting", event=event, user=user, verdict=verdict)


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
