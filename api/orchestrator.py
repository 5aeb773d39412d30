"""Starting and signalling workflows from request threads.

Nothing is lost if Temporal does not answer: what a request wants stands in the database, and workflows look there. So every
method returns whether it got through, and none raises.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, Protocol, TypeVar

import structlog
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from meetbot.storage.calendar_users import CalendarUserRef, page_of_refs
from meetbot.storage.database import Database
from meetbot.temporal.calendar_messages import CheckRequest, CheckResult
from meetbot.temporal.client import connect
from meetbot.temporal.connect_messages import (
    ProbeResult,
)
from meetbot.temporal.messages import (
    BotSignal,
    CalendarUserSignal,
    bot_workflow_id,
)
from meetbot.temporal.start import (
    start_calendar_check,
    start_calendar_user,
    start_connect,
    start_erasure,
    start_oauth_app_check,
)

_CALL_SECONDS = 5.0
_FIRST_RETRY_SECONDS = 0.5
_LONGEST_RETRY_SECONDS = 15.0
_SIGNALS_AT_ONCE = 16
_PAGE = 100
_MAX_PAGES = 10
# A person waits for the page. So many requests may, and no more, or those that need nobody would wait behind them.
_WAITING_SECONDS = 15.0
_WAITING_AT_ONCE = 8
_CHECK_START_SECONDS = 2.5
_CHECK_WAIT_SECONDS = 4.5
_log = structlog.get_logger(__name__)
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Ended(Generic[Result]):
    """A workflow that ended well."""

    result: Result


@dataclass(frozen=True, slots=True)
class CheckAnswer:
    """What came of asking the worker. ``result`` is None if it has not answered in time."""

    is_reached: bool
    result: CheckResult | None = None


class Orchestrator(Protocol):
    """What the HTTP front asks of Temporal. Every method returns whether Temporal was reached."""

    def start_calendar_user(self, user: CalendarUserRef) -> bool:
        """Start the workflow of a calendar user; one that runs stays as it is."""
        ...

    def signal_calendar_user(self, user: CalendarUserRef, signal: CalendarUserSignal) -> bool:
        """Signal the workflow of a calendar user, started if it does not run."""
        ...

    def signal_calendar_users(self, users: Iterable[CalendarUserRef], signal: CalendarUserSignal) -> bool:
        """Signal the workflows of several calendar users, within the time of one call."""
        ...

    def start_erasure(self, tenant_id: str, erasure_id: str, calendar_user_id: str) -> bool:
        """Start the workflow of an erasure; one that runs stays as it is."""
        ...

    def exchange_code(self, tenant_id: str, exchange_id: str, provider: str) -> bool:
        """Have the worker exchange a consent's code; return whether that ended within some seconds."""
        ...

    def probe_oauth_app(self, tenant_id: str, app_id: str) -> str | None:
        """Return with which code the provider refused a code that cannot be good.

        None if nobody answered in time.
        """
        ...

    def check_calendar_user(self, request: CheckRequest) -> CheckAnswer:
        """Have the worker ask provider and backend; wait for some seconds."""
        ...

    def cancel_bot(self, tenant_id: str, meeting_key: str) -> bool:
        """Tell the workflow of a meeting's bot to end it."""
        ...

    def backend_reported(self, tenant_id: str, meeting_key: str) -> bool:
        """Tell the workflow of a meeting's bot that a report of the backend was stored."""
        ...

    def check(self) -> bool:
        """Return whether Temporal answers."""
        ...


def signal_rules_changed(orchestrator: Orchestrator, database: Database, tenant_id: str) -> None:
    """Tell the workflows of a tenant's calendar users to decide again.

    At most a thousand workflows are told. All others decide again at their next sync; so do all of them if Temporal does not
    answer.
    """
    after_id = ""
    for _ in range(_MAX_PAGES):
        with database.transaction(tenant_id) as session:
            page = page_of_refs(session, tenant_id, after_id=after_id, limit=_PAGE)
        if not page or not orchestrator.signal_calendar_users(page, CalendarUserSignal.RULES_CHANGED):
            return
        after_id = page[-1].id


