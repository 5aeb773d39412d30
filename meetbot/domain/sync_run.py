"""What is kept of each sync: what set it off, how long it took, what came of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

UNCHANGED = "unchanged"
CHANGED = "changed"


class SyncTrigger(StrEnum):
    """What set a sync off: its slot, a notification, a person, or other rules."""

    POLL = "poll"
    PUSH = "push"
    MANUAL = "manual"
    RULES = "rules"


@dataclass(frozen=True, slots=True)
class SyncStart:
    """A sync as it began; ``seen`` is how many events were listed, None if none were asked for."""

    trigger: SyncTrigger
    began_at: datetime
    seen: int | None = None


@dataclass(frozen=True, slots=True)
class SyncRun:
    """A sync as it ended.

    ``result`` is `UNCHANGED`, `CHANGED`, or the code of what was left out or failed.
    """

    start: SyncStart
    milliseconds: int
    result: str
    changed: int = 0
    removed: int = 0

    @property
    def is_quiet(self) -> bool:
        """Return whether there is nothing to tell of it."""
        return self.result == UNCHANGED

    def joins(self, quiet_from: datetime | None) -> bool:
        """Return whether it is counted with the quiet runs that began then: all of one hour are."""
        return self.is_quiet and quiet_from is not None and _hour_of(quiet_from) == _hour_of(self.start.began_at)

    @property
    def slot(self) -> datetime:
        """Return the instant that it is kept under: those of an hour that fail alike share one."""
        if self.result == CHANGED:
            return self.start.began_at
        return _hour_of(self.start.began_at)


def _hour_of(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def ended(start: SyncStart, now: datetime, *, code: str | None = None, changed: int = 0, removed: int = 0) -> SyncRun:
    """Return the run of a sync that has ended; ``code`` is of a failure or of what was left out."""
    took = max(now - start.began_at, timedelta()) // timedelta(milliseconds=1)
    result = code or (CHANGED if changed or removed else UNCHANGED)
    return SyncRun(start, min(took, 2**31 - 1), result, changed, removed)


def trigger_of(
    *, calendar_is_read: bool, last: datetime | None, asked_at: datetime | None, notified_at: datetime | None
) -> SyncTrigger:
    """Return what set a sync off, from what came since the calendar was last read."""
    if not calendar_is_read:
        return SyncTrigger.RULES
    if _is_since(asked_at, last):
        return SyncTrigger.MANUAL
    return SyncTrigger.PUSH if _is_since(notified_at, last) else SyncTrigger.POLL


def _is_since(instant: datetime | None, last: datetime | None) -> bool:
    return instant is not None and (last is None or instant > last)
