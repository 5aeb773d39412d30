"""The recording bot as customers see it, and the request to the backend that it came from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from meetbot.domain.bot_state import BotState
from meetbot.resources.base import OneOf, Resource
from meetbot.storage.tables import Bot, Dispatch

BotStateName = Annotated[str, OneOf(BotState)]


class BotResource(Resource):
    """One recording bot for one meeting."""

    id: str
    meeting_key: str
    state: BotStateName
    join_at: datetime
    dispatch_at: datetime
    dispatched_at: datetime | None
    meeting_url: str
    claims: list[str] = Field(
        description="The calendar users who want the meeting recorded now, and those of overlapping meetings in the same room, "
        "which share this bot."
    )
    backend: str
    backend_bot_id: str | None
    outcome: str | None
    shared_bot_id: str | None = Field(
        description="The bot of another meeting in the same room that serves this one's meeting too. This one was not sent: "
        "its state is `cancelled`, its outcome `shared`."
    )
    failure_code: str | None
    recorded_seconds: int | None
    sequence: int


def bot_resource(row: Bot, claims: Sequence[str]) -> BotResource:
    """Return the resource of a row.

    `claims` are the ids of the calendar users who want the meeting recorded.
    """
    return BotResource.model_validate(
        row.model_dump(include=set(BotResource.model_fields) - {"claims"}) | {"claims": list(claims)}
    )


def bot_document(row: Bot, claims: Sequence[str]) -> dict[str, Any]:
    """Return the ``data`` of a webhook about this bot.

    The ``sequence`` is a field of the resource itself.
    """
    return bot_resource(row, claims).document()


class DispatchResource(Resource):
    """One request to the backend for the bot."""

    state: str
    generation: int
    requested_at: datetime
    accepted_at: datetime | None
    recalled_at: datetime | None


def dispatch_resource(row: Dispatch) -> DispatchResource:
    """Return the resource of a row."""
    return DispatchResource.model_validate(row.model_dump(include=set(DispatchResource.model_fields)))
