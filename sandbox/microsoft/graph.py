"""Microsoft Graph v1.0: the signed-in user, calendars, calendarView and single events.

calendarView/delta is not served. It would be a module beside this one, driven by `State.change`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from sandbox.calendar import provider_ids
from sandbox.calendar.copies import copies_on
from sandbox.calendar.instances import Instance, expand, find_occurrence, whole_meeting
from sandbox.calendar.records import Account, Calendar, CalendarCopy, Provider
from sandbox.calendar.sharing import SeenCalendar, graph_id_for, seen_calendars
from sandbox.login.bearer_tokens import Bearer, BearerProblem, read_bearer
from sandbox.microsoft import errors
from sandbox.microsoft.events import Preferences, graph_event
from sandbox.microsoft.query_options import (
    preference_headers,
    read_count,
    read_preferences,
    read_window_bound,
    refuse_unserved_options,
    select_properties,
    sort_events,
)
from sandbox.running import CurrentSandbox, Sandbox, base_url

router = APIRouter(prefix="/microsoft/v1.0", tags=["Microsoft Graph"])

_CALENDAR_SCOPES = frozenset({"Calendars.Read", "Calendars.ReadWrite", "Calendars.ReadBasic"})
_BASIC_SCOPE = "Calendars.ReadBasic"
_USER_SCOPES = frozenset({"User.Read", "User.ReadWrite", "User.Read.All"})
_NOT_BASIC = ("body", "bodyPreview", "attachments", "extensions")
_DEFAULT_PAGE, _MAX_PAGE = 10, 1000
_FAULT_TEXTS = {
    BearerProblem.MISSING: "Access token is empty.",
    BearerProblem.UNKNOWN: "IDX14100: JWT is not well formed, there are no dots (.).",
    BearerProblem.EXPIRED: "Lifetime validation failed, the token is expired.",
}


def _bearer(http: Request, sandbox: CurrentSandbox) -> Bearer:
    bearer = read_bearer(sandbox.state, http.headers.get("authorization"), Provider.MICROSOFT, sandbox.now())
    if isinstance(bearer, BearerProblem):
        raise errors.unauthenticated(_FAULT_TEXTS[bearer])
    return bearer


CurrentBearer = Annotated[Bearer, Depends(_bearer)]


@router.get("/me")
async def me(http: Request, bearer: CurrentBearer, sandbox: CurrentSandbox) -> Response:
    """Return the signed-in user (learn.microsoft.com/graph/api/user-get)."""
    if not _short_scopes(bearer) & _USER_SCOPES:
        raise errors.GraphError(
            403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."
        )
    account = bearer.account
    given, _, family = account.name.partition(" ")
    user: dict[str, Any] = {
        "@odata.context": _context(sandbox, http, "users/$entity"),
        "id": account.subject,
        "displayName": account.name,
        "givenName": given,
        "surname": family,
        "mail": account.email,
        "userPrincipalName": account.email,
        "businessPhones": [],
        "jobTitle": None,
        "mobilePhone": None,
        "officeLocation": None,
        "preferredLanguage": None,
    }
    return JSONResponse(select_properties(http, user, ("@odata.context",)))


@router.get("/me/calendars")
async def list_calendars(http: Request, bearer: CurrentBearer, sandbox: CurrentSandbox) -> Response:
    """List the account's calendars (learn.microsoft.com/graph/api/user-list-calendars)."""
    need_calendar_scope(bearer)
    calendars = [_calendar_entry(bearer.account, seen) for seen in seen_calendars(sandbox.state, bearer.account)]
    return JSONResponse(
        _paged(http, sandbox, "calendars", calendars, lambda entry: select_properties(http, entry, ("id",)))
    )


@router.get("/me/calendars/{calendar_id}")
async def get_calendar(calendar_id: str, http: Request, bearer: CurrentBearer, sandbox: CurrentSandbox) -> Response:
    """Return one calendar of the account's list (learn.microsoft.com/graph/api/calendar-get)."""
    need_calendar_scope(bearer)
    entry = _calendar_entry(bearer.account, find_calendar(sandbox, bearer.account, calendar_id))
    context = {"@odata.context": _context(sandbox, http, "users('me')/calendars/$entity")}
    return JSONResponse(context | select_properties(http, entry, ("id",)))


