"""Google Calendar API v3: the calendar list, and events as list, get and instances."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from sandbox.calendar.copies import copies_on
from sandbox.calendar.instances import Instance, build_occurrence, expand, find_occurrence, whole_meeting
from sandbox.calendar.records import Calendar, CalendarCopy, Provider
from sandbox.calendar.sharing import SeenCalendar, seen_calendars
from sandbox.google import errors
from sandbox.google.events import google_event, google_event_id, google_timestamp
from sandbox.google.field_masks import FieldsError, apply_fields, parse_fields
from sandbox.google.listing import Page, list_page
from sandbox.google.parameters import (
    EVENTS_ON_A_PAGE,
    MOST_EVENTS_ON_A_PAGE,
    read_flag,
    read_instant,
    read_list_query,
    read_page_size,
    read_positive,
    read_time_zone,
)
from sandbox.login.bearer_tokens import Bearer, BearerProblem, read_bearer
from sandbox.running import CurrentSandbox, Sandbox
from sandbox.state import State

router = APIRouter(prefix="/google/calendar/v3", tags=["Google Calendar"])

_SCOPE = "https://www.googleapis.com/auth/calendar"
EVENT_SCOPES = frozenset(
    f"{_SCOPE}{suffix}"
    for suffix in ("", ".readonly", ".events", ".events.readonly", ".events.owned", ".events.owned.readonly")
)
# From the least to the most that a person may do.
_ROLES = ("freeBusyReader", "reader", "writerWithoutPrivateAccess", "writer", "owner")
_LIST_SCOPES = frozenset(f"{_SCOPE}{suffix}" for suffix in ("", ".readonly", ".calendarlist", ".calendarlist.readonly"))


def _bearer(http: Request, sandbox: CurrentSandbox) -> Bearer:
    bearer = read_bearer(sandbox.state, http.headers.get("authorization"), Provider.GOOGLE, sandbox.now())
    if isinstance(bearer, BearerProblem):
        raise errors.unauthenticated()
    return bearer


CurrentBearer = Annotated[Bearer, Depends(_bearer)]


@router.get("/users/me/calendarList")
async def calendar_list(http: Request, bearer: CurrentBearer, sandbox: CurrentSandbox) -> Response:
    """List the account's calendars, shared ones included (calendarList.list)."""
    need_scope(bearer, _LIST_SCOPES, "calendar.v3.CalendarList.List")
    least = http.query_params.get("minAccessRole")
    if least is not None and least not in _ROLES:
        raise errors.bad_request("invalidParameter", "Invalid value for: minAccessRole", "minAccessRole")
    roles = _ROLES[_ROLES.index(least) :] if least is not None else _ROLES
    hidden = read_flag(http, "showHidden")
    calendars = [
        seen
        for seen in seen_calendars(sandbox.state, bearer.account)
        if seen.calendar.access_role in roles and (hidden or not seen.calendar.hidden)
    ]
    size = read_page_size(http, 100, 250)
    offset = int(token) if (token := http.query_params.get("pageToken", "0")).isdigit() else 0
    answer: dict[str, Any] = {
        "kind": "calendar#calendarList",
        "etag": f'"p{len(calendars)}"',
        "items": [_calendar_entry(calendar) for calendar in calendars[offset : offset + size]],
    }
    more = offset + size < len(calendars)
    answer |= {"nextPageToken": str(offset + size)} if more else {"nextSyncToken": f"calendars-{len(calendars)}"}
    return _answer(http, answer)


@router.get("/users/me/calendarList/{calendar_id}")
async def calendar_entry(calendar_id: str, http: Request, bearer: CurrentBearer, sandbox: CurrentSandbox) -> Response:
    """Return one calendar of the account's list (calendarList.get)."""
    need_scope(bearer, _LIST_SCOPES, "calendar.v3.CalendarList.Get")
    return _answer(http, _calendar_entry(require_calendar(sandbox, bearer, calendar_id)))


@router.get("/calendars/{calendar_id}/events")
async def list_events(calendar_id: str, http: Request, bearer: CurrentBearer, sandbox: CurrentSandbox) -> Response:
    """List events, in full or since a sync token (events.list)."""
    need_scope(bearer, EVENT_SCOPES, "calendar.v3.Events.List")
    seen = require_calendar(sandbox, bearer, calendar_id)
    calendar = seen.calendar
    query = read_list_query(http)
    empty = bool(http.scope.get("sandbox.empty_page"))
    page = list_page(sandbox.state, seen.owner.email, calendar, query, empty=empty)
    zone = read_time_zone(http, calendar)
    # Without showDeleted an incremental answer leaves out the details of an organiser's cancelled events (discovery
    # document, events.list).
    details = query.show_deleted or not page.incremental
    maximum = read_positive(http, "maxAttendees")
    items = [google_event(each, calendar, zone, details=details, max_attendees=maximum) for each in page.items]
    return _answer(http, _listing(calendar, zone, page, items, sandbox.state, sandbox.now()))


@router.get("/calendars/{calendar_id}/events/{event_id}")
async def get_event(
    calendar_id: str, event_id: str, http: Request, bearer: CurrentBearer, sandbox: CurrentSandbox
) -> Response:
    """Return one event, or 304 if `If-None-Match` names the present etag (events.get)."""
    need_scope(bearer, EVENT_SCOPES, "calendar.v3.Events.Get")
    seen = require_calendar(sandbox, bearer, calendar_id)
    calendar = seen.calendar
    instance = _find(sandbox.state, seen, event_id)
    event = google_event(
        instance, calendar, read_time_zone(http, calendar), max_attendees=read_positive(http, "maxAttendees")
    )
    if http.headers.get("if-none-match") == event["etag"]:
        return Response(status_code=304, headers={"ETag": event["etag"]})
    return _answer(http, event, {"ETag": event["etag"]})


