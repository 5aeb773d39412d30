"""The worker process: `python worker.py`.

It runs workflows and activities, each kind on its own task queue, and the loops of `activities.background`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from pydantic import ValidationError
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import (
    CustomSlotSupplier,
    FixedSizeSlotSupplier,
    PollerBehaviorAutoscaling,
    Worker,
    WorkerTuner,
)

from activities.admission import NoteDelays, note_sync_delay
from activities.background.earlier_grants import run_earlier_grants
from activities.background.follower import Follower, waking
from activities.background.housekeeping import run_housekeeping
from activities.background.recovery import run_recovery
from activities.background.relay import run_relay
from activities.background.retention import run_retention
from activities.completing import ActivityCompleter
from activities.interceptors import ErrorCodes, Heartbeats
from activities.wiring import WorkerParts, open_parts
from meetbot.errors import MeetbotError, VaultUnavailable
from meetbot.logs import configure_logs
from meetbot.ops import blocking, ops_app, ops_server
from meetbot.settings import Settings, faults_in, load_settings
from meetbot.storage.database import refuse_unbound_role
from meetbot.storage.roles import Role
from meetbot.temporal.client import connect, ensure_search_attributes
from meetbot.temporal.messages import TaskQueue
from meetbot.vault.rights import ProcessKind, refuse_unsafe_rights
from workflows.bot import BotWorkflow
from workflows.calendar_check import CalendarCheckWorkflow
from workflows.calendar_user import CalendarUserWorkflow
from workflows.connect import ConnectWorkflow, OAuthAppCheckWorkflow
from workflows.erasure import ErasureWorkflow
from workflows.webhook import WebhookWorkflow

_GRACEFUL_SHUTDOWN_TIMEOUT = timedelta(seconds=20)
# Larger than the live loops of one process: a loop that falls out of the cache is replayed at every sync.
_CACHED_CALENDAR_USERS = 5000
# A waiting bot costs little to rebuild, and none of them may push a loop out.
_CACHED_BOTS = 500
_CACHED_WEBHOOKS = 200
_CACHED_ERASURES = 50
_CACHED_CONNECTS = 50
# How long Temporal offers a workflow task to the one worker that has the workflow in its cache, before any worker may take it.
# If that worker died, all of this time is lost, and a bot's re-check has two seconds to spare. Temporal's default is ten.
_STICKY_SCHEDULE_TO_START_TIMEOUT = timedelta(seconds=10)
_BOT_STICKY_SCHEDULE_TO_START_TIMEOUT = timedelta(seconds=2)
# With the default, five at any time, a queue that fills on the hour is emptied slowly.
_POLLERS = PollerBehaviorAutoscaling(minimum=2, maximum=40, initial=5)
_SYNC_THREADS = 24
# Few and slow: each may wait for the provider's call back to us.
_PUSH_THREADS = 8
# A bot that waits for its instant needs none of them: the launcher holds it.
_DISPATCH_THREADS = 40
_DELIVERY_THREADS = 32
_ERASING_THREADS = 4
_CONNECTING_THREADS = 8

_log = structlog.get_logger(__name__)


def main() -> int:
    """Run until a signal ends the process; return its exit code."""
    configure_logs("worker")
    try:
        settings = load_settings()
        parts = open_parts(settings)
        if settings.is_production:
            refuse_unbound_role(parts.database, Role.WORKER)
            parts.vault.require(partial(refuse_unsafe_rights, parts.vault, ProcessKind.WORKER))
            # One that does not answer yet is asked before the first key.
            with contextlib.suppress(VaultUnavailable):
                parts.vault.ensure_safe()
    except ValidationError as error:
        sys.stderr.write(f"the worker cannot start: {faults_in(error)}\n")
        return 2
    except MeetbotError as error:
        sys.stderr.write(f"the worker cannot start: {error} {error.next_step}\n")
        return 2
    try:
        asyncio.run(_run(settings, parts))
    except MeetbotError as error:
        sys.stderr.write(f"the worker cannot run: {error} {error.next_step}\n")
        return 2
    finally:
        parts.close()
    return 0


async def _run(settings: Settings, parts: WorkerParts) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    client = await _connected(settings, stop)
    if client is None:
        return
    checks = {
        "temporal": lambda: client.service_client.check_health(timeout=timedelta(seconds=2)),
        "database": blocking(partial(parts.database.check, bound_by_policies=settings.is_production)),
        "vault": blocking(parts.vault.check),
    }
    interval = timedelta(seconds=settings.slowest_poll_seconds)
    async with contextlib.AsyncExitStack() as stack:
        for worker in build_workers(client, parts, stack):
            await stack.enter_async_context(worker)
        await stack.enter_async_context(ops_server(settings, ops_app(checks)))
        # What was loaded stays: without this, every full collection walks all of it again.
        gc.collect()
        gc.freeze()
        _log.info("worker.ready")
        await asyncio.gather(
            run_relay(parts.database, client, stop),
            run_housekeeping(parts.database, stop),
            run_retention(parts.database, stop),
            run_earlier_grants(parts.database, parts.revoker, stop),
            run_recovery(parts.database, client, stop, interval=interval),
            parts.launcher.run(ActivityCompleter(client), stop),
            parts.admission.run(stop),
            Follower(parts.services, waking(client), parts.launcher.is_crowded).run(stop),
            stop.wait(),
        )
        _log.info("worker.stopping")


async def _connected(settings: Settings, stop: asyncio.Event) -> Client | None:
    """Wait for Temporal, which may start after us. None if `stop` is set meanwhile."""
    while not stop.is_set():
        try:
            client = await connect(settings.temporal_address)
            await ensure_search_attributes(client)
        except (RPCError, RuntimeError, OSError) as error:
            _log.warning("temporal.unreachable", address=settings.temporal_address, code=type(error).__name__)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), timeout=2)
        else:
            return client
    return None


def build_workers(
    client: Client, parts: WorkerParts, stack: contextlib.ExitStack | contextlib.AsyncExitStack
) -> list[Worker]:
    """Return all workers of this process, those of activities first.

    So no activity is missing when a workflow asks for it.
    """
    return [*_activity_workers(client, parts, stack), *_workflow_workers(client)]


def _activity_workers(
    client: Client, parts: WorkerParts, stack: contextlib.ExitStack | contextlib.AsyncExitStack
) -> list[Worker]:
    def worker(
        queue: TaskQueue,
        activities: Sequence[Callable[..., Any]],
        threads: int,
        *,
        note_delay: Callable[[float], None] | None = None,
        slots: CustomSlotSupplier | None = None,
    ) -> Worker:
        return Worker(
            client,
            task_queue=queue,
            activities=activities,
            activity_executor=stack.enter_context(ThreadPoolExecutor(threads, thread_name_prefix=queue)),
            tuner=_tuner(slots or FixedSizeSlotSupplier(threads)),
            activity_task_poller_behavior=_POLLERS,
            graceful_shutdown_timeout=_GRACEFUL_SHUTDOWN_TIMEOUT,
            interceptors=[*([NoteDelays(note_delay)] if note_delay else []), ErrorCodes(), Heartbeats()],
        )

    of_bots: list[Callable[..., Any]] = [
        parts.bots.reconcile,
        parts.launcher.dispatch,
        parts.recall.recall,
        parts.bots.follow,
    ]
    syncs: list[Callable[..., Any]] = [parts.sync.sync, parts.watch.watch]
    return [
        worker(TaskQueue.SYNC, syncs, _SYNC_THREADS, note_delay=note_sync_delay, slots=parts.admission),
        worker(TaskQueue.PUSH, [parts.push.ensure], _PUSH_THREADS),
        worker(TaskQueue.DISPATCH, of_bots, _DISPATCH_THREADS, note_delay=parts.delay.note),
        worker(TaskQueue.DELIVERY, [parts.webhooks.deliver], _DELIVERY_THREADS),
        worker(TaskQueue.ERASING, parts.erasing.all(), _ERASING_THREADS),
        worker(TaskQueue.CONNECTING, [*parts.connecting.all(), parts.checking.check], _CONNECTING_THREADS),
    ]


def _tuner(activity_slots: FixedSizeSlotSupplier | CustomSlotSupplier) -> WorkerTuner:
    unused = FixedSizeSlotSupplier(1)
    return WorkerTuner.create_composite(
        workflow_supplier=unused,
        activity_supplier=activity_slots,
        local_activity_supplier=unused,
        nexus_supplier=unused,
    )


def _workflow_workers(client: Client) -> list[Worker]:
    def worker(queue: TaskQueue, workflow: type | tuple[type, ...], cached: int, sticky_timeout: timedelta) -> Worker:
        return Worker(
            client,
            task_queue=queue,
            workflows=list(workflow) if isinstance(workflow, tuple) else [workflow],
            max_cached_workflows=cached,
            workflow_task_poller_behavior=_POLLERS,
            sticky_queue_schedule_to_start_timeout=sticky_timeout,
            graceful_shutdown_timeout=_GRACEFUL_SHUTDOWN_TIMEOUT,
            disable_eager_activity_execution=True,
        )

    usual = _STICKY_SCHEDULE_TO_START_TIMEOUT
    return [
        worker(TaskQueue.CALENDAR_USERS, CalendarUserWorkflow, _CACHED_CALENDAR_USERS, usual),
        worker(TaskQueue.BOTS, BotWorkflow, _CACHED_BOTS, _BOT_STICKY_SCHEDULE_TO_START_TIMEOUT),
        worker(TaskQueue.WEBHOOKS, WebhookWorkflow, _CACHED_WEBHOOKS, usual),
        worker(TaskQueue.ERASURES, ErasureWorkflow, _CACHED_ERASURES, usual),
        worker(
            TaskQueue.CONNECTS, (ConnectWorkflow, OAuthAppCheckWorkflow, CalendarCheckWorkflow), _CACHED_CONNECTS, usual
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
