"""From an account's list of calendars to those that a listing reads. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from meetbot.domain.account_calendar import AccountCalendar, CalendarChoice, CalendarsMode, chosen_ids
from meetbot.providers.base import PRIMARY, CalendarRef
from meetbot.providers.listing import ToRead


class ListedCalendar(NamedTuple):
    """A calendar in an account's list, and the id that stands for it in the provider's paths."""

    calendar: AccountCalendar
    path_id: str


def calendars_to_read(listed: Sequence[ListedCalendar] | None, choice: CalendarChoice, *, own_path: str) -> ToRead:
    """Return which calendars are to be read, and which of them have left the list.

    ``listed`` is None if the account's list may not be read; then there is only its own calendar, at ``own_path``.
    """
    paths = {one.calendar.id: one.path_id for one in listed or ()}
    calendars = tuple(one.calendar for one in listed or ())
    ids = chosen_ids(calendars, choice.mode, choice.named)
    named = choice.named if choice.mode is CalendarsMode.SELECTED else frozenset()
    return ToRead(
        calendars=[CalendarRef(name, paths.get(name, own_path)) for name in ids],
        absent=sorted((choice.held | named) - paths.keys() - {PRIMARY}),
        listed=calendars if listed is not None else None,
    )
