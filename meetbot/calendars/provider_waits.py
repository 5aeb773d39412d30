"""How long a provider asked not to be asked: about one mailbox, or by our application.

The wait about a mailbox is noted on its calendar user's row, so that it holds for all processes and after a restart. One about
the application is kept in memory: each process asks once at most before it knows. Whoever asks for a sync in person waits for
neither.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from meetbot.domain.event import Provider
from meetbot.errors import RetryLater
from meetbot.storage import calendar_user_state
from meetbot.storage.calendar_user_context import CalendarUserContext
from meetbot.storage.database import Database

HELD: Final = "provider_wait"
"""The code of a request that was not sent, because the provider's wait is not over."""

_LEAST: Final = timedelta(seconds=1)


class _Pause(NamedTuple):
    since: datetime
    until: datetime


class ProviderWaits:
    """The waits that providers asked for; safe to share between threads."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._pauses: dict[Provider, _Pause] = {}
        self._lock = threading.Lock()

    def check(self, user: CalendarUserContext) -> None:
        """Raise `RetryLater` (`HELD`) as long as this mailbox may not be asked about."""
        now = self._clock()
        until = max((end for end in (user.not_before, self._pause_of(user)) if end is not None), default=now)
        if until > now:
            raise RetryLater(HELD, f"{user.provider}: asked to wait until {until:%H:%M:%S}", retry_after=until - now)

    def note(self, user: CalendarUserContext, refusal: RetryLater) -> None:
        """Remember the wait that a refusal asks for, if it does."""
        wait = refusal.retry_after
        if refusal.code == HELD or wait is None or wait < _LEAST:
            return
        now = self._clock()
        if refusal.whole_application:
            with self._lock:
                self._pauses[user.provider] = _Pause(now, now + wait)
        with self._database.transaction(user.tenant_id) as session:
            calendar_user_state.note_wait(session, user.tenant_id, user.id, until=now + wait)

    def _pause_of(self, user: CalendarUserContext) -> datetime | None:
        with self._lock:
            pause = self._pauses.get(user.provider)
        if pause is None or (user.asked_at is not None and user.asked_at >= pause.since):
            return None
        return pause.until
