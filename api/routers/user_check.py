"""What a person asks when no bot came."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from api.auth import Caller, Scope, requires
from api.dependencies import ApiServices, InjectedServices
from api.problems import COMMON, described, not_found
from meetbot.calendars.user_checks import (
    DAYS_AHEAD,
    CheckName,
    UserCheck,
    UserFacts,
    WorkerFound,
    check_user,
    is_fresh,
)
from meetbot.domain.account_calendar import CalendarsMode
from meetbot.domain.calendar_health import KnownCalendar
from meetbot.domain.calendar_user import CONNECTED, CalendarUserStatus
from meetbot.domain.event import Provider
from meetbot.domain.push import Channel, push_health
from meetbot.resources.base import OneOf
from meetbot.storage.account_calendars import calendars_of, default_mode
from meetbot.storage.calendar_users import find_calendar_user
from meetbot.storage.push_channels import as_channels, channels_of
from meetbot.storage.tables import CalendarUser
from meetbot.storage.user_checks import EventCount, count_events
from meetbot.temporal.calendar_messages import CheckRequest

router = APIRouter(prefix="/calendar/users/{calendar_user_id}/check", tags=["calendar users"])

Reader = Annotated[Caller, Depends(requires(Scope.CALENDARS_READ))]

# So long what the worker found is not asked for again.
_KNOWN_FOR = timedelta(seconds=60)


class CheckResource(BaseModel):
    """One check of a calendar user."""

    check: Annotated[str, OneOf(CheckName)]
    ok: bool | None = Field(description="Null: it is not known just now, or does not matter.")
    detail: str = Field(examples=["The last complete sync began 42 seconds ago."])
    next_step: str = Field(description="What to do; empty if there is nothing to do.")


class ChecksAnswer(BaseModel):
    """All checks of a calendar user, the first cause first."""

    data: list[CheckResource]


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the database says of a calendar user."""

    row: CalendarUser
    calendars: list[KnownCalendar]
    mode: CalendarsMode
    channels: list[Channel]
    events: list[EventCount]


@router.get("", responses=COMMON | described(404), summary="Find out why no bot came")
def check_calendar_user(calendar_user_id: str, caller: Reader, services: InjectedServices) -> ChecksAnswer:
    """Go through what has to be right for a bot to come, within ten seconds.

    Most of it is answered from what is stored, and says how old that is. The provider is asked only if the last sync is too
    old to tell, and provider and backend once a minute at most. What could not be found out in time has `ok: null`; the other
    lines are as good as ever.
    """
    stored, now = _load(services, caller, calendar_user_id), services.clock()
    row = stored.row
    facts = UserFacts(
        now=now,
        state=CalendarUserStatus(row.state),
        state_changed_at=row.state_changed_at,
        error_code=row.error_code,
        scopes=frozenset(row.scopes),
        missing_scopes=services.providers[Provider(row.provider)].missing_scopes,
        calendars=stored.calendars,
        mode=stored.mode,
        push=push_health(stored.channels, now=now, is_on=services.settings.push_is_on),
        last_synced_at=row.last_synced_at,
        slowest_poll=_slowest_poll(services),
        events=stored.events,
        found=_found(services, row, now),
    )
    return ChecksAnswer(data=[_shown(check) for check in check_user(facts)])


def _load(services: ApiServices, caller: Caller, calendar_user_id: str) -> _Stored:
    now = services.clock()
    with services.database.transaction(caller.tenant_id) as session:
        row = find_calendar_user(session, caller.tenant_id, calendar_user_id)
        if row is None:
            raise not_found("calendar_user")
        until = now + timedelta(days=DAYS_AHEAD)
        return _Stored(
            row=row,
            calendars=calendars_of(session, row.tenant_id, row.id),
            mode=row.calendars_mode or default_mode(session, row.tenant_id),
            channels=list(as_channels(channels_of(session, row.tenant_id, [row.id]))),
            events=list(count_events(session, row.tenant_id, row.id, now=now, until=until)),
        )


def _found(services: ApiServices, row: CalendarUser, now: datetime) -> WorkerFound:
    """Return what the worker found, not a minute ago, or finds now.

    No transaction is open meanwhile.
    """
    known = WorkerFound(None, row.provider_check, row.backend_check, row.checked_at)
    if known.at is not None and now < known.at + _KNOWN_FOR:
        return known
    is_due = row.state in CONNECTED and not is_fresh(row.last_synced_at, _slowest_poll(services), now)
    answer = services.orchestrator.check_calendar_user(CheckRequest(row.tenant_id, row.id, asks_provider=is_due))
    if answer.result is None:
        return WorkerFound(answer.is_reached)
    return WorkerFound(True, answer.result.provider or None, answer.result.backend or None, now)


def _slowest_poll(services: ApiServices) -> timedelta:
    return timedelta(seconds=services.settings.slowest_poll_seconds)


def _shown(check: UserCheck) -> CheckResource:
    fields = {"check": check.check.value, "ok": check.ok, "detail": check.detail, "next_step": check.next_step}
    return CheckResource.model_validate(fields)
