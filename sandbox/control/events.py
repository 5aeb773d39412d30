"""Meetings: create, change, cancel, restore, answer, split, move."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, Field

from sandbox.calendar import meetings
from sandbox.calendar.accounts import find_account, find_calendar
from sandbox.calendar.errors import InvalidChangeError
from sandbox.calendar.instances import MAX_OCCURRENCES
from sandbox.calendar.records import Meeting, ResponseStatus
from sandbox.control.event_bodies import (
    EventChange,
    NewEvent,
    SeriesChange,
    fields_of_change,
    fields_of_new_meeting,
    fields_of_occurrence_change,
    fields_of_series_change,
)
from sandbox.control.field_types import Email, Line
from sandbox.control.responses import agenda, event_document
from sandbox.running import CurrentSandbox, Sandbox

router = APIRouter(prefix="/control", tags=["Control: events"])

OriginalStart = Annotated[AwareDatetime | None, Query(description="One occurrence of a series, by its original start.")]


class GuestAnswer(BaseModel, extra="forbid"):
    """A guest's answer, to the whole meeting or to one occurrence."""

    email: Email
    answer: ResponseStatus
    original_start: AwareDatetime | None = None


class Split(SeriesChange):
    """From which occurrence on a series goes on as another one, and how that one differs."""

    original_start: AwareDatetime


class Move(BaseModel, extra="forbid"):
    """To which of a person's calendars a meeting moves."""

    email: Email
    calendar_id: Line


@router.get("/accounts/{email}/events")
async def show_agenda(email: str, sandbox: CurrentSandbox) -> list[dict[str, Any]]:
    """List what a person's calendars show, from half a day back to a week ahead."""
    return agenda(sandbox.state, find_account(sandbox.state, email), sandbox.now())


@router.post("/accounts/{email}/events", status_code=201)
async def create_event(email: str, body: NewEvent, sandbox: CurrentSandbox) -> dict[str, Any]:
    """Put a meeting on a person's calendar; guests with an account here receive a copy."""
    return event_document(sandbox.state, _create(sandbox, email, body))


@router.post("/accounts/{email}/events/bulk", status_code=201)
async def create_events(
    email: str, bodies: Annotated[list[NewEvent], Field(max_length=MAX_OCCURRENCES * 10)], sandbox: CurrentSandbox
) -> dict[str, list[str]]:
    """Create many meetings at once; return their keys in order."""
    return {"keys": [_create(sandbox, email, body).key for body in bodies]}


@router.delete("/accounts/{email}/events/{key}", status_code=204)
async def take_off_calendar(email: str, key: str, sandbox: CurrentSandbox) -> None:
    """Take a meeting off a person's own calendars only."""
    account = find_account(sandbox.state, email)
    meetings.remove_from_calendar(sandbox.state, meetings.find_meeting(sandbox.state, key), account)


@router.get("/events/{key}")
async def get_event(key: str, sandbox: CurrentSandbox) -> dict[str, Any]:
    """Return a meeting with its id on every calendar."""
    return event_document(sandbox.state, meetings.find_meeting(sandbox.state, key))


@router.patch("/events/{key}")
async def change_event(
    key: str, body: SeriesChange, sandbox: CurrentSandbox, original_start: OriginalStart = None
) -> dict[str, Any]:
    """Edit a meeting or a whole series; with `original_start` one occurrence only."""
    meeting = meetings.find_meeting(sandbox.state, key)
    if original_start is None:
        meetings.change(sandbox.state, sandbox.now(), meeting, fields_of_series_change(body, meeting, sandbox.now()))
    else:
        _change_occurrence(sandbox, meeting, original_start, EventChange(**_occurrence_part(body)))
    return event_document(sandbox.state, meetings.find_meeting(sandbox.state, key))


@router.delete("/events/{key}")
async def cancel_event(key: str, sandbox: CurrentSandbox, original_start: OriginalStart = None) -> dict[str, Any]:
    """Cancel a meeting, or one occurrence, as its organiser."""
    return _set_cancelled(sandbox, key, original_start, True)


@router.post("/events/{key}/restore")
async def restore_event(key: str, sandbox: CurrentSandbox, original_start: OriginalStart = None) -> dict[str, Any]:
    """Take back the cancellation of a meeting, or of one occurrence."""
    return _set_cancelled(sandbox, key, original_start, False)


@router.post("/events/{key}/respond")
async def respond(key: str, body: GuestAnswer, sandbox: CurrentSandbox) -> dict[str, Any]:
    """Let a guest accept, decline or accept tentatively."""
    meeting = meetings.find_meeting(sandbox.state, key)
    at = _utc(body.original_start) if body.original_start else None
    meetings.respond(sandbox.state, sandbox.now(), meeting, body.email, body.answer, at)
    return event_document(sandbox.state, meeting)


@router.post("/events/{key}/split", status_code=201)
async def split_event(key: str, body: Split, sandbox: CurrentSandbox) -> dict[str, Any]:
    """Edit "this and following": return the new series."""
    meeting = meetings.find_meeting(sandbox.state, key)
    at = _utc(body.original_start)
    length = meeting.end - meeting.start
    change = SeriesChange(**body.model_dump(exclude_unset=True, exclude={"original_start"}))
    fields = fields_of_change(change, at, at + length, sandbox.now())
    return event_document(sandbox.state, meetings.split(sandbox.state, sandbox.now(), meeting, at, fields))


@router.post("/events/{key}/move")
async def move_event(key: str, body: Move, sandbox: CurrentSandbox) -> dict[str, Any]:
    """Move a person's copy to another of their calendars."""
    meeting = meetings.find_meeting(sandbox.state, key)
    account = find_account(sandbox.state, body.email)
    calendar = find_calendar(account, body.calendar_id)
    meetings.move_to_calendar(sandbox.state, sandbox.now(), meeting, account, calendar)
    return event_document(sandbox.state, meeting)


def _create(sandbox: Sandbox, email: str, body: NewEvent) -> Meeting:
    account = find_account(sandbox.state, email)
    calendar = find_calendar(account, body.calendar_id)
    fields = fields_of_new_meeting(body, account, calendar, sandbox.now())
    return meetings.create(sandbox.state, sandbox.now(), account, calendar, fields)


def _set_cancelled(sandbox: Sandbox, key: str, original_start: datetime | None, cancelled: bool) -> dict[str, Any]:
    meeting = meetings.find_meeting(sandbox.state, key)
    if original_start is None:
        meetings.set_cancelled(sandbox.state, sandbox.now(), meeting, cancelled)
    else:
        at, fields = _utc(original_start), {"cancelled": cancelled}
        meetings.change_occurrence(sandbox.state, sandbox.now(), meeting, at, fields)
    return event_document(sandbox.state, meeting)


def _change_occurrence(sandbox: Sandbox, meeting: Meeting, original_start: datetime, body: EventChange) -> None:
    at, now = _utc(original_start), sandbox.now()
    meetings.change_occurrence(sandbox.state, now, meeting, at, fields_of_occurrence_change(body, meeting, at, now))


def _occurrence_part(body: SeriesChange) -> dict[str, Any]:
    """Raises `InvalidChangeError` if the body changes something that only a whole series has."""
    given = body.model_dump(exclude_unset=True)
    foreign = sorted(set(given) - set(EventChange.model_fields))
    if foreign:
        raise InvalidChangeError(f"one occurrence cannot change: {', '.join(foreign)}")
    return given


def _utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(microsecond=0)
