"""Accounts with several calendars, own ones and others', for tests of which are read."""

from __future__ import annotations

from typing import Any

from sqlmodel import select

from meetbot.domain.account_calendar import PRIMARY, CalendarsMode
from meetbot.domain.calendar_health import KnownCalendar
from meetbot.domain.event import Provider
from meetbot.storage.account_calendars import calendars_of, name_calendars
from meetbot.storage.calendar_users import set_calendars_mode
from meetbot.storage.tables import BotClaim, CalendarEvent, CalendarUser
from tests.rig import Rig

ADA = "ada@acme.test"
BOSS = "boss@acme.test"
ZOOM = "https://us02web.zoom.us/j/81234567890"


def id_of(calendar: dict[str, Any], provider: Provider) -> str:
    """Our id of a secondary calendar in the sandbox."""
    return str(calendar["id" if provider is Provider.GOOGLE else "graph_id"])


def second_calendar(rig: Rig, provider: Provider, owner: str = ADA, **fields: Any) -> dict[str, Any]:
    return rig.sandbox.post(f"/control/accounts/{owner}/calendars", {"name": "Second"} | fields)


def share(rig: Rig, calendar_id: str, *, role: str = "reader", owner: str = BOSS) -> dict[str, Any]:
    """Share the boss's calendar with ada, or change what it is shared as."""
    path = f"/control/accounts/{owner}/calendars/{calendar_id}/shares"
    return rig.sandbox.post(path, {"email": ADA, "access_role": role})


def unshare(rig: Rig, calendar_id: str, *, owner: str = BOSS) -> None:
    path = f"/control/accounts/{owner}/calendars/{calendar_id}/shares/{ADA}"
    rig.sandbox.http.delete(path).raise_for_status()


def choose(rig: Rig, user: str, mode: CalendarsMode, *ids: str) -> None:
    """Choose calendars as the api does."""
    with rig.database.transaction(rig.tenant_id) as session:
        name_calendars(session, rig.tenant_id, user, ids)
        set_calendars_mode(session, session.get_one(CalendarUser, (rig.tenant_id, user)), mode, now=rig.clock())


def known(rig: Rig, user: str) -> dict[str, KnownCalendar]:
    with rig.read() as session:
        return {one.id: one for one in calendars_of(session, rig.tenant_id, user)}


def live(rig: Rig, user: str) -> list[CalendarEvent]:
    return [event for event in rig.events(user) if not event.deleted]


def claims(rig: Rig, user: str) -> list[str]:
    with rig.read() as session:
        rows = session.exec(select(BotClaim).where(BotClaim.calendar_user_id == user)).all()
        return [row.event_id for row in rows]


def of_two(rig: Rig, provider: Provider) -> tuple[str, str]:
    """Ada with a calendar of her own beside the first, and one meeting on each."""
    rig.sandbox.account(ADA, provider)
    second = second_calendar(rig, provider)
    user = rig.connect(ADA, provider)
    rig.sandbox.event(ADA, title="first")
    rig.sandbox.event(ADA, title="second", calendar_id=second["id"])
    assert len(rig.planned(user)) == 2
    return user, id_of(second, provider)


def with_boss(rig: Rig, provider: Provider, *, role: str = "reader") -> tuple[str, str]:
    """Ada, with whom the boss shares a calendar that has a meeting."""
    rig.sandbox.account(ADA, provider)
    rig.sandbox.account(BOSS, provider)
    rig.sandbox.event(BOSS, title="the boss's", platform=None, meeting_url=ZOOM)
    rig.sandbox.event(ADA, title="ada's")
    shared = share(rig, BOSS, role=role)
    return rig.connect(ADA, provider), id_of(shared, provider)


def reading_the_boss(rig: Rig, provider: Provider) -> tuple[str, str]:
    """Ada, who has the boss's calendar read besides her own."""
    user, shared = with_boss(rig, provider)
    rig.sync(user)
    choose(rig, user, CalendarsMode.SELECTED, PRIMARY, shared)
    assert len(rig.planned(user)) == 2
    return user, shared


def titles(rig: Rig, user: str) -> list[str]:
    return sorted(event.title for event in live(rig, user))


def view_path(provider: Provider, calendar_id: str) -> str:
    """Where a listing reads the events of a calendar."""
    if provider is Provider.GOOGLE:
        return f"/google/calendar/v3/calendars/{calendar_id}/events"
    return f"/microsoft/v1.0/me/calendars/{calendar_id}/calendarView"


def list_path(provider: Provider) -> str:
    """Where the account's calendars are listed."""
    return (
        "/google/calendar/v3/users/me/calendarList" if provider is Provider.GOOGLE else "/microsoft/v1.0/me/calendars"
    )
