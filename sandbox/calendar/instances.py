"""What stands on a calendar: meetings, and occurrences of series, as its owner sees them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sandbox.calendar.records import CalendarCopy, Deviation, Guest, Meeting
from sandbox.calendar.recurrence import is_original_start, original_starts_between
from sandbox.state import State

# About as many as Google itself expands an endless series to.
MAX_OCCURRENCES = 730


@dataclass(frozen=True, slots=True)
class Instance:
    """A single meeting, a series master, or one occurrence (``original_start`` is set)."""

    meeting: Meeting
    copy: CalendarCopy
    start: datetime
    end: datetime
    original_start: datetime | None = None
    deviation: Deviation | None = None

    @property
    def is_master(self) -> bool:
        """Return whether this is a series as a whole."""
        return bool(self.meeting.recurrence) and self.original_start is None

    @property
    def removed(self) -> bool:
        """Return whether the meeting as a whole is no longer on this calendar."""
        return self.meeting.cancelled or self.copy.removed or self.copy.uninvited

    @property
    def cancelled(self) -> bool:
        """Return whether the meeting, or this occurrence, is cancelled or removed."""
        return self.removed or (self.deviation is not None and self.deviation.cancelled)

    @property
    def title(self) -> str:
        """Return the occurrence's title if it has its own, else the meeting's."""
        return _first(self.deviation.title if self.deviation else None, self.meeting.title)

    @property
    def description(self) -> str:
        """Return the occurrence's description if it has its own, else the meeting's."""
        return _first(self.deviation.description if self.deviation else None, self.meeting.description)

    @property
    def location(self) -> str:
        """Return the occurrence's location if it has its own, else the meeting's."""
        return _first(self.deviation.location if self.deviation else None, self.meeting.location)

    @property
    def meeting_url(self) -> str | None:
        """Return the occurrence's join link if it has its own, else the meeting's."""
        return (self.deviation and self.deviation.meeting_url) or self.meeting.meeting_url

    @property
    def all_day(self) -> bool:
        """Return whether the occurrence is an all-day one, which its series need not be."""
        own = self.deviation.all_day if self.deviation is not None else None
        return self.meeting.all_day if own is None else own

    @property
    def guests(self) -> list[Guest]:
        """Return the occurrence's guest list if it has its own, else the meeting's."""
        if self.deviation is not None and self.deviation.guests is not None:
            return self.deviation.guests
        return self.meeting.guests

    @property
    def change(self) -> int:
        """Return the number of the last change that this calendar sees."""
        return max(self.meeting.change, self.copy.change, self.deviation.change if self.deviation else 0)

    @property
    def updated(self) -> datetime:
        """Return when it was last edited."""
        return max(self.meeting.updated, self.deviation.updated) if self.deviation else self.meeting.updated

    @property
    def is_organizer(self) -> bool:
        """Return whether the calendar or its account organises the meeting."""
        return self.meeting.organizer_email in (self.copy.account, self.copy.calendar)

    def overlaps(self, low: datetime | None, high: datetime | None) -> bool:
        """Return whether it ends after ``low`` and starts before ``high``.

        Both providers give windows this meaning.
        """
        return (low is None or self.end > low) and (high is None or self.start < high)


def whole_meeting(state: State, copy: CalendarCopy) -> Instance:
    """Return the single meeting, or the series master."""
    meeting = state.meetings[copy.meeting]
    return Instance(meeting, copy, meeting.start, meeting.end)


def occurrences(state: State, copy: CalendarCopy, low: datetime | None, high: datetime | None) -> list[Instance]:
    """Return a series' occurrences that overlap the window, cancelled ones included, by start."""
    meeting = state.meetings[copy.meeting]
    deviating = [build_occurrence(meeting, copy, d.original_start) for d in meeting.deviations.values()]
    found = [*_regular(meeting, copy, low, high), *deviating]
    visible = (each for each in found if _is_shown(copy, each) and each.overlaps(low, high))
    return sorted(visible, key=lambda each: each.start)


def find_occurrence(state: State, copy: CalendarCopy, original_start: datetime) -> Instance | None:
    """Return the occurrence with this original start, or None if the calendar has none."""
    meeting = state.meetings[copy.meeting]
    if not meeting.recurrence:
        return None
    key = original_start.strftime("%Y%m%dT%H%M%SZ")
    series = (meeting.recurrence, meeting.start, meeting.time_zone)
    if key not in meeting.deviations and not is_original_start(*series, original_start):
        return None
    instance = build_occurrence(meeting, copy, original_start)
    return instance if _is_shown(copy, instance) else None


def build_occurrence(meeting: Meeting, copy: CalendarCopy, original_start: datetime) -> Instance:
    """Return the occurrence with this original start, which the series must have."""
    deviation = meeting.deviations.get(original_start.strftime("%Y%m%dT%H%M%SZ"))
    start = (deviation and deviation.start) or original_start
    end = (deviation and deviation.end) or start + _length(meeting, start)
    return Instance(meeting, copy, start, end, original_start, deviation)


def expand(
    state: State, copies: Iterable[CalendarCopy], low: datetime | None, high: datetime | None
) -> Iterator[Instance]:
    """Yield single meetings and occurrences in the window, cancelled ones included."""
    for copy in copies:
        if state.meetings[copy.meeting].recurrence:
            yield from occurrences(state, copy, low, high)
        else:
            single = whole_meeting(state, copy)
            if single.overlaps(low, high):
                yield single


def to_local(meeting: Meeting, instant: datetime) -> datetime:
    """Return the instant in the meeting's own time zone."""
    return instant.astimezone(ZoneInfo(meeting.time_zone))


def _regular(meeting: Meeting, copy: CalendarCopy, low: datetime | None, high: datetime | None) -> Iterator[Instance]:
    earliest = low - (meeting.end - meeting.start) - timedelta(hours=2) if low else None
    starts = original_starts_between(
        meeting.recurrence, meeting.start, meeting.time_zone, earliest, high, MAX_OCCURRENCES
    )
    for start in starts:
        if start.strftime("%Y%m%dT%H%M%SZ") not in meeting.deviations:
            yield Instance(meeting, copy, start, start + _length(meeting, start), start)


def _length(meeting: Meeting, start: datetime) -> timedelta:
    """An all-day occurrence lasts local days, which daylight saving makes 23 or 25 hours long."""
    if not meeting.all_day:
        return meeting.end - meeting.start
    zone = ZoneInfo(meeting.time_zone)
    days = meeting.end.astimezone(zone).date() - meeting.start.astimezone(zone).date()
    return (start.astimezone(zone) + days).astimezone(UTC) - start


def _is_shown(copy: CalendarCopy, instance: Instance) -> bool:
    return copy.occurrences is None or instance.original_start in copy.occurrences


def _first(deviating: str | None, regular: str) -> str:
    return regular if deviating is None else deviating