@router.get("/calendars/{calendar_id}/events/{event_id}/instances")
async def list_instances(
    calendar_id: str, event_id: str, http: Request, bearer: CurrentBearer, sandbox: CurrentSandbox
) -> Response:
    """List the occurrences of one series (events.instances)."""
    need_scope(bearer, EVENT_SCOPES, "calendar.v3.Events.Instances")
    seen = require_calendar(sandbox, bearer, calendar_id)
    calendar = seen.calendar
    master = _find(sandbox.state, seen, event_id)
    if not master.is_master or master.removed:
        raise errors.not_found()
    deleted = read_flag(http, "showDeleted")
    low, high = read_instant(http, "timeMin"), read_instant(http, "timeMax")
    found = [each for each in expand(sandbox.state, [master.copy], low, high) if deleted or not each.cancelled]
    offset = int(token) if (token := http.query_params.get("pageToken", "0")).isdigit() else 0
    end = offset + read_page_size(http, EVENTS_ON_A_PAGE, MOST_EVENTS_ON_A_PAGE)
    zone = read_time_zone(http, calendar)
    page = Page(found[offset:end], str(end) if end < len(found) else None, None, incremental=False)
    items = [google_event(each, calendar, zone) for each in page.items]
    return _answer(http, _listing(calendar, zone, page, items, sandbox.state, sandbox.now()))


def _find(state: State, seen: SeenCalendar, event_id: str) -> Instance:
    """Find by id a meeting, a series, or an occurrence; cancelled ones are found too."""
    for copy in copies_on(state, seen.owner.email, seen.calendar.id):
        if copy.google_id == event_id and copy.occurrences is None:
            return whole_meeting(state, copy)
        if event_id.startswith(copy.google_id + "_") and (instance := _occurrence(state, copy, event_id)):
            return instance
    raise errors.not_found()


def _occurrence(state: State, copy: CalendarCopy, event_id: str) -> Instance | None:
    meeting = state.meetings[copy.meeting]
    for deviation in meeting.deviations.values():
        instance = build_occurrence(meeting, copy, deviation.original_start)
        if google_event_id(instance) == event_id:
            return find_occurrence(state, copy, deviation.original_start)
    instant = _suffix_instant(event_id.rpartition("_")[2], meeting.all_day, ZoneInfo(meeting.time_zone))
    return find_occurrence(state, copy, instant) if instant else None


def _suffix_instant(suffix: str, all_day: bool, zone: ZoneInfo) -> datetime | None:
    try:
        if all_day:
            return datetime.strptime(suffix, "%Y%m%d").replace(tzinfo=zone).astimezone(ZoneInfo("UTC"))
        return datetime.strptime(suffix, "%Y%m%dT%H%M%SZ").replace(tzinfo=ZoneInfo("UTC"))
    except ValueError:
        return None


def _listing(
    calendar: Calendar, zone: ZoneInfo, page: Page, items: list[dict[str, Any]], state: State, now: datetime
) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "kind": "calendar#events",
        "etag": f'"p{state.change:016d}"',
        "summary": calendar.name,
        "description": "",
        "updated": google_timestamp(now),
        "timeZone": zone.key,
        "accessRole": calendar.access_role,
        "defaultReminders": [{"method": "popup", "minutes": 10}] if calendar.primary else [],
        "items": items,
    }
    if page.next_page_token:
        return answer | {"nextPageToken": page.next_page_token}
    return answer | {"nextSyncToken": page.next_sync_token} if page.next_sync_token else answer


def _calendar_entry(seen: SeenCalendar) -> dict[str, Any]:
    calendar = seen.calendar
    entry: dict[str, Any] = {
        "kind": "calendar#calendarListEntry",
        "etag": f'"{calendar.sync_epoch}"',
        "id": calendar.id,
        "summary": calendar.name,
        "timeZone": calendar.time_zone,
        "colorId": "14",
        "backgroundColor": "#9fe1e7",
        "foregroundColor": "#000000",
        "selected": True,
        "accessRole": calendar.access_role,
        "defaultReminders": [],
        "conferenceProperties": {"allowedConferenceSolutionTypes": ["hangoutsMeet"]},
    }
    if calendar.primary:
        return entry | {"primary": True}
    if not calendar.id.endswith("@group.calendar.google.com"):
        return entry | ({"hidden": True} if calendar.hidden else {})
    # Named for secondary calendars alone (discovery document, CalendarListEntry).
    return entry | {"dataOwner": seen.owner.email} | ({"hidden": True} if calendar.hidden else {})


def _answer(http: Request, content: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    fields = http.query_params.get("fields")
    try:
        shown = apply_fields(parse_fields(fields), content) if fields else content
    except FieldsError as error:
        raise errors.bad_request("invalidParameter", f"Invalid field selection {fields}", "fields") from error
    return JSONResponse(shown, headers=headers)


def need_scope(bearer: Bearer, any_of: frozenset[str], method: str) -> None:
    """Raise `GoogleError` (403) if the token has none of these scopes."""
    if not bearer.scopes & any_of:
        raise errors.insufficient_scopes(method)


def require_calendar(sandbox: Sandbox, bearer: Bearer, calendar_id: str) -> SeenCalendar:
    """Return the calendar in the account's list. Raises `GoogleError` (404) if there is none."""
    for seen in seen_calendars(sandbox.state, bearer.account):
        if seen.calendar.id == calendar_id or (calendar_id == "primary" and seen.calendar.primary):
            return seen
    raise errors.not_found()
