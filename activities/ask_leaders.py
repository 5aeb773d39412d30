"""Ask the calendars whose copies lead what they say now, when other copies disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from activities.read_copy import Verdict, read_copy_again
from activities.services import Services
from meetbot.domain.leadership import Copy
from meetbot.providers.http import Deadline
from meetbot.storage.bots import ClaimCopy

_MOST_ASKED = 25
_SECONDS_EACH = 5.0
# A sync that asks many calendars that hang must still end in time.
_SECONDS_IN_ALL = 20.0
_TOO_SHORT_SECONDS = 0.05


class LeaderInquiry:
    """What one sync asks of other calendars, and which of them turned out to be outdated.

    Leaders beyond the first twenty-five, and those that do not answer in five seconds, count as saying what they said last.
    """

    def __init__(self, services: Services, tenant_id: str) -> None:
        self._services, self._tenant_id = services, tenant_id
        self._deadline: Deadline | None = None
        self._asked: set[str] = set()
        self._outdated: set[str] = set()

    @property
    def outdated(self) -> tuple[str, ...]:
        """Return the calendar users whose stored copies were not what their calendars say now."""
        return tuple(sorted(self._outdated))

    def unasked(self, leaders: Sequence[Copy]) -> list[Copy]:
        """Return those of the leading copies that are still to be read again."""
        left = _MOST_ASKED - len(self._asked) if self._remaining() > _TOO_SHORT_SECONDS else 0
        return [leader for leader in leaders if leader.event_id not in self._asked][:left]

    def ask(self, leaders: Sequence[Copy], claims: Mapping[str, ClaimCopy]) -> None:
        """Read these copies again and store what changed. ``claims`` are by event id."""
        if self._deadline is None:
            self._deadline = Deadline(_SECONDS_IN_ALL)
        for leader in leaders:
            self._asked.add(leader.event_id)
            seconds = min(self._remaining(), _SECONDS_EACH)
            if seconds <= _TOO_SHORT_SECONDS:
                return
            verdict = read_copy_again(self._services, self._tenant_id, claims[leader.event_id], seconds=seconds)
            if verdict is Verdict.CHANGED:
                self._outdated.add(leader.calendar_user_id)

    def _remaining(self) -> float:
        return self._deadline.remaining() if self._deadline is not None else _SECONDS_IN_ALL