class TemporalOrchestrator:
    """The orchestrator of production: it hands calls to the event loop of the Temporal client.

    Its methods block, so never call them on that loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, sync_interval_seconds: int) -> None:
        self._loop = loop
        self._sync_interval = timedelta(seconds=sync_interval_seconds)
        self._client: Client | None = None
        self._places = threading.BoundedSemaphore(_WAITING_AT_ONCE)

    async def keep_connecting(self, address: str | None) -> None:
        """Try until connected. The API answers reads meanwhile.

        Once connected, the client reconnects by itself.
        """
        pause = _FIRST_RETRY_SECONDS
        while self._client is None:
            try:
                self._client = await connect(address)
            except (RPCError, RuntimeError, OSError) as error:
                _log.warning("temporal.unreachable", code=type(error).__name__, retry_seconds=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_RETRY_SECONDS)
        _log.info("temporal.connected")

    def start_calendar_user(self, user: CalendarUserRef) -> bool:
        """Start the workflow of a calendar user; one that runs stays as it is."""
        return self._run("start_calendar_user", lambda client: self._start(client, user, None))

    def signal_calendar_user(self, user: CalendarUserRef, signal: CalendarUserSignal) -> bool:
        """Signal the workflow of a calendar user, started if it does not run."""
        return self._run(f"signal_{signal}", lambda client: self._start(client, user, signal))

    def signal_calendar_users(self, users: Iterable[CalendarUserRef], signal: CalendarUserSignal) -> bool:
        """Signal the workflows of several calendar users, within the time of one call."""
        wanted = list(users)
        return self._run(f"signal_{signal}", lambda client: self._start_all(client, wanted, signal))

    def start_erasure(self, tenant_id: str, erasure_id: str, calendar_user_id: str) -> bool:
        """Start the workflow of an erasure; one that runs stays as it is.

        A start that is lost is made up for later.
        """
        return self._run("start_erasure", lambda client: start_erasure(client, tenant_id, erasure_id, calendar_user_id))

    def exchange_code(self, tenant_id: str, exchange_id: str, provider: str) -> bool:
        """Have the worker exchange a consent's code; return whether that ended within 15 seconds.

        It goes on if it did not. A request that finds too many others waiting does not wait.
        """

        async def start(client: Client) -> WorkflowHandle[object, None]:
            return await start_connect(client, tenant_id, exchange_id, provider, interval=self._sync_interval)

        return self._ended("exchange_code", start) is not None

    def probe_oauth_app(self, tenant_id: str, app_id: str) -> str | None:
        """Return with which code the provider refused a code that cannot be good.

        None if nobody answered within 15 seconds.
        """

        async def start(client: Client) -> WorkflowHandle[object, ProbeResult]:
            return await start_oauth_app_check(client, tenant_id, app_id)

        ended = self._ended("probe_oauth_app", start)
        return ended.result.code if ended is not None else None

    def check_calendar_user(self, request: CheckRequest) -> CheckAnswer:
        """Have the worker ask provider and backend; wait for less than ten seconds in all.

        A request that finds too many others waiting does not wait.
        """
        handles: list[WorkflowHandle[object, CheckResult]] = []

        async def started(client: Client) -> None:
            seconds = timedelta(seconds=_CHECK_START_SECONDS)
            handles.append(await start_calendar_check(client, request, rpc_timeout=seconds))

        if not self._run("check_calendar_user", started):
            return CheckAnswer(is_reached=False)
        ended = self._result_of("check_calendar_user", handles[0], seconds=_CHECK_WAIT_SECONDS)
        return CheckAnswer(is_reached=True, result=ended.result if ended is not None else None)

    def cancel_bot(self, tenant_id: str, meeting_key: str) -> bool:
        """Tell the workflow of a meeting's bot to end it."""
        return self._run("cancel_bot", lambda client: _signal_bot(client, tenant_id, meeting_key, BotSignal.CANCEL))

    def backend_reported(self, tenant_id: str, meeting_key: str) -> bool:
        """Tell the workflow of a meeting's bot that a report of the backend was stored."""
        return self._run(
            "backend_reported", lambda client: _signal_bot(client, tenant_id, meeting_key, BotSignal.BACKEND_REPORTED)
        )

    def check(self) -> bool:
        """Return whether Temporal answers."""
        return self._run("check", _check_health)

    async def _start(self, client: Client, user: CalendarUserRef, signal: CalendarUserSignal | None) -> None:
        """Start the workflow, or signal the one that runs.

        A start that was lost earlier is made up for here.
        """
        await start_calendar_user(
            client, user.tenant_id, user.id, user.provider, interval=self._sync_interval, signal=signal
        )

    async def _start_all(self, client: Client, users: list[CalendarUserRef], signal: CalendarUserSignal) -> None:
        for first in range(0, len(users), _SIGNALS_AT_ONCE):
            page = users[first : first + _SIGNALS_AT_ONCE]
            await asyncio.gather(*(self._start(client, user, signal) for user in page))

    def _ended(
        self, what: str, start: Callable[[Client], Awaitable[WorkflowHandle[object, Result]]]
    ) -> _Ended[Result] | None:
        """Start a workflow and wait for its end. None if it does not end in time, or fails."""
        handles: list[WorkflowHandle[object, Result]] = []

        async def started(client: Client) -> None:
            handles.append(await start(client))

        if not self._run(what, started):
            return None
        return self._result_of(what, handles[0], seconds=_WAITING_SECONDS)

    def _result_of(self, what: str, handle: WorkflowHandle[object, Result], *, seconds: float) -> _Ended[Result] | None:
        """Wait for the end of a workflow, if not too many others are waited for."""
        if not self._places.acquire(blocking=False):
            return None
        results: list[Result] = []

        async def ended() -> None:
            results.append(await handle.result())

        try:
            return _Ended(results[0]) if self._wait(what, ended(), seconds=seconds) else None
        finally:
            self._places.release()

    def _run(self, what: str, call: Any) -> bool:
        client = self._client
        if client is None:
            _log.warning("temporal.call_failed", call=what, code="not_connected")
            return False
        return self._wait(what, call(client))

    def _wait(self, what: str, work: Coroutine[Any, Any, None], *, seconds: float = _CALL_SECONDS) -> bool:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            future.result(timeout=seconds)
        except (RPCError, TimeoutError, WorkflowFailureError) as error:
            future.cancel()
            _log.warning("temporal.call_failed", call=what, code=_name_of(error))
            return False
        return True


async def _signal_bot(client: Client, tenant_id: str, meeting_key: str, signal: BotSignal) -> None:
    """A bot's workflow that has closed needs no signal: what it would read is in the database."""
    handle = client.get_workflow_handle(bot_workflow_id(tenant_id, meeting_key))
    try:
        await handle.signal(signal, rpc_timeout=timedelta(seconds=_CALL_SECONDS))
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise


async def _check_health(client: Client) -> None:
    await client.service_client.check_health(timeout=timedelta(seconds=2))


def _name_of(error: Exception) -> str:
    return error.status.name if isinstance(error, RPCError) else type(error).__name__
