"""Overrides: what a person asks for against the rules, for one occurrence or a whole series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from sqlmodel import Session

from api.audit import record
from api.auth import Caller, Scope, requires
from api.dependencies import ApiServices, InjectedServices
from api.problems import COMMON, Problem, described, not_found
from api.routers.events import view_event
from api.schemas import Body
from meetbot.domain.decision import Override
from meetbot.domain.override_scope import OverrideScope
from meetbot.resources.event import EventResource, OverrideName, OverrideScopeName
from meetbot.storage.calendar_user_state import lock_unless_ended
from meetbot.storage.calendar_users import CalendarUserRef, find_calendar_user
from meetbot.storage.event_reads import find_event
from meetbot.storage.overrides import lift_suppressions, remove_override, set_override
from meetbot.storage.tables import CalendarEvent
from meetbot.temporal.messages import CalendarUserSignal

router = APIRouter(prefix="/calendar/users/{calendar_user_id}/events/{event_id}/override", tags=["overrides"])


Writer = Annotated[Caller, Depends(requires(Scope.RULES_WRITE, Scope.CALENDARS_READ))]
"""Both routes answer with the event, so they need the scope that reading events needs, too."""


class OverrideRequest(Body):
    """What to do with the occurrence, or with its whole series."""

    recording: OverrideName
    scope: OverrideScopeName = Field(
        default=OverrideScope.OCCURRENCE.value, description="An occurrence's override beats its series'."
    )


@router.put("", responses=COMMON | described(404, 409), summary="Record or skip, whatever the rules say")
def put_override(
    calendar_user_id: str, event_id: str, body: OverrideRequest, caller: Writer, services: InjectedServices
) -> EventResource:
    """Record or skip one occurrence or a series, against the rules.

    `record` beats rules, a declined invitation and all-day; never a missing meeting URL, an ended or a cancelled event.
    `skip` beats all. It speaks for this calendar user only, and holds through edits, moves and syncs. `record` also lifts
    an earlier cancellation of the meeting's bot. The decision follows within moments. The answer is the event, so the API
    key needs `calendars:read` too."""
    with services.database.transaction(caller.tenant_id) as session:
        event = _event(session, caller, calendar_user_id, event_id)
        if event.deleted:
            raise Problem(409, "event_deleted", "the event is cancelled or gone from the calendar")
        set_override(
            session,
            event,
            scope=body.scope,
            recording=body.recording,
            set_by=caller.key_id,
            now=services.clock(),
        )
        if Override(body.recording) is Override.RECORD:
            lift_suppressions(session, event, scope=body.scope)
        answer = _answer(session, event)
        record(session, caller, event_id, {"recording": body.recording, "scope": body.scope})
    return _decided_again(services, answer)


class OverrideQuery(Body):
    """Which override to take back."""

    scope: OverrideScopeName = OverrideScope.OCCURRENCE.value


@router.delete("", responses=COMMON | described(404), summary="Take an override back")
def delete_override(
    calendar_user_id: str,
    event_id: str,
    query: Annotated[OverrideQuery, Query()],
    caller: Writer,
    services: InjectedServices,
) -> EventResource:
    """Take an override back; if there is none of this scope, nothing changes.

    The answer is the event, so the API key needs `calendars:read` too."""
    with services.database.transaction(caller.tenant_id) as session:
        event = _event(session, caller, calendar_user_id, event_id)
        remove_override(session, event, scope=query.scope, removed_by=caller.key_id, now=services.clock())
        answer = _answer(session, event)
        record(session, caller, event_id, {"scope": query.scope})
    return _decided_again(services, answer)


def _event(session: Session, caller: Caller, calendar_user_id: str, event_id: str) -> CalendarEvent:
    # An erasure that begins meanwhile waits for this transaction, and then deletes what it wrote.
    is_there = lock_unless_ended(session, caller.tenant_id, calendar_user_id)
    event = find_event(session, caller.tenant_id, calendar_user_id, event_id) if is_there else None
    if event is None:
        raise not_found("event")
    return event


@dataclass(frozen=True, slots=True)
class _Answer:
    event: EventResource
    user: CalendarUserRef


def _answer(session: Session, event: CalendarEvent) -> _Answer:
    user = find_calendar_user(session, event.tenant_id, event.calendar_user_id)
    if user is None:
        raise not_found("event")
    return _Answer(view_event(session, event), CalendarUserRef(user.tenant_id, user.id, user.provider))


def _decided_again(services: ApiServices, answer: _Answer) -> EventResource:
    """After the commit: the workflow must find what was written."""
    services.orchestrator.signal_calendar_user(answer.user, CalendarUserSignal.RULES_CHANGED)
    return answer.event
