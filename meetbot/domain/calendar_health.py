"""What is known of an account's calendars from sync to sync. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from meetbot.domain.account_calendar import PRIMARY, AccessRole, AccountCalendar, CalendarsMode, chosen_ids

GONE: Final = "calendar_gone"
"""The code of a calendar that the provider says not to have any more."""

LEAST_GRACE: Final = timedelta(minutes=10)

MOST_KEPT: Final = 500
"""So many calendars of an account are kept, those that are read before others."""


@dataclass(frozen=True, slots=True)
class KnownCalendar:
    """A calendar as it is stored.

    ``named``: somebody chose it for the mode ``selected``. ``is_read``: the last sync read all of it, and ``last_synced_at`` is
    when that began or ended to be so. ``refused_since`` is when the provider first refused its events, ``gone_at`` when it
    said to have the calendar no more.
    """

    calendar: AccountCalendar
    named: bool = False
    is_read: bool = False
    last_synced_at: datetime | None = None
    error_code: str | None = None
    refused_since: datetime | None = None
    gone_at: datetime | None = None

    @property
    def id(self) -> str:
        """Return the calendar's id."""
        return self.calendar.id

    def is_given_up(self, *, grace: timedelta, now: datetime) -> bool:
        """Return whether its events have been refused for so long that none is recorded any more.

        One wrong answer must not suffice, however short the grace is.
        """
        return self.refused_since is not None and now >= self.refused_since + max(grace, LEAST_GRACE)

    def synced_at(self, whole: datetime | None) -> datetime | None:
        """Return when it was last read to its end.

        ``whole`` is when the calendar user's last sync began.
        """
        known = [at for at in (self.last_synced_at, whole if self.is_read else None) if at is not None]
        return max(known, default=None)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a sync found of the calendars.

    ``listed`` is the account's whole list, None if it may not be read. ``complete`` were read to their end, ``gone`` does the
    provider not have any more; ``faults`` say why others were not read, and of ``refused`` ones asking again does not help.
    """

    listed: tuple[AccountCalendar, ...] | None
    complete: frozenset[str]
    gone: frozenset[str]
    refused: frozenset[str]
    faults: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ListChanges:
    """Which rows of calendars a sync writes, and which it deletes, by id."""

    written: tuple[KnownCalendar, ...] = ()
    forgotten: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.written or self.forgotten)


NO_LIST_CHANGES: Final = ListChanges()


def selected_ids(known: Iterable[KnownCalendar], mode: CalendarsMode) -> list[str]:
    """Return the ids of the calendars that are to be read, as far as they are known."""
    present = [one for one in known if one.gone_at is None]
    return chosen_ids([one.calendar for one in present], mode, {one.id for one in present if one.named})


def changes_of(
    known: Sequence[KnownCalendar], reading: Reading, *, synced_before: datetime | None, began_at: datetime
) -> ListChanges:
    """Return how the rows differ from what a sync found that ``began_at`` this instant.

    A calendar that is read as before costs no row. ``synced_before`` is when the calendar user's sync before began.
    """
    before = {one.id: one for one in known}
    listed = {one.id: one for one in reading.listed or ()}
    found = listed | {name: _unlisted(name, before) for name in _touched(reading) if name not in listed}
    written = []
    for name in _kept(found, reading):
        old = before.get(name) or KnownCalendar(found[name])
        new = _after(replace(old, calendar=found[name]), reading, synced_before=synced_before, began_at=began_at)
        if new != before.get(name):
            written.append(new)
    return ListChanges(tuple(written), _forgotten(known, found, reading))


def deselected(known: Iterable[KnownCalendar], mode: CalendarsMode, *, synced_before: datetime | None) -> ListChanges:
    """Return the rows of calendars that were read until now and are no longer to be."""
    known = list(known)
    wanted = set(selected_ids(known, mode))
    left = (one for one in known if one.gone_at is None and one.id not in wanted and (one.is_read or one.error_code))
    return ListChanges(tuple(_stopped(one, synced_before) for one in left))


def _touched(reading: Reading) -> set[str]:
    return {*reading.complete, *reading.gone, *reading.faults}


def _unlisted(name: str, before: Mapping[str, KnownCalendar]) -> AccountCalendar:
    """Return a calendar that does not stand in the account's list, as it was when it did."""
    if name in before:
        return before[name].calendar
    owned = name == PRIMARY
    return AccountCalendar(name, None, owned, AccessRole.OWNER if owned else AccessRole.READER)


def _kept(found: Mapping[str, AccountCalendar], reading: Reading) -> list[str]:
    touched = _touched(reading)
    return sorted(found, key=lambda name: (name not in touched, not found[name].owned, name))[:MOST_KEPT]


def _after(
    old: KnownCalendar, reading: Reading, *, synced_before: datetime | None, began_at: datetime
) -> KnownCalendar:
    name = old.id
    if name in reading.complete:
        since = old.last_synced_at if old.is_read else began_at
        return replace(old, is_read=True, last_synced_at=since, error_code=None, refused_since=None, gone_at=None)
    stopped = _stopped(old, synced_before)
    if name in reading.gone:
        return replace(stopped, error_code=GONE, gone_at=old.gone_at or began_at)
    if name in reading.faults:
        refused_since = old.refused_since or (began_at if name in reading.refused else None)
        return replace(stopped, error_code=reading.faults[name], refused_since=refused_since)
    # In the account's list, and not to be read.
    return _stopped(old, synced_before)


def _stopped(old: KnownCalendar, synced_before: datetime | None) -> KnownCalendar:
    seen = old.synced_at(synced_before)
    return replace(old, is_read=False, last_synced_at=seen, error_code=None, refused_since=None, gone_at=None)


def _forgotten(
    known: Sequence[KnownCalendar], found: Mapping[str, AccountCalendar], reading: Reading
) -> tuple[str, ...]:
    """Return those that have left the account's list and were not read.

    Nothing needs to be said of them.
    """
    if reading.listed is None:
        return ()
    return tuple(one.id for one in known if one.id not in found and one.gone_at is None)


def given_up_ids(known: Iterable[KnownCalendar], mode: CalendarsMode, *, grace: timedelta, now: datetime) -> set[str]:
    """Return those of the calendars to be read that have been refused for longer than the grace."""
    known = list(known)
    wanted = set(selected_ids(known, mode))
    return {one.id for one in known if one.id in wanted and one.is_given_up(grace=grace, now=now)}


def after(known: Sequence[KnownCalendar], changes: ListChanges) -> list[KnownCalendar]:
    """Return the calendars as they are once the changes are written."""
    by_id = {one.id: one for one in known} | {one.id: one for one in changes.written}
    return [one for name, one in by_id.items() if name not in changes.forgotten]