@router.get("/me/calendarView")
@router.get("/me/calendar/calendarView")
@router.get("/me/calendars/{calendar_id}/calendarView")
async def calendar_view(
    http: Request, bearer: CurrentBearer, sandbox: CurrentSandbox, calendar_id: str | None = None
) -> Response:
    """List events and occurrences in a window.

    Source: learn.microsoft.com/graph/api/user-list-calendarview.
    """
    need_calendar_scope(bearer)
    seen = find_calendar(sandbox, bearer.account, calendar_id)
    low, high = read_window_bound(http, "startDateTime"), read_window_bound(http, "endDateTime")
    if high < low:
        raise errors.bad_request("ErrorInvalidParameter", "The end of the window lies before its start.")
    refuse_unserved_options(http)
    copies = copies_on(sandbox.state, seen.owner.email, seen.calendar.id)
    found = sort_events(http, [each for each in expand(sandbox.state, copies, low, high) if _is_there(sandbox, each)])
    preferences = read_preferences(http)
    page = _paged(
        http,
        sandbox,
        "calendarView",
        found,
        lambda each: _shown(http, sandbox, bearer, each, seen.calendar, preferences),
    )
    return JSONResponse(page, headers=preference_headers(preferences))


@router.get("/me/events/{event_id}")
@router.get("/me/calendar/events/{event_id}")
@router.get("/me/calendars/{calendar_id}/events/{event_id}")
async def get_event(
    event_id: str, http: Request, bearer: CurrentBearer, sandbox: CurrentSandbox, calendar_id: str | None = None
) -> Response:
    """Return one event, occurrence or series master (learn.microsoft.com/graph/api/event-get)."""
    need_calendar_scope(bearer)
    # An id is known in its own mailbox alone: an event of a shared calendar is found only through that calendar
    # (learn.microsoft.com/graph/outlook-get-shared-events-calendars).
    calendars = _own(bearer.account) if calendar_id is None else [find_calendar(sandbox, bearer.account, calendar_id)]
    preferences = read_preferences(http)
    instance, calendar = _find(sandbox, calendars, event_id)
    event = {"@odata.context": _context(sandbox, http, "users('me')/events/$entity")}
    event |= _shown(http, sandbox, bearer, instance, calendar, preferences)
    return JSONResponse(event, headers=preference_headers(preferences))


@router.get("/me/events/{event_id}/instances")
async def list_instances(event_id: str, http: Request, bearer: CurrentBearer, sandbox: CurrentSandbox) -> Response:
    """List a series' occurrences in a window.

    Source: learn.microsoft.com/graph/api/event-list-instances.
    """
    need_calendar_scope(bearer)
    master, calendar = _find(sandbox, _own(bearer.account), event_id)
    if not master.is_master:
        raise errors.bad_request("ErrorInvalidRequest", "Only a series master has instances.")
    low, high = read_window_bound(http, "startDateTime"), read_window_bound(http, "endDateTime")
    found = [each for each in expand(sandbox.state, [master.copy], low, high) if _is_there(sandbox, each)]
    preferences = read_preferences(http)
    page = _paged(
        http, sandbox, "instances", found, lambda each: _shown(http, sandbox, bearer, each, calendar, preferences)
    )
    return JSONResponse(page, headers=preference_headers(preferences))


def _is_there(sandbox: Sandbox, instance: Instance) -> bool:
    """Outlook deletes what its organiser cancels. A guest keeps it, marked, until removing it."""
    if instance.copy.removed:
        return False
    if not instance.cancelled:
        return True
    return not instance.is_organizer and sandbox.state.behaviour.attendee_notice


def _shown(
    http: Request, sandbox: Sandbox, bearer: Bearer, instance: Instance, calendar: Calendar, preferences: Preferences
) -> dict[str, Any]:
    event = graph_event(instance, calendar, preferences, sandbox.state.behaviour)
    if _short_scopes(bearer) & _CALENDAR_SCOPES == {_BASIC_SCOPE}:
        event = {name: value for name, value in event.items() if name not in _NOT_BASIC}
    return select_properties(http, event, ("@odata.etag", "id"))


def _own(account: Account) -> list[SeenCalendar]:
    return [SeenCalendar(account, calendar) for calendar in account.calendars]


