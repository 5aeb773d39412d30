"""Signals to the workflows of changed calendars, sent beside the requests for them.

A provider waits for our answer, so a request only notes whom to signal. Bursts of one calendar become a signal at once and one
at the end; while Temporal does not answer, it is tried again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

import structlog

from api.orchestrator import Orchestrator
from meetbot.domain.coalescing import Coalescer
from meetbot.storage.calendar_users import CalendarUserRef
from meetbot.temporal.messages import CalendarUserSignal

PERIOD_SECONDS = 2.0
_IDLE_SECONDS = 60.0
_STOP_SECONDS = 10.0
_log = structlog.get_logger(__name__)


class PushSignals:
    """One thread that signals. Safe to use from many threads."""

    def __init__(self, orchestrator: Orchestrator, *, period: float = PERIOD_SECONDS) -> None:
        self._orchestrator = orchestrator
        self._coalescer: Coalescer[CalendarUserRef] = Coalescer(period)
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_stopped = False

    def ask(self, users: Iterable[CalendarUserRef]) -> None:
        """Have these calendars synced soon. Never blocks."""
        with self._changed:
            for user in users:
                self._coalescer.note(user)
            if self._thread is None and not self._is_stopped:
                self._thread = threading.Thread(target=self._run, name="push-signals", daemon=True)
                self._thread.start()
            self._changed.notify()

    def stop(self) -> None:
        """End the thread, after it has told what still waits."""
        with self._changed:
            self._is_stopped = True
            thread = self._thread
            self._changed.notify()
        if thread is not None:
            thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        while True:
            with self._changed:
                is_last = self._is_stopped
                due = self._coalescer.take_all() if is_last else self._coalescer.take_due(time.monotonic())
                if not due and not is_last:
                    self._changed.wait(self._pause())
                    continue
            reached = not due or self._signal(due)
            if is_last:
                return
            if not reached:
                with self._changed:
                    for user in due:
                        self._coalescer.note(user)

    def _pause(self) -> float:
        now = time.monotonic()
        following = self._coalescer.next_due(now)
        return _IDLE_SECONDS if following is None else max(following - now, 0.001)

    def _signal(self, users: list[CalendarUserRef]) -> bool:
        try:
            return self._orchestrator.signal_calendar_users(users, CalendarUserSignal.SYNC_NOW)
        except Exception as error:
            _log.warning("push.signal_failed", code=type(error).__name__)
            return False
