"""Poll a calendar until there is something to tell its workflow.

A poll that finds nothing new fails, and is retried at the next slot: that adds no event to the workflow's history and wakes no
workflow. Every such failure says when the next attempt is due, so that the retry policy's own intervals are only for a worker
that died. Where polls are slower than a revocation is to be noticed, attempts in between only prove the grant.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NoReturn

from cachetools import LRUCache
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.interceptors import application_error
from meetbot.domain.grant_checks import NOTICED_WITHIN, next_look
from meetbot.temporal.calendar_messages import UNCHANGED, WatchRequest
from meetbot.temporal.messages import (
    ActivityName,
    SyncRequest,
    SyncResult,
)

# Then it returns although nothing has changed: what the workflow shows is renewed, once a day at five minutes.
_ATTEMPTS = 288
_LEAST_WAIT = timedelta(seconds=1)
_FIRST_RETRY = timedelta(seconds=2)
# A sync that failed is tried so often before its next slot.
_RETRIES = 3
_REMEMBERED = 50_000

Sync = Callable[[SyncRequest], SyncResult]
NeedsPoll = Callable[[WatchRequest, datetime | None], bool]


class WatchActivity:
    """The activity that waits for a calendar to change.

    ``sync`` syncs once, blocking. ``needs_poll`` proves the grant and tells whether to sync as well; it is asked only where
    polls are slow, and told since when a poll is wanted, if somebody asked for one.
    """

    def __init__(
        self, sync: Sync, clock: Callable[[], datetime], needs_poll: NeedsPoll = lambda _request, _wanted_at: True
    ) -> None:
        self._sync, self._clock, self._needs_poll = sync, clock, needs_poll
        self._failures: LRUCache[tuple[str, str], int] = LRUCache(_REMEMBERED)
        self._lock = threading.Lock()

    @activity.defn(name=ActivityName.CALENDAR_WATCH, no_thread_cancel_exception=True)
    def watch(self, request: WatchRequest) -> SyncResult:
        """Sync once; fail until the next slot if there is nothing to tell."""
        attempt = activity.info().attempt
        if attempt == 1 and not request.at_once:
            self._wait("not polled yet", request)
        if attempt > 1 and _interval(request) > NOTICED_WITHIN and not self._needs_poll(request, _wanted_at(request)):
            self._wait(f"grant checked at {self._clock():%Y-%m-%d %H:%M:%S} UTC", request)
        try:
            result = self._sync(SyncRequest(request.tenant_id, request.calendar_user_id, request.plan_digest))
        except Exception as error:
            self._fail(error, request)
        self._count_failure(request, failed=False)
        if not _is_news(result, request) and attempt < _ATTEMPTS:
            self._wait(f"nothing new at {self._clock():%Y-%m-%d %H:%M:%S} UTC", request)
        return result

    def _wait(self, said: str, request: WatchRequest) -> NoReturn:
        slot = self._next_look(request)
        raise ApplicationError(
            f"{said}, next {_look_of(request)} at {slot:%H:%M:%S} UTC",
            type=UNCHANGED,
            next_retry_delay=max(slot - self._clock(), _LEAST_WAIT),
            category=ApplicationErrorCategory.BENIGN,
        )

    def _fail(self, error: Exception, request: WatchRequest) -> NoReturn:
        """Fail with the error's code, until it asks to be tried again or until the next slot."""
        failure = application_error(error)
        failures = self._count_failure(request, failed=True)
        until_slot = max(self._next_look(request) - self._clock(), _LEAST_WAIT)
        soon = failure.next_retry_delay or _FIRST_RETRY * 2 ** (failures - 1)
        raise ApplicationError(
            failure.message,
            type=failure.type,
            next_retry_delay=min(soon, until_slot) if failures <= _RETRIES else until_slot,
        ) from None

    def _next_look(self, request: WatchRequest) -> datetime:
        return next_look(self._clock(), request.calendar_user_id, _interval(request))

    def _count_failure(self, request: WatchRequest, *, failed: bool) -> int:
        key = (request.tenant_id, request.calendar_user_id)
        with self._lock:
            failures = self._failures.get(key, 0) + 1 if failed else 0
            if failures:
                self._failures[key] = failures
            else:
                self._failures.pop(key, None)
        return failures


def _interval(request: WatchRequest) -> timedelta:
    return timedelta(seconds=request.wait_seconds or request.interval_seconds)


def _wanted_at(request: WatchRequest) -> datetime | None:
    """Return since when a poll is wanted at once.

    One that failed is not put off until the next slot.
    """
    return activity.info().scheduled_time if request.at_once else None


def _look_of(request: WatchRequest) -> str:
    return "poll" if _interval(request) <= NOTICED_WITHIN else "look"


def _is_news(result: SyncResult, request: WatchRequest) -> bool:
    """Return whether the workflow has something to do or to show."""
    known = (request.plan_digest, request.state, request.wait_seconds)
    found = (result.plan_digest, result.state, result.wait_seconds)
    return result.plan is not None or bool(result.to_sync) or result.push_due or found != known
