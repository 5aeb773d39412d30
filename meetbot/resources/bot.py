"""The recording bot as customers see it, and the request to the backend that it came from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from meetbot.domain.bot_history import BotChange, ChangeSource
from meetbot.domain.bot_state import BotState
from meetbot.resources.base import OneOf, Resource
from meetbot.storage.tables import Bot, BotTransition, Dispatch

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


class BotTransitionResource(Resource):
    """One change of a bot."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "number": 3,
                    "at": "2026-11-28T08:58:30.200000Z",
                    "change": "accepted",
                    "from_state": "dispatching",
                    "to_state": "dispatched",
                    "source": "backend",
                    "code": None,
                    "backend_code": None,
                    "generation": 1,
                    "dispatch_at": "2026-11-28T08:58:30Z",
                    "late_seconds": 0.2,
                }
            ]
        }
    )

    number: int = Field(description="Counts the bot's changes; they happened in this order.")
    at: datetime
    change: Annotated[str, OneOf(BotChange)] = Field(
        description="`asked`: its backend is about to be asked for it. `accepted`: the backend said yes to the request made "
        "`at` this time. `not_accepted`: the backend was asked and did not take it yet. `reported`: the backend says how far "
        "it is. `recall_begun`: the backend is told to take it back. `renewed`: it was taken back and will be sent again."
    )
    from_state: BotStateName | None = Field(description="Null at its creation.")
    to_state: BotStateName
    source: Annotated[str, OneOf(ChangeSource)] = Field(description="Who changed it.")
    code: str | None = Field(description="Why, as a stable code; as `failure_code` and `outcome` of the bot.")
    backend_code: str | None = Field(description="What the bot backend itself gave as the reason.")
    generation: int = Field(description="Counts the times that a bot of this meeting was made or sent again.")
    dispatch_at: datetime = Field(description="When the backend was to be asked, as planned at that time.")
    late_seconds: float | None = Field(
        description="With `accepted`: how much later than planned the backend was asked; negative if it was earlier."
    )


def bot_transition_resource(row: BotTransition) -> BotTransitionResource:
    """Return the resource of a row."""
    accepted = row.change is BotChange.ACCEPTED
    late = round((row.at - row.dispatch_at).total_seconds(), 3) if accepted else None
    return BotTransitionResource.model_validate(
        row.model_dump(include=set(BotTransitionResource.model_fields) - {"late_seconds"}) | {"late_seconds": late}
    )
