"""The log of answered requests that tenants can read, written in batches.

A request only notes what it was. One thread writes the notes every second, a statement for each tenant. They are kept for
people to look at, so what does not fit or cannot be written is dropped and counted.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from datetime import timedelta

import structlog
from starlette.types import Scope

from api import metrics
from meetbot.clock import utc_now
from meetbot.storage.api_requests import AnsweredRequest, add_requests
from meetbot.storage.database import Database

PERIOD_SECONDS = 1.0
MAX_WAITING = 10_000
MAX_AT_ONCE = 500
"""Requests of one tenant that are kept of each period; one that is turned away all the time fills no table."""

_STOP_SECONDS = 10.0
_log = structlog.get_logger(__name__)


class RequestLog:
    """The requests that wait to be written, and a thread for it. Safe to use from many threads."""

    def __init__(self, database: Database, *, period: float = PERIOD_SECONDS) -> None:
        self._database, self._period = database, period
        self._waiting: list[tuple[str, AnsweredRequest]] = []
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def note(self, tenant_id: str, request: AnsweredRequest) -> None:
        """Have the request written soon. Never blocks on the database."""
        with self._lock:
            if len(self._waiting) >= MAX_WAITING or self._stopped.is_set():
                metrics.UNLOGGED_REQUESTS.inc()
                return
            self._waiting.append((tenant_id, request))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="request-log", daemon=True)
                self._thread.start()

    def flush(self) -> None:
        """Write what waits."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        by_tenant: dict[str, list[AnsweredRequest]] = defaultdict(list)
        for tenant_id, request in waiting:
            by_tenant[tenant_id].append(request)
        for tenant_id, requests in by_tenant.items():
            self._write(tenant_id, requests[:MAX_AT_ONCE])
            metrics.UNLOGGED_REQUESTS.inc(max(0, len(requests) - MAX_AT_ONCE))

    def stop(self) -> None:
        """End the thread, after it has written what still waits."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        while not self._stopped.wait(self._period):
            self.flush()
        self.flush()

    def _write(self, tenant_id: str, requests: list[AnsweredRequest]) -> None:
        try:
            with self._database.transaction(tenant_id) as session:
                add_requests(session, tenant_id, requests)
        except Exception as error:
            # The text of a database's error may quote a row.
            metrics.UNLOGGED_REQUESTS.inc(len(requests))
            _log.warning("request_log.write_failed", code=type(error).__name__, requests=len(requests))


def note_answered(scope: Scope, route: str, status: int, seconds: float) -> None:
    """Have the request written to its application's log, if it was made with a working API key."""
    state = scope["state"]
    log: RequestLog | None = getattr(scope["app"].state, "request_log", None) if "app" in scope else None
    if log is None or "key_id" not in state:
        return
    log.note(
        state["tenant_id"],
        AnsweredRequest(
            at=utc_now() - timedelta(seconds=seconds),
            request_id=state["request_id"],
            key_id=state["key_id"],
            method=scope["method"],
            # The same under both prefixes.
            route=route.removeprefix("/api").removeprefix("/v1"),
            status=status,
            code=state.get("problem_code"),
            milliseconds=round(seconds * 1000),
        ),
    )
