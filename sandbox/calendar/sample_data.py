"""What a new sandbox holds: three people of two companies, and a few meetings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sandbox import clock
from sandbox.calendar import meetings
from sandbox.calendar.accounts import new_account
from sandbox.calendar.join_links import LinkPlatform, made_up_link
from sandbox.calendar.records import Account, Guest, Provider, ResponseStatus
from sandbox.state import State


def add_sample_data(state: State) -> State:
    """Add the sample people and meetings to an empty state, and return it."""
    now = clock.read(state.clock)
    ada = new_account("ada@acme.test", "Ada Lovelace", Provider.GOOGLE)
    grace = new_account("grace@acme.test", "Grace Hopper", Provider.MICROSOFT)
    carl = new_account("carl@customer.test", "Carl Friedrich Gauss", Provider.GOOGLE)
    state.accounts = {account.email: account for account in (ada, grace, carl)}
    start = _next_full_hour(now)

    def put(owner: Account, title: str, at: datetime, minutes: int, **fields: object) -> None:
        times = {"title": title, "start": at, "end": at + timedelta(minutes=minutes)}
        meetings.create(state, now, owner, owner.calendars[0], {**times, **fields})

    put(
        ada,
        "Team stand-up",
        start.replace(hour=9) + timedelta(days=1),
        15,
        recurrence=["RRULE:FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"],
        guests=[_guest(grace, ResponseStatus.ACCEPTED)],
        meeting_url=made_up_link(LinkPlatform.GOOGLE_MEET),
    )
    put(
        ada,
        "Roadmap with Customer Inc.",
        start + timedelta(hours=2),
        45,
        description="Agenda: what we built, what comes next.",
        guests=[_guest(carl, ResponseStatus.ACCEPTED), _guest(grace)],
        meeting_url=made_up_link(LinkPlatform.ZOOM),
    )
    put(
        grace,
        "1:1 Ada / Grace",
        start + timedelta(days=1, hours=3),
        30,
        guests=[_guest(ada, ResponseStatus.ACCEPTED)],
        meeting_url=made_up_link(LinkPlatform.MICROSOFT_TEAMS),
    )
    put(carl, "Dentist", start + timedelta(days=1, hours=5), 60, visibility="private")
    midnight = start.replace(hour=0) + timedelta(days=3)
    put(ada, "Company day", midnight, 24 * 60, all_day=True, free=True)
    return state


def _guest(account: Account, answer: ResponseStatus = ResponseStatus.NEEDS_ACTION) -> Guest:
    return Guest(email=account.email, name=account.name, answer=answer)


def _next_full_hour(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
