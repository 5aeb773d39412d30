"""When an occurrence of a Graph series would start if nobody had changed it. Pure.

Graph gives ``originalStart`` in UTC. Of an all-day series that is local midnight in the series' own zone, and
``originalStartTimeZone`` names the zone that the request asked for (microsoft-graph-docs issues 2804 and 7163). So the date has
to be found without the zone. Google gives the date.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from meetbot.providers.base import RawEvent
from meetbot.providers.ical_uid import instance_date_in_goid
from meetbot.providers.times import find_zone, parse_instant

SERIES_IS_ALL_DAY: Final = "meetbot.seriesIsAllDay"
"""The field in which `series_kinds` notes what an exception does not say: whether its series is an all-day one."""

_IN_SERIES: Final = ("occurrence", "exception")
# The clocks of mankind show from 12 hours before UTC to 14 after.
_EAST: Final = timedelta(hours=14)
_WEST: Final = timedelta(hours=12)
# After 10:00 UTC local midnight is nearly always that of an eastern zone: 12 and 13 hours ahead are New Zealand and Fiji,
# 11 and 12 behind a few islands. At 10:00 UTC it is Hawaii's, not that of the Line Islands.
_LAST_WESTERN_MIDNIGHT: Final = time(10)


def is_in_series(raw: RawEvent) -> bool:
    """Return whether the event is an occurrence of a series."""
    return raw.get("type") in _IN_SERIES or isinstance(raw.get("seriesMasterId"), str)


def original_start(raw: RawEvent, start: datetime | None) -> datetime | None:
    """Return the original start: midnight UTC in an all-day series, None outside a series.

    In an all-day series it is midnight UTC of the original date. ``start`` is the event's start as it is now.
    """
    if not is_in_series(raw):
        return _start_of_single_invitation(raw, start)
    said = raw.get(SERIES_IS_ALL_DAY) if raw.get("type") == "exception" else None
    if said is True or (said is not False and raw.get("isAllDay") is True):
        return _original_day(raw, start)
    return parse_instant(raw.get("originalStart")) or start


def _original_day(raw: RawEvent, start: datetime | None) -> datetime | None:
    if raw.get("type") == "occurrence" and start is not None and raw.get("isAllDay") is True:
        return start  # as the series has it
    moment = parse_instant(raw.get("originalStart"))
    if moment is None:
        return start
    day = _day_in_named_zone(moment, raw.get("originalStartTimeZone")) or _day_in_uid(raw, moment)
    day = day or _likely_day(moment)
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _day_in_named_zone(moment: datetime, zone_name: object) -> date | None:
    """Return the date if the moment is midnight in the zone named, the series' own."""
    zone = find_zone(zone_name)
    local = moment.astimezone(zone) if zone is not None else None
    return local.date() if local is not None and not (local.hour or local.minute or local.second) else None


def _day_in_uid(raw: RawEvent, moment: datetime) -> date | None:
    day = instance_date_in_goid(raw.get("iCalUId"))
    if day is None:
        return None
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return day if midnight - _EAST <= moment <= midnight + _WEST else None


def _likely_day(moment: datetime) -> date:
    return (moment + timedelta(days=1)).date() if moment.time() > _LAST_WESTERN_MIDNIGHT else moment.date()


def _start_of_single_invitation(raw: RawEvent, start: datetime | None) -> datetime | None:
    """Return the original start in a copy of an attendee invited to one occurrence only.

    Graph shows that copy as a single event, but its Global Object ID names the date of the occurrence. If `start` is
    on that date in some time zone, it is the original start, and the copy gets the same meeting key as the others.
    """
    day = instance_date_in_goid(raw.get("iCalUId"))
    if day is None or start is None or abs((start.date() - day).days) > 1:
        return None
    return start
