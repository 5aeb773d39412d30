"""How many bots of all tenants are due together, for their arming to be spread."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cachetools import TTLCache

from meetbot.bots.launch import arming_offset
from meetbot.storage import launch_holds
from meetbot.storage.database import Database
from meetbot.temporal.messages import NextStep, StepKind

_SECONDS_TOGETHER = 10
_MOST = 2000
_REMEMBERED_SECONDS = 2.0
_REMEMBERED = 1000


class Herds:
    """Counts the bots that are due together; safe to share between threads.

    A count is remembered for two seconds.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counts: TTLCache[int, int] = TTLCache(_REMEMBERED, _REMEMBERED_SECONDS)
        self._lock = threading.Lock()

    def spread(self, step: NextStep) -> NextStep:
        """Return the step with its re-check so much earlier as many bots are due with it."""
        if step.kind is not StepKind.WAIT or step.recheck_at is None or step.dispatch_at is None:
            return step
        offset = arming_offset(step.bot_id, self.due_with(step.dispatch_at))
        return replace(step, recheck_at=step.recheck_at - offset) if offset else step

    def due_with(self, instant: datetime) -> int:
        """Return how many bots are due in the same ten seconds, at most two thousand.

        Opens a transaction.
        """
        place = int(instant.timestamp()) // _SECONDS_TOGETHER
        with self._lock:
            if (known := self._counts.get(place)) is not None:
                return known
        since = datetime.fromtimestamp(place * _SECONDS_TOGETHER, tz=UTC)
        with self._database.relay() as session:
            count = launch_holds.count_due(
                session, since=since, until=since + timedelta(seconds=_SECONDS_TOGETHER), most=_MOST
            )
        with self._lock:
            self._counts[place] = count
        return count
