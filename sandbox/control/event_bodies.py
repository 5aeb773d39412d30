"""Request bodies for events, and the fields of a meeting that they become."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field

from sandbox.calendar.join_links import LinkPlatform, made_up_link
from sandbox.calendar.meetings import deviation_at
from sandbox.calendar.records import Account, Calendar, Guest, LinkPosition, Meeting, Provider, ResponseStatus
from sandbox.control.field_types import Email, Line, LongText, Minutes, ZoneName


def _guest_from_address(value: object) -> object:
    return {"email": value} if isinstance(value, str) else value


class GuestBody(BaseModel, extra="forbid"):
    """A guest. An address alone means a guest who has not answered."""

    email: Email
    name: Line | None = None
    answer: ResponseStatus = ResponseStatus.NEEDS_ACTION
    resource: bool = False
    optional: bool = False


Guests = Annotated[list[Annotated[GuestBody, BeforeValidator(_guest_from_address)]], Field(max_length=500)]


class OrganizerBody(BaseModel, extra="forbid"):
    """Another organiser, usually without an account here.

    `provider` decides the shape of the UID.
    """

    email: Email
    name: Line | None = None
    provider: Provider = Provider.GOOGLE


class EventChange(BaseModel, extra="forbid"):
    """What a meeting, a series or one occurrence can change; what is missing stays.

    `shift_minutes` moves start and end; `platform` makes up a new link.
    """

    title: Line | None = None
    description: LongText | None = None
    location: Line | None = None
    start: AwareDatetime | None = None
    end: AwareDatetime | None = None
    starts_in_minutes: Minutes | None = Field(default=None, description="Minutes from the sandbox's present time.")
    duration_minutes: Annotated[float, Field(gt=0, le=525_600)] | None = None
    shift_minutes: Minutes | None = None
    platform: LinkPlatform | None = None
    meeting_url: LongText | None = None
    all_day: bool | None = None
    attendees: Guests | None = None


class SeriesChange(EventChange):
    """What only a meeting or a series as a whole can change, besides the rest."""

    time_zone: ZoneName | None = None
    recurrence: Annotated[list[Line], Field(max_length=50)] | None = Field(
        default=None, description="Lines such as `RRULE:FREQ=WEEKLY;BYDAY=MO`, `EXDATE:20260105T090000Z`."
    )
    link_place: LinkPosition | None = None
    link_pending: bool | None = None
    visibility: Line | None = Field(default=None, pattern="^(default|public|private|confidential)$")
    free: bool | None = None
    event_type: Line | None = Field(
        default=None, pattern="^(default|birthday|focusTime|fromGmail|outOfOffice|workingLocation)$"
    )
    tentative: bool | None = None
    draft: bool | None = None
    guests_hidden: bool | None = None


class NewEvent(SeriesChange):
    """A meeting to create. `start` or `starts_in_minutes` is required.

    It lasts 30 minutes by default. With an `organizer` the calendar's owner is a guest with `answer`, unless `listed` is false,
    as when invited through a group.
    """

    calendar_id: Line | None = None
    uid: Line | None = None
    organizer: OrganizerBody | None = None
    answer: ResponseStatus = ResponseStatus.NEEDS_ACTION
    listed: bool = True


class InvalidEventError(ValueError):
    """A body that cannot become a meeting."""


def fields_of_new_meeting(body: NewEvent, account: Account, calendar: Calendar, now: datetime) -> dict[str, Any]:
    """Return the fields of the meeting to create. Raises `InvalidEventError`."""
    fields = _plain_fields(body) | _link_fields(body)
    fields.setdefault("title", "Meeting")
    fields["time_zone"] = body.time_zone or calendar.time_zone
    start = body.start or (
        now + timedelta(minutes=body.starts_in_minutes) if body.starts_in_minutes is not None else None
    )
    if start is None:
        raise InvalidEventError("start or starts_in_minutes is needed")
    end = body.end or start + timedelta(minutes=body.duration_minutes or 30)
    fields |= _checked_times(start, end, all_day=bool(body.all_day), zone=fields["time_zone"])
    fields["guests"] = [Guest(**guest.model_dump()) for guest in body.attendees or []]
    if body.uid is not None:
        fields["uid"] = body.uid
    return fields | _organizer_fields(body, account, fields["guests"])


def fields_of_change(body: EventChange, start: datetime, end: datetime, now: datetime) -> dict[str, Any]:
    """Return the changed fields of a meeting or an occurrence.

    ``start`` and ``end`` are the present ones. Raises `InvalidEventError`.
    """
    fields = _plain_fields(body) | _link_fields(body)
    if body.attendees is not None:
        fields["guests"] = [Guest(**guest.model_dump()) for guest in body.attendees]
    return fields | _changed_times(body, start, end, now)


def fields_of_series_change(body: SeriesChange, meeting: Meeting, now: datetime) -> dict[str, Any]:
    """Return the changed fields of a whole meeting or series. Raises `InvalidEventError`."""
    fields = fields_of_change(body, meeting.start, meeting.end, now)
    all_day = meeting.all_day if body.all_day is None else body.all_day
    if all_day:
        start, end = fields.get("start", meeting.start), fields.get("end", meeting.end)
        fields |= _checked_times(start, end, all_day=True, zone=body.time_zone or meeting.time_zone)
    return fields


def fields_of_occurrence_change(body: EventChange, meeting: Meeting, at: datetime, now: datetime) -> dict[str, Any]:
    """Return the changed fields of the occurrence with this original start.

    Raises `InvalidEventError`.
    """
    known = deviation_at(meeting, at)
    start = known.start or at
    end = known.end or start + (meeting.end - meeting.start)
    fields = fields_of_change(body, start, end, now)
    if body.all_day:
        fields |= _checked_times(
            fields.get("start", start), fields.get("end", end), all_day=True, zone=meeting.time_zone
        )
    return fields


def _plain_fields(body: EventChange) -> dict[str, Any]:
    """The fields that have the same name in a meeting."""
    own = set(Meeting.model_fields) - {"start", "end", "guests", "meeting_url", "uid"}
    given = body.model_dump(exclude_unset=True, exclude_none=True)
    return {name: value for name, value in given.items() if name in own}


def _link_fields(body: EventChange) -> dict[str, Any]:
    if body.platform is not None:
        return {"meeting_url": body.meeting_url or made_up_link(body.platform)}
    return {"meeting_url": body.meeting_url or None} if "meeting_url" in body.model_fields_set else {}


def _organizer_fields(body: NewEvent, account: Account, guests: list[Guest]) -> dict[str, Any]:
    if body.organizer is None:
        return {}
    if body.listed and all(guest.email != account.email for guest in guests):
        guests.append(Guest(email=account.email, name=account.name, answer=body.answer))
    return {
        "organizer_email": body.organizer.email,
        "organizer_name": body.organizer.name or body.organizer.email,
        "origin": body.organizer.provider,
    }


def _changed_times(body: EventChange, start: datetime, end: datetime, now: datetime) -> dict[str, Any]:
    length = end - start
    if body.start is not None:
        start = body.start
    elif body.starts_in_minutes is not None:
        start = now + timedelta(minutes=body.starts_in_minutes)
    start += timedelta(minutes=body.shift_minutes or 0)
    if body.duration_minutes is not None:
        length = timedelta(minutes=body.duration_minutes)
    fields = _checked_times(start, body.end or start + length, all_day=False, zone="UTC")
    touched = {"start", "end", "starts_in_minutes", "shift_minutes", "duration_minutes"} & body.model_fields_set
    return fields if touched else {}


def _checked_times(start: datetime, end: datetime, *, all_day: bool, zone: str) -> dict[str, datetime]:
    """Whole seconds, as both providers keep them; all-day events run from midnight to midnight."""
    if all_day:
        local_start, local_end = start.astimezone(ZoneInfo(zone)), end.astimezone(ZoneInfo(zone))
        start = local_start.replace(hour=0, minute=0, second=0)
        end = local_end.replace(hour=0, minute=0, second=0)
        end = end if end > start else start + timedelta(days=1)
    if end < start:
        raise InvalidEventError("the event ends before it starts")
    return {"start": _whole_second(start), "end": _whole_second(end)}


def _whole_second(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(microsecond=0)
