"""Calendars that people share with others: who sees which, and as what."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.calendar import provider_ids
from sandbox.calendar.records import Account, Calendar, CalendarShare
from sandbox.state import State


@dataclass(frozen=True, slots=True)
class SeenCalendar:
    """A calendar in somebody's list: with the role that they have, and whose it is."""

    owner: Account
    calendar: Calendar
    is_shared: bool = False


def seen_calendars(state: State, account: Account) -> list[SeenCalendar]:
    """Return the calendars in a person's list, their own first."""
    own = [SeenCalendar(account, calendar) for calendar in account.calendars]
    return [*own, *_shared(state, account)]


def _shared(state: State, account: Account) -> list[SeenCalendar]:
    found = []
    for share in state.shares.values():
        owner = state.accounts.get(share.owner)
        if share.account != account.email or owner is None:
            continue
        for calendar in owner.calendars:
            if calendar.id == share.calendar:
                change = {"primary": False, "access_role": share.access_role, "hidden": share.hidden}
                found.append(SeenCalendar(owner, calendar.model_copy(update=change), is_shared=True))
    return found


def share_calendar(state: State, share: CalendarShare) -> None:
    """Share a calendar, or change what it is shared as."""
    state.shares[_key(share.account, share.calendar)] = share


def unshare_calendar(state: State, account: Account, calendar: Calendar) -> bool:
    """Take a shared calendar from a person; False if it was not shared with them."""
    return state.shares.pop(_key(account.email, calendar.id), None) is not None


def graph_id_for(account: Account, seen: SeenCalendar) -> str:
    """Return Graph's id of a calendar in a person's mailbox: another one than in its owner's."""
    return provider_ids.graph_calendar_id(f"{account.email}/{seen.calendar.id}" if seen.is_shared else seen.calendar.id)


def _key(email: str, calendar_id: str) -> str:
    return f"{email}/{calendar_id}"
