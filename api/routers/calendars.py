"""The calendars of an account: which there are, and which are read."""

from __future__ import annotations

from typing import Annotated, Self

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError
from sqlmodel import Session

from api.audit import record
from api.auth import Caller, Scope, requires
from api.dependencies import InjectedServices
from api.problems import COMMON, Problem, described, not_found
from api.routers.users import reference
from api.schemas import Body
from meetbot.domain.account_calendar import MAX_CALENDARS, PRIMARY, CalendarsMode
from meetbot.domain.calendar_health import KnownCalendar
from meetbot.errors import Fault
from meetbot.resources.base import OneOf
from meetbot.resources.calendar import CalendarResource, calendar_resources
from meetbot.storage.account_calendars import calendars_of, default_mode, name_calendars
from meetbot.storage.calendar_users import find_calendar_user, set_calendars_mode
from meetbot.storage.tables import CalendarUser
from meetbot.temporal.messages import CalendarUserSignal

router = APIRouter(prefix="/calendar/users/{calendar_user_id}/calendars", tags=["calendar users"])

Reader = Annotated[Caller, Depends(requires(Scope.CALENDARS_READ))]
Writer = Annotated[Caller, Depends(requires(Scope.CALENDARS_WRITE))]
CalendarId = Annotated[str, Field(min_length=1, max_length=2048)]


class CalendarsAnswer(BaseModel):
    """All calendars of the account, its own first."""

    data: list[CalendarResource]


class CalendarSelection(Body):
    """Which calendars are read."""

    mode: Annotated[str, OneOf(CalendarsMode)] = Field(
        description="`primary`: the account's own calendar. `owned`: that, and those the account made itself. `selected`: "
        "those in `calendar_ids`; only so is a calendar read that somebody else shares.",
        examples=["selected"],
    )
    calendar_ids: Annotated[list[CalendarId], Field(min_length=1, max_length=MAX_CALENDARS)] | None = Field(
        default=None, description="With `selected` alone: ids of this account's calendars.", examples=[[PRIMARY]]
    )

    @model_validator(mode="after")
    def _named_if_selected(self) -> Self:
        if (self.calendar_ids is not None) != (self.mode == CalendarsMode.SELECTED):
            raise PydanticCustomError("calendar_ids", "calendar_ids go with the mode selected, and with no other")
        return self


@router.get("", responses=COMMON | described(404), summary="List an account's calendars")
def list_calendars(calendar_user_id: str, caller: Reader, services: InjectedServices) -> CalendarsAnswer:
    """Return the account's calendars as its list showed them at the last sync.

    One that disappears or refuses is retired alone: `error` says why and what to do. Its events stay as they were known, and
    leave as `access_revoked` if it is refused for longer than the tenant's `revoked_grace_hours`; those of a calendar that the
    provider has no more leave at once.
    """
    with services.database.transaction(caller.tenant_id) as session:
        row = _user(session, caller, calendar_user_id)
        return _answer(session, row)


@router.put("", responses=COMMON | described(404), summary="Choose which calendars are read")
def choose_calendars(
    calendar_user_id: str, body: CalendarSelection, caller: Writer, services: InjectedServices
) -> CalendarsAnswer:
    """Choose which of the account's calendars are read.

    It holds at once, and repeating it changes nothing.

    Events of calendars that are read no more leave as tombstones, and their bots with them, unless another calendar that is
    read has the same meeting.
    """
    with services.database.transaction(caller.tenant_id) as session:
        row = _user(session, caller, calendar_user_id, for_update=True)
        named = _known_ids(calendars_of(session, caller.tenant_id, row.id), body.calendar_ids or [])
        name_calendars(session, caller.tenant_id, row.id, named)
        set_calendars_mode(session, row, CalendarsMode(body.mode), now=services.clock())
        record(session, caller, row.id, {"mode": body.mode, "calendars": len(named)})
        answer, user = _answer(session, row), reference(row)
    services.orchestrator.signal_calendar_user(user, CalendarUserSignal.SYNC_NOW)
    return answer


def _user(session: Session, caller: Caller, calendar_user_id: str, *, for_update: bool = False) -> CalendarUser:
    row = find_calendar_user(session, caller.tenant_id, calendar_user_id, for_update=for_update)
    if row is None:
        raise not_found("calendar_user")
    return row


def _answer(session: Session, row: CalendarUser) -> CalendarsAnswer:
    known = calendars_of(session, row.tenant_id, row.id)
    mode = row.calendars_mode or default_mode(session, row.tenant_id)
    return CalendarsAnswer(data=calendar_resources(known, mode, synced_at=row.last_synced_at))


def _known_ids(known: list[KnownCalendar], asked: list[str]) -> set[str]:
    """Return the ids, all of them of the account's calendars.

    Raises the problem ``invalid_input`` with the place of each that is not.
    """
    ids = {PRIMARY, *(one.id for one in known)}
    faults = [
        Fault(
            f"calendar_ids.{place}",
            "unknown_calendar",
            "the account has no such calendar, or none that we have seen yet",
        )
        for place, calendar_id in enumerate(asked)
        if calendar_id not in ids
    ]
    if faults:
        raise Problem(422, "invalid_input", f"{faults[0].path}: {faults[0].message}", faults=faults)
    return set(asked)
