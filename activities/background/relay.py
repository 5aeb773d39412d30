"""From the outbox to Temporal: each waiting delivery gets one workflow.

A replay puts the delivery back into the outbox, and it gets one more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import timedelta

import structlog
from temporalio.client import Client
from temporalio.common import (
    Priority,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from meetbot.clock import utc_now
from meetbot.storage.database import Database
from meetbot.storage.webhook_deliveries import WaitingDelivery, lock_waiting, mark_relayed
from meetbot.temporal.messages import TaskQueue, WebhookStart, WorkflowName, webhook_workflow_id
from meetbot.temporal.search_attributes import TENANT_ID

_BATCH = 200
_STARTED_TOGETHER = 32
_RPC_TIMEOUT = timedelta(seconds=5)
# Shorter than the database allows a transaction to be idle.
_BATCH_SECONDS = 25
_POLL_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0
_MOST_DOUBLINGS = 5
_PRIORITY = 3

_log = structlog.get_logger(__name__)

Fault = RPCError | TimeoutError | None


async def run_relay(database: Database, client: Client, stop: asyncio.Event) -> None:
    """Relay until `stop` is set, then leave after the batch in hand.

    Any number of processes may do so.
    """
    failures = 0
    while not stop.is_set():
        try:
            relayed = await relay_once(database, client)
        except Exception as error:
            # Whatever it is, the outbox waits and the next round tries again; the text may quote a row.
            failures += 1
            _log.error("relay.failed", code=type(error).__name__, failures=failures)
            pause = min(_POLL_SECONDS * 2 ** min(failures, _MOST_DOUBLINGS), _LONGEST_PAUSE_SECONDS)
        else:
            failures = 0
            pause = 0.0 if relayed == _BATCH else _POLL_SECONDS
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), timeout=pause)


async def relay_once(database: Database, client: Client) -> int:
    """Start the workflows of one batch; return how many deliveries have been relayed.

    Starting is idempotent by the workflow's id, so a crash between the start and the commit does no harm. Raises Temporal's
    ``RPCError`` or ``TimeoutError`` if some could not be started, after the others have been marked.
    """
    loop = asyncio.get_running_loop()

    def start_from_thread(batch: list[WaitingDelivery]) -> list[Fault]:
        return asyncio.run_coroutine_threadsafe(_start_all(client, batch), loop).result()

    return await asyncio.to_thread(_relay_batch, database, start_from_thread)


def _relay_batch(database: Database, start: Callable[[list[WaitingDelivery]], list[Fault]]) -> int:
    with database.relay() as session:
        batch = lock_waiting(session, _BATCH)
        if not batch:
            return 0
        faults = start(batch)
        started = [delivery for delivery, fault in zip(batch, faults, strict=True) if fault is None]
        mark_relayed(session, started, utc_now())
    for fault in faults:
        if fault is not None:
            raise fault
    return len(started)


async def _start_all(client: Client, batch: list[WaitingDelivery]) -> list[Fault]:
    """What kept each of them from starting, in the order of the batch.

    Where time runs out, the rest waits its turn.
    """
    gate = asyncio.Semaphore(_STARTED_TOGETHER)
    ends_at = asyncio.get_running_loop().time() + _BATCH_SECONDS

    async def start(delivery: WaitingDelivery) -> Fault:
        try:
            async with asyncio.timeout_at(ends_at), gate:
                await _start(client, delivery)
        except (RPCError, TimeoutError) as error:
            return error
        return None

    return list(await asyncio.gather(*(start(delivery) for delivery in batch)))


async def _start(client: Client, delivery: WaitingDelivery) -> None:
    with contextlib.suppress(WorkflowAlreadyStartedError):
        await client.start_workflow(
            WorkflowName.WEBHOOK,
            WebhookStart(delivery.tenant_id, delivery.id, delivery.replays),
            id=webhook_workflow_id(delivery.tenant_id, delivery.id, delivery.replays),
            task_queue=TaskQueue.WEBHOOKS,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            search_attributes=TypedSearchAttributes([SearchAttributePair(TENANT_ID, delivery.tenant_id)]),
            priority=Priority(priority_key=_PRIORITY, fairness_key=delivery.tenant_id),
            static_summary=delivery.event_type,
            rpc_timeout=_RPC_TIMEOUT,
        )
