"""Recording bots: the list, and the page of each."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from api.console.shell import InjectedConsole, PostedForm, see_other
from meetbot.domain.bot_state import BotState

router = APIRouter(prefix="/console/bots", include_in_schema=False)
_PAGE = 50


@router.get("")
async def bots(console: InjectedConsole) -> Response:
    """Show the tenant's bots, the newest first."""
    asked = console.request.query_params
    filters = {"state": asked.get("state"), "calendar_user_id": asked.get("calendar_user_id")}
    listed = await console.api.get("/bots", {**filters, "cursor": asked.get("cursor"), "limit": _PAGE})
    return console.page("bots.html", "Bots", listed=listed, filters=filters, states=list(BotState))


@router.get("/{bot_id}")
async def bot(console: InjectedConsole, bot_id: str) -> Response:
    """Show one bot."""
    found = await console.api.get(f"/bots/{bot_id}")
    timeline = await console.api.get_or_none(f"/bots/{bot_id}/timeline", {"limit": 200})
    return console.page("bot.html", "Bot", bot=found, timeline=timeline)


@router.post("/{bot_id}/cancel")
async def cancel(console: InjectedConsole, form: PostedForm, bot_id: str) -> Response:
    """End the bot for the whole meeting."""
    await console.api.change("POST", f"/bots/{bot_id}/cancel")
    return see_other(f"/console/bots/{bot_id}", told="cancelled")