def _find(sandbox: Sandbox, calendars: Iterable[SeenCalendar], event_id: str) -> tuple[Instance, Calendar]:
    key = provider_ids.graph_event_key(event_id)
    if key is None:
        raise errors.bad_request("ErrorInvalidIdMalformed", "Id is malformed.")
    instant = provider_ids.graph_event_instant(event_id)
    for seen in calendars:
        for copy in copies_on(sandbox.state, seen.owner.email, seen.calendar.id):
            if copy.graph_key != key.hex():
                continue
            instance = _instance(sandbox, copy, instant)
            if instance is not None and _is_there(sandbox, instance) and _names(event_id, instance):
                return instance, seen.calendar
    raise errors.not_found()


def _instance(sandbox: Sandbox, copy: CalendarCopy, instant: int | None) -> Instance | None:
    if instant is None:
        return whole_meeting(sandbox.state, copy) if copy.occurrences is None else None
    try:
        return find_occurrence(sandbox.state, copy, datetime.fromtimestamp(instant, UTC))
    except (ValueError, OverflowError, OSError):
        return None


def _names(event_id: str, instance: Instance) -> bool:
    """An id that is not immutable is valid only on its present calendar; letter case counts."""
    parts = (instance.copy.graph_key, instance.copy.calendar, instance.original_start)
    return event_id in {provider_ids.graph_event_id(*parts, immutable=immutable) for immutable in (False, True)}


def _paged(http: Request, sandbox: Sandbox, context: str, found: list[Any], show: Any) -> dict[str, Any]:
    top, skip = read_count(http, "$top", _DEFAULT_PAGE), read_count(http, "$skip", 0)
    if not 1 <= top <= _MAX_PAGE:
        raise errors.bad_request("ErrorInvalidParameter", f"$top must be between 1 and {_MAX_PAGE}.")
    shown = [] if http.scope.get("sandbox.empty_page") else found[skip : skip + top]
    page: dict[str, Any] = {
        "@odata.context": _context(sandbox, http, f"users('me')/{context}"),
        "value": [show(each) for each in shown],
    }
    end = skip + len(shown)
    if end < len(found):
        query = {**dict(http.query_params), "$skip": str(end)}
        page["@odata.nextLink"] = f"{base_url(sandbox, http)}{http.url.path}?{urlencode(query)}"
    return page


def _calendar_entry(account: Account, seen: SeenCalendar) -> dict[str, Any]:
    calendar = seen.calendar
    writable = calendar.access_role in ("owner", "writer", "writerWithoutPrivateAccess")
    return {
        "id": graph_id_for(account, seen),
        "name": calendar.name,
        "color": "auto",
        "hexColor": "",
        "isDefaultCalendar": calendar.primary,
        "changeKey": "AAAAAAAAAAA=",
        "canShare": writable and not seen.is_shared,
        "canViewPrivateItems": calendar.access_role in ("owner", "writer"),
        "canEdit": writable,
        "allowedOnlineMeetingProviders": ["teamsForBusiness"],
        "defaultOnlineMeetingProvider": "teamsForBusiness",
        "isTallyingResponses": calendar.primary,
        "isRemovable": not calendar.primary,
        "owner": {"name": seen.owner.name, "address": seen.owner.email},
    }


def find_calendar(sandbox: Sandbox, account: Account, calendar_id: str | None) -> SeenCalendar:
    """Return the calendar in the account's list. Raises `GraphError` (404).

    None means the default one.
    """
    for seen in seen_calendars(sandbox.state, account):
        if seen.calendar.primary if calendar_id is None else graph_id_for(account, seen) == calendar_id:
            return seen
    raise errors.not_found()


def need_calendar_scope(bearer: Bearer) -> None:
    """Raise `GraphError` (403) if the token has no calendar scope."""
    if not _short_scopes(bearer) & _CALENDAR_SCOPES:
        raise errors.access_denied()


def _short_scopes(bearer: Bearer) -> frozenset[str]:
    return frozenset(scope.removeprefix("https://graph.microsoft.com/") for scope in bearer.scopes)


def _context(sandbox: Sandbox, http: Request, fragment: str) -> str:
    return f"{base_url(sandbox, http)}/microsoft/v1.0/$metadata#{fragment}"
