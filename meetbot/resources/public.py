"""The public resources, the same in API answers and in webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from meetbot.storage.tables import Bot, CalendarEvent, CalendarUser, Dispatch, RecordingOverride

CalendarUserState = Literal["connecting", "active", "needs_reconnect", "disconnecting"]
BotState = Literal[
    "scheduled",
    "dispatching",
    "dispatched",
    "joining",
    "in_call",
    "recording",
    "finalizing",
    "completed",
    "failed",
    "cancelled",
    "missed",
]
Recording = Literal["record", "skip"]
OverrideScope = Literal["occurrence", "series"]


class Resource(BaseModel):
    model_config = ConfigDict(frozen=True, serialize_by_alias=True, validate_by_name=True, validate_by_alias=True)

    def document(self) -> dict[str, Any]:
        """The JSON object that customers get."""
        return self.model_dump(mode="json")


class PushResource(Resource):
    """Whether the provider tells us of changes by itself. Polling goes on either way."""

    state: Literal["off"] = "off"
    expires_at: datetime | None = None


class CalendarUserResource(Resource):
    """One end-user's connected calendar account."""

    id: str = Field(examples=["cu_mzxw6ytboi4dsmrqgezdgnbvgy"])
    customer_user_id: str
    provider: Literal["google", "microsoft"]
    email: str
    state: CalendarUserState
    error_code: str | None = Field(
        description="Why the last sync failed, or why access was lost; null while all is well."
    )
    attributes: dict[str, Any] = Field(description="What rules may name with a leading `$`.")
    last_synced_at: datetime | None
    sync_lag_seconds: int | None = Field(description="Seconds since the last complete sync; null before the first.")
    push: PushResource
    scopes: list[str]
    reconnect_url: str | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="Only in state `needs_reconnect`: a page of ours that the end-user opens to give access again.",
    )
    created_at: datetime
    updated_at: datetime


def calendar_user_resource(
    row: CalendarUser, *, now: datetime, reconnect_url: str | None = None
) -> CalendarUserResource:
    lag = None if row.last_synced_at is None else max(0, int((now - row.last_synced_at).total_seconds()))
    return CalendarUserResource.model_validate(
        {
            "id": row.id,
            "customer_user_id": row.customer_user_id,
            "provider": row.provider,
            "email": row.email,
            "state": row.state,
            "error_code": row.error_code,
            "attributes": row.attributes,
            "last_synced_at": row.last_synced_at,
            "sync_lag_seconds": lag,
            "push": PushResource(),
            "scopes": sorted(row.scopes),
            "reconnect_url": reconnect_url if row.state == "needs_reconnect" else None,
            "created_at": row.created_at,
            "updated_at": row.updated_at,
        }
    )


class PersonResource(Resource):
    email: str | None
    name: str | None
    response: str
    resource: bool = Field(description="A room or a piece of equipment.")
    organizer: bool
    self_: bool = Field(alias="self", description="The calendar user.")


class DecisionResource(Resource):
    """Record or skip, and why."""

    outcome: Recording
    reason: str = Field(
        description="`rule_matched`, `no_rule_matched`, `no_meeting_url`, `ended`, `owner_declined`, `all_day`, "
        "`cancelled`, `override_record`, `override_skip` or `access_revoked`."
    )
    rule: str | None = Field(description="The name of the rule that decided.")
    rule_set_version: int | None
    rule_layer: str | None = Field(description="`user`, or the tenant's `ahead`, `default` or `behind`.")
    facts: dict[str, Any] = Field(description="What the decision was based on.")
    meeting_key: str
    decided_at: datetime


class OverrideResource(Resource):
    recording: Recording
    scope: OverrideScope
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
    status: Literal["confirmed", "tentative", "cancelled"]
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
    bot_id: str | None = Field(description="The newest bot of the meeting, whoever's claim it serves.")
    deleted: bool = Field(description="True for a tombstone: cancelled, or gone from the calendar.")
    updated_at: datetime


def event_resource(row: CalendarEvent, *, override: RecordingOverride | None, bot_id: str | None) -> EventResource:
    return EventResource.model_validate(event_fields(row, override=override, bot_id=bot_id))


def event_fields(row: CalendarEvent, *, override: RecordingOverride | None, bot_id: str | None) -> dict[str, Any]:
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


class BotResource(Resource):
    """One recording bot for one meeting."""

    id: str
    meeting_key: str
    state: BotState
    join_at: datetime
    dispatch_at: datetime
    dispatched_at: datetime | None
    meeting_url: str
    claims: list[str] = Field(description="The calendar users who want the meeting recorded now.")
    backend: str
    backend_bot_id: str | None
    outcome: str | None
    failure_code: str | None
    recorded_seconds: int | None
    sequence: int


def bot_resource(row: Bot, claims: Sequence[str]) -> BotResource:
    return BotResource.model_validate(
        row.model_dump(include=set(BotResource.model_fields) - {"claims"}) | {"claims": list(claims)}
    )


class DispatchResource(Resource):
    """Asking the backend for the bot."""

    state: str
    generation: int
    requested_at: datetime
    accepted_at: datetime | None
    recalled_at: datetime | None


def dispatch_resource(row: Dispatch) -> DispatchResource:
    return DispatchResource.model_validate(row.model_dump(include=set(DispatchResource.model_fields)))
