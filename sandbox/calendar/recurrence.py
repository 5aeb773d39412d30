"""Which occurrences a series has: RFC 5545 rules, counted in the event's own time zone.

So 09:00 stays 09:00 when daylight saving time begins or ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rruleset, rrulestr

from sandbox.calendar.errors import RecurrenceError

_LINE = re.compile(r"(RRULE|EXDATE|RDATE)(;[^:]*)?:(.+)", re.ASCII)
_STAMP = re.compile(r"(\d{8})(?:T(\d{6})(Z?))?", re.ASCII)
_FREQUENCIES = ("FREQ=DAILY", "FREQ=WEEKLY", "FREQ=MONTHLY", "FREQ=YEARLY")
_MAX_LINES, _MAX_LINE = 50, 1000


def check_recurrence(lines: Sequence[str], start: datetime, time_zone: str) -> None:
    """Raise `RecurrenceError` for lines that are wrong or yield no occurrence.

    A frequency below a day is refused too.
    """
    if len(lines) > _MAX_LINES or any(len(line) > _MAX_LINE for line in lines):
        raise RecurrenceError("too many or too long recurrence lines")
    try:
        first = next(original_starts(lines, start, time_zone), None)
    except RecurrenceError:
        raise
    except (ValueError, TypeError) as error:
        raise RecurrenceError(str(error)) from error
    if first is None:
        raise RecurrenceError("the rule yields no occurrence")


def original_starts(lines: Sequence[str], start: datetime, time_zone: str) -> Iterator[datetime]:
    """Return the starts (UTC) of all occurrences, in order; endless if the rule is."""
    zone = ZoneInfo(time_zone)
    rules = _rules(lines, start.astimezone(zone).replace(tzinfo=None), zone)
    return (local.replace(tzinfo=zone).astimezone(UTC) for local in rules)


def original_starts_between(
    lines: Sequence[str], start: datetime, time_zone: str, low: datetime | None, high: datetime | None, limit: int
) -> list[datetime]:
    """Return the starts in [low, high), at most ``limit``."""
    zone = ZoneInfo(time_zone)
    rules = _rules(lines, start.astimezone(zone).replace(tzinfo=None), zone)
    locals_ = rules.xafter(low.astimezone(zone).replace(tzinfo=None), inc=True) if low else iter(rules)
    found: list[datetime] = []
    for local in islice(locals_, limit):
        instant = local.replace(tzinfo=zone).astimezone(UTC)
        if high is not None and instant >= high:
            break
        found.append(instant)
    return found


def is_original_start(lines: Sequence[str], start: datetime, time_zone: str, instant: datetime) -> bool:
    # The search begins some hours earlier: a local time that daylight saving skips counts at its shifted instant.
    """Return whether the series has an occurrence that originally starts at this instant."""
    low, high = instant - timedelta(hours=3), instant + timedelta(seconds=1)
    return instant in original_starts_between(lines, start, time_zone, low, high, 10)


def ended_before(lines: Sequence[str], instant: datetime) -> list[str]:
    """Return the same rules, ending before ``instant``.

    That is what "delete this and following" leaves.
    """
    until = datetime.fromtimestamp(instant.timestamp() - 1, UTC).strftime("%Y%m%dT%H%M%SZ")
    return [_with_until(line, until) for line in lines]


def _with_until(line: str, until: str) -> str:
    if not line.startswith("RRULE"):
        return line
    head, _, rule = line.partition(":")
    parts = [part for part in rule.split(";") if not part.startswith(("UNTIL=", "COUNT="))]
    return f"{head}:{';'.join([*parts, f'UNTIL={until}'])}"


def _rules(lines: Sequence[str], local_start: datetime, zone: ZoneInfo) -> rruleset:
    rules = rruleset()
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None:
            raise RecurrenceError(f"not a recurrence line: {line[:80]!r}")
        kind, _, value = match.groups()
        if kind == "RRULE":
            rules.rrule(_rule(value, local_start, zone))
        else:
            add = rules.exdate if kind == "EXDATE" else rules.rdate
            for stamp in value.split(","):
                add(_local(stamp, local_start, zone))
    return rules


def _rule(value: str, local_start: datetime, zone: ZoneInfo) -> rrule:
    if not any(part in _FREQUENCIES for part in value.split(";")):
        raise RecurrenceError("FREQ must be DAILY, WEEKLY, MONTHLY or YEARLY")
    parts = [_local_until(part, local_start, zone) for part in value.split(";")]
    rule = rrulestr(";".join(parts), dtstart=local_start)
    if not isinstance(rule, rrule):
        raise RecurrenceError("one rule per line")
    return rule


def _local_until(part: str, local_start: datetime, zone: ZoneInfo) -> str:
    if not part.startswith("UNTIL="):
        return part
    stamp = part.removeprefix("UNTIL=")
    if "T" not in stamp:  # a date includes its whole day
        return f"UNTIL={stamp}T235959"
    return f"UNTIL={_local(stamp, local_start, zone):%Y%m%dT%H%M%S}"


def _local(stamp: str, local_start: datetime, zone: ZoneInfo) -> datetime:
    match = _STAMP.fullmatch(stamp)
    if match is None:
        raise RecurrenceError(f"not a date or time: {stamp[:40]!r}")
    day, time, utc = match.groups()
    if time is None:
        return datetime.combine(datetime.strptime(day, "%Y%m%d").replace(tzinfo=zone).date(), local_start.time())
    parsed = datetime.strptime(f"{day}T{time}", "%Y%m%dT%H%M%S").replace(tzinfo=UTC if utc else zone)
    return parsed.astimezone(zone).replace(tzinfo=None)
