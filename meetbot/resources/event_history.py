"""An entry of an event's history as customers see it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field

from meetbot.domain.event_history import EventChange, EventSource
from meetbot.resources.base import OneOf, Resource
from meetbot.storage.event_history import EventEntry

EventChangeName = Annotated[str, OneOf(EventChange)]


class EventDetails(Resource):
    """What of an event differed, before or after a change; null if it did not, or was not there.

    Never a title, address or link.
    """

    start: datetime | None = None
    end: datetime | None = None
    platform: str | None = None
    people: int | None = Field(default=None, description="How many were invited, rooms included.")
    response: str | None = Field(default=None, description="The calendar user's own answer.")
    meeting_key: str | None = None
    outcome: str | None = None
    reason: str | None = None
    rule: str | None = None
    rule_layer: str | None = None
    rule_set_version: int | None = None
    bot_id: str | None = Field(default=None, description="With `bot_linked`: the bot; its timeline tells the rest.")
    override: str | None = Field(default=None, description="With `override_set`: `record` or `skip`.")
    scope: str | None = Field(default=None, description="Of the override: `occurrence` or `series`.")
    by: str | None = Field(default=None, description="The public id of the API key that set or removed the override.")


class EventChangeResource(Resource):
    """One entry of an event's history."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "at": "2026-11-28T09:47:12Z",
                    "source": "calendar",
                    "changes": ["moved"],
                    "before": {"start": "2026-11-30T13:00:00Z", "end": "2026-11-30T14:00:00Z"},
                    "after": {"start": "2026-11-30T14:00:00Z", "end": "2026-11-30T15:00:00Z"},
                }
            ]
        }
    )

    at: datetime
    source: Annotated[str, OneOf(EventSource)] = Field(
        description="What made the change: the `calendar` as it was read, other `rules`, lost `access`, the daily `limit`, a "
        "`person`, or the making of a `bot`."
    )
    changes: list[EventChangeName] = Field(
        description="What changed. `relinked`: the meeting's link; `attendees`: people or their answers; `answered`: the "
        "calendar user's own answer; `regrouped`: it is a copy of another meeting now."
    )
    before: EventDetails
    after: EventDetails


class UserEventChangeResource(EventChangeResource):
    """One entry of the history of a calendar user's events."""

    event_id: str


def user_event_change_resource(entry: EventEntry) -> UserEventChangeResource:
    """Return the resource of an entry, with the event that it is of."""
    values = {name: getattr(event_change_resource(entry), name) for name in EventChangeResource.model_fields}
    return UserEventChangeResource.model_validate(values | {"event_id": entry.event_id})


def event_change_resource(entry: EventEntry) -> EventChangeResource:
    """Return the resource of an entry."""
    return EventChangeResource.model_validate(
        {
            "at": entry.at,
            "source": entry.source,
            "changes": entry.changes,
            "before": EventDetails.model_validate(entry.before),
            "after": EventDetails.model_validate(entry.after),
        }
    )
