"""Bots come first: how many syncs a process takes on follows how long its bots' work waits.

The queue of the bots' activities tells: what waits there for long waits because the machine is busy, and syncs are what can
wait. The number of syncs at once is halved while it is slow and grows by one while it is quick, as TCP finds its rate.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any

from prometheus_client import Gauge, Histogram
from temporalio import activity
from temporalio.worker import (
    ActivityInboundInterceptor,
    CustomSlotSupplier,
    ExecuteActivityInput,
    Interceptor,
    SlotMarkUsedContext,
    SlotPermit,
    SlotReleaseContext,
    SlotReserveContext,
)

_SLOW_SECONDS = 0.5
_QUICK_SECONDS = 0.2
_REMEMBERED_SECONDS = 5.0
_TICK_SECONDS = 0.5
_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

_QUEUE_DELAY = Gauge(
    "meetbot_dispatch_queue_delay_seconds", "The longest wait of a bot's activity in the last seconds."
)
_SLOTS = Gauge("meetbot_sync_slots", "How many syncs this process takes on at once.")
_SYNC_DELAY = Histogram(
    "meetbot_sync_delay_seconds", "How long a sync waited after it was due until it began.", buckets=_BUCKETS
)


class QueueDelay:
    """The longest delay that was seen in the last five seconds. Not to be shared by threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, float]] = deque()

    def note(self, seconds: float) -> None:
        """Note how long something waited."""
        self._seen.append((self._clock(), seconds))

    def longest(self) -> float:
        """Return the longest of the last five seconds, 0 if nothing was to be done."""
        oldest = self._clock() - _REMEMBERED_SECONDS
        while self._seen and self._seen[0][0] < oldest:
            self._seen.popleft()
        return max((seconds for _, seconds in self._seen), default=0.0)


def next_limit(limit: int, delay: float, *, most: int) -> int:
    """Return how many syncs are taken on at once after this delay was seen. Pure."""
    if delay > _SLOW_SECONDS:
        return max(1, limit // 2)
    return min(most, limit + 1) if delay < _QUICK_SECONDS else limit


class SyncAdmission(CustomSlotSupplier):
    """The slots of the worker of syncs.

    ``is_crowded``: many bots are sent just now, and one sync at a time is enough. Temporal's core calls from its own threads.
    """

    def __init__(self, delay: QueueDelay, is_crowded: Callable[[], bool], *, most: int) -> None:
        self._delay, self._is_crowded, self._most = delay, is_crowded, most
        self._limit = most
        self._taken = 0
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._freed = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Follow the delay until `stop` is set."""
        while not stop.is_set():
            due = time.monotonic() + _TICK_SECONDS
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _TICK_SECONDS)
            # A loop that comes late delays the bots of this process just as a queue does.
            self._delay.note(max(0.0, time.monotonic() - due))
            self.follow(self._delay.longest())

    def follow(self, delay: float) -> None:
        """Take on more or fewer syncs after this delay was seen."""
        self._limit = next_limit(self._limit, delay, most=self._most)
        _QUEUE_DELAY.set(delay)
        _SLOTS.set(self._limit)
        self._freed.set()

    async def reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit:
        """Wait until another sync may be taken on."""
        self._loop = asyncio.get_running_loop()
        while not self._take():
            self._freed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._freed.wait(), _TICK_SECONDS)
        return SlotPermit()

    def try_reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit | None:
        """Take on no sync out of its turn."""
        return None

    def mark_slot_used(self, ctx: SlotMarkUsedContext) -> None:
        """Do nothing: a slot counts from its reservation."""

    def release_slot(self, ctx: SlotReleaseContext) -> None:
        """Give a slot back."""
        with self._lock:
            self._taken -= 1
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                # Of a loop that is closed; nobody waits on it any more.
                self._loop.call_soon_threadsafe(self._freed.set)

    def _take(self) -> bool:
        with self._lock:
            is_free = self._taken < (1 if self._is_crowded() else self._limit)
            self._taken += is_free
        return is_free


class NoteDelays(Interceptor):
    """Notes how many seconds each activity waited from when it was due until it began."""

    def __init__(self, note: Callable[[float], None]) -> None:
        self._note = note

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Return the interceptor of one activity, as temporalio asks for it."""
        return _NoteDelays(next, self._note)


class _NoteDelays(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, note: Callable[[float], None]) -> None:  # noqa: A002
        super().__init__(next)
        self._note = note

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        info = activity.info()
        self._note(max(0.0, _seconds(info.current_attempt_scheduled_time, info.started_time)))
        return await super().execute_activity(input)


def note_sync_delay(seconds: float) -> None:
    """Note in the metrics how long a sync waited."""
    _SYNC_DELAY.observe(seconds)


def _seconds(since: datetime, until: datetime) -> float:
    return (until - since).total_seconds()
