"""The event as customers see it: one occurrence on one calendar, with the decision about it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from meetbot.domain.decision import Outcome, Override
from meetbot.domain.event import EventStatus
from meetbot.domain.override_scope import OverrideScope
from meetbot.resources.base import OneOf, Resource
from meetbot.storage.tables import CalendarEvent, RecordingOverride

OutcomeName = Annotated[str, OneOf(Outcome)]
OverrideName = Annotated[str, OneOf(Override)]
OverrideScopeName = Annotated[str, OneOf(OverrideScope)]


class PersonResource(Resource):
    """An organiser or attendee of an event."""

    email: str | None
    name: str | None
    response: str
    resource: bool = Field(description="A room or a piece of equipment.")
    organizer: bool
    self_: bool = Field(alias="self", description="The calendar user.")


class DecisionResource(Resource):
    """Record or skip, and why."""

    outcome: OutcomeName
    reason: str = Field(
        description="`rule_matched`, `no_rule_matched`, `no_meeting_url`, `ended`, `owner_declined`, `all_day`, "
        "`cancelled`, `override_record`, `override_skip`, `never_record`, `daily_limit` or `access_revoked`."
    )
    rule: str | None = Field(description="The name of the rule that decided.")
    rule_set_version: int | None
    rule_layer: str | None = Field(description="`user`, or the tenant's `locked_before`, `default` or `locked_after`.")
    facts: dict[str, Any] = Field(description="What the decision was based on.")
    meeting_key: str
    decided_at: datetime


class OverrideResource(Resource):
    """An exception to the rules for one occurrence or a series."""

    recording: OverrideName
    scope: OverrideScopeName
    set_by: str = Field(description="The public id of the API key that set it.")
    set_at: datetime


class EventResource(Resource):
    """One occurrence on one calendar."""

    id: str
    calendar_user_id: str
    calendar_id: str
    provider_event_id: str
    ical_uid: str | None
    original_start: datetime | None = Field(description="Set for instances of a series; a moved one keeps it.")
    title: str
    start: datetime | None
    end: datetime | None
    all_day: bool
    status: Annotated[str, OneOf(EventStatus)]
    organizer: PersonResource | None
    attendees: list[PersonResource]
    recurring: bool
    visibility: str
    meeting_url: str | None
    meeting_platform: str
    meeting_id: str | None
    meeting_url_source: str | None
    decision: DecisionResource
    override: OverrideResource | None
    bot_id: str | None = Field(
        description="The newest bot of the meeting, for whichever calendar users it goes, or the one it shares with another."
    )
    deleted: bool = Field(description="True for a tombstone: cancelled, or gone from the calendar.")
    updated_at: datetime


def event_resource(row: CalendarEvent, *, override: RecordingOverride | None, bot_id: str | None) -> EventResource:
    """Return the resource of a row, its override and the newest bot of its meeting."""
    return EventResource.model_validate(event_fields(row, override=override, bot_id=bot_id))


def event_fields(row: CalendarEvent, *, override: RecordingOverride | None, bot_id: str | None) -> dict[str, Any]:
    """Return the fields of an `EventResource`, for resources that extend it."""
    return {
        **row.model_dump(
            include={
                "id", "calendar_user_id", "calendar_id", "provider_event_id", "ical_uid", "original_start", "title",
                "all_day", "status", "organizer", "attendees", "recurring", "visibility", "meeting_url",
                "meeting_platform", "meeting_id", "meeting_url_source", "deleted", "updated_at",
            }
        ),
        "start": row.start_at,
        "end": row.end_at,
        "decision": _decision(row),
        "override": None if override is None else _override(override),
        "bot_id": bot_id,
    }  # fmt: skip


def _decision(row: CalendarEvent) -> DecisionResource:
    return DecisionResource.model_validate(
        row.model_dump(
            include={
                "outcome", "reason", "rule", "rule_set_version", "rule_layer", "facts", "meeting_key", "decided_at",
            }
        )
    )  # fmt: skip


def _override(row: RecordingOverride) -> OverrideResource:
    return OverrideResource.model_validate(
        {"recording": row.recording, "scope": row.scope, "set_by": row.set_by, "set_at": row.set_at}
    )
