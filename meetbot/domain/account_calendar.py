"""The calendars of one account, and which of them are read. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PRIMARY: Final = "primary"
"""Our id for an account's own calendar, at both providers.

It stays when the account's address changes, and is the same whether or not the list of calendars may be read. Google
takes it as an alias in its paths.
"""

MAX_CALENDARS: Final = 25
"""So many calendars of one account are read, and no more."""


class CalendarsMode(StrEnum):
    """Which of an account's calendars are read.

    `PRIMARY`: the account's own. `OWNED`: that, and those the account made itself. `SELECTED`: those that were named, and no
    other; only so is a calendar read that somebody else shares.
    """

    PRIMARY = "primary"
    OWNED = "owned"
    SELECTED = "selected"


TENANT_MODES: Final = (CalendarsMode.PRIMARY, CalendarsMode.OWNED)
"""What may be a tenant's default: calendars are named for one account, never for all."""


class AccessRole(StrEnum):
    """What the account may do with a calendar.

    `FREE_BUSY_READER` sees that there is an event, and no more.
    """

    OWNER = "owner"
    WRITER = "writer"
    READER = "reader"
    FREE_BUSY_READER = "free_busy_reader"


@dataclass(frozen=True, slots=True)
class AccountCalendar:
    """A calendar in an account's list.

    ``owned``: the account's own, or one that it made itself. ``hidden``: its owner has taken it out of sight.
    """

    id: str
    name: str | None
    owned: bool
    access_role: AccessRole
    hidden: bool = False

    @property
    def is_primary(self) -> bool:
        """Return whether this is the account's own calendar."""
        return self.id == PRIMARY


@dataclass(frozen=True, slots=True)
class CalendarChoice:
    """Which calendars are to be read, by a mode.

    ``named`` are those for `CalendarsMode.SELECTED`.

    ``held`` are those that were read until now: if one is no longer in the account's list, the provider is asked about it.
    """

    mode: CalendarsMode = CalendarsMode.OWNED
    named: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()


OWN_CALENDARS: Final = CalendarChoice()


def chosen_ids(calendars: Iterable[AccountCalendar], mode: CalendarsMode, named: Collection[str]) -> list[str]:
    """Return the ids of the calendars to read, the account's own first.

    They are the same ones at every sync.

    At most `MAX_CALENDARS`. With `CalendarsMode.OWNED`, those are left out that another person shares, even with the role
    of an owner (an assistant has it on a manager's calendar), and hidden ones.
    """
    if mode is CalendarsMode.PRIMARY:
        return [PRIMARY]
    if mode is CalendarsMode.SELECTED:
        ids = {one.id for one in calendars if one.id in named}
        own = [PRIMARY] if PRIMARY in named else []
    else:
        ids = {one.id for one in calendars if one.owned and not one.hidden}
        own = [PRIMARY]
    others = sorted(ids - {PRIMARY})
    return [*own, *others[: MAX_CALENDARS - len(own)]]
