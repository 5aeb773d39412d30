"""Record the golden histories that every later release must be able to replay.

It takes about 80 seconds, on a real server.

    python -m tests.histories.record

Run it when a workflow's commands changed on purpose, together with what keeps the recorded ones replaying: see
``tests/workflows/test_fingerprint.py``. Name the scenarios to record only some of them.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Worker

from activities.interceptors import ErrorCodes
from meetbot.dev.environment import free_port
from meetbot.dev.process import stop
from meetbot.dev.temporal import TemporalPorts, make_temporal_ready, start_temporal
from meetbot.temporal.calendar_messages import CheckRequest, CheckResult
from meetbot.temporal.client import plugin
from meetbot.temporal.connect_messages import (
    ExchangeRef,
    ExchangeResult,
    OAuthAppRef,
    ProbeResult,
)
from meetbot.temporal.messages import (
    ActivityName,
    DeliveryAttempt,
    DeliveryResult,
    ErasureRef,
    TaskQueue,
    WithdrawnBots,
    WithdrawRequest,
)
from tests.histories.connect_scenarios import connects
from tests.histories.scenarios import Scenario, bots, calendars, erasures, webhooks
from tests.workflows.fake_activities import Call, running_workers
from workflows.calendar_check import CalendarCheckWorkflow
from workflows.connect import ConnectWorkflow, OAuthAppCheckWorkflow
from workflows.erasure import ErasureWorkflow
from workflows.webhook import WebhookWorkflow

FOLDER = Path(__file__).parent

_LONGEST_SECONDS = 180.0


async def record(client: Client, scenarios: dict[str, Scenario]) -> None:
    """Record all scenarios at once.

    Each has a tenant of its own, by which its activities are told apart.
    """
    tenants = {f"tnt_{name}": scenario for name, scenario in scenarios.items()}

    async def answer(call: Call) -> Any:
        return await tenants[call.request.tenant_id].answer(call)

    @activity.defn(name=ActivityName.WEBHOOK_DELIVER)
    async def deliver(attempt: DeliveryAttempt) -> DeliveryResult:
        result: DeliveryResult = await answer(
            Call(ActivityName.WEBHOOK_DELIVER, activity.info().current_attempt_scheduled_time, attempt)
        )
        return result

    async def answered(
        name: ActivityName, request: ErasureRef | WithdrawRequest | ExchangeRef | OAuthAppRef | CheckRequest
    ) -> Any:
        return await answer(Call(name, activity.info().current_attempt_scheduled_time, request))

    @activity.defn(name=ActivityName.ERASURE_WITHDRAW)
    async def withdraw(request: WithdrawRequest) -> WithdrawnBots:
        withdrawn: WithdrawnBots = await answered(ActivityName.ERASURE_WITHDRAW, request)
        return withdrawn

    @activity.defn(name=ActivityName.ERASURE_STOP_PUSH)
    async def stop_push(ref: ErasureRef) -> None:
        await answered(ActivityName.ERASURE_STOP_PUSH, ref)

    @activity.defn(name=ActivityName.ERASURE_REVOKE)
    async def revoke(ref: ErasureRef) -> None:
        await answered(ActivityName.ERASURE_REVOKE, ref)

    @activity.defn(name=ActivityName.ERASURE_DELETE)
    async def delete(ref: ErasureRef) -> None:
        await answered(ActivityName.ERASURE_DELETE, ref)

    @activity.defn(name=ActivityName.ERASURE_FINISH)
    async def finish(ref: ErasureRef) -> None:
        await answered(ActivityName.ERASURE_FINISH, ref)

    erasing: list[Callable[..., Any]] = [withdraw, stop_push, revoke, delete, finish]
    async with (
        running_workers(client, answer, tenant_ids=list(tenants)) as harness,
        Worker(client, task_queue=TaskQueue.ERASURES, workflows=[ErasureWorkflow]),
        Worker(client, task_queue=TaskQueue.ERASING, activities=erasing, interceptors=[ErrorCodes()]),
        Worker(
            client,
            task_queue=TaskQueue.CONNECTS,
            workflows=[ConnectWorkflow, OAuthAppCheckWorkflow, CalendarCheckWorkflow],
        ),
        Worker(
            client,
            task_queue=TaskQueue.CONNECTING,
            activities=connecting_answers(answered),
            interceptors=[ErrorCodes()],
        ),
        Worker(client, task_queue=TaskQueue.WEBHOOKS, workflows=[WebhookWorkflow]),
        Worker(client, task_queue=TaskQueue.DELIVERY, activities=[deliver], interceptors=[ErrorCodes()]),
    ):
        harnesses = {name: replace(harness, tenant_id=f"tnt_{name}", started=set()) for name in scenarios}
        async with asyncio.timeout(_LONGEST_SECONDS):
            await asyncio.gather(*(scenarios[name].run(harnesses[name]) for name in scenarios))
        for name, harness in harnesses.items():
            await save(client, name, sorted(harness.started))


def connecting_answers(answered: Callable[..., Awaitable[Any]]) -> list[Callable[..., Any]]:
    """The activities of the workflows that a person waits for."""

    @activity.defn(name=ActivityName.CONNECT_EXCHANGE)
    async def exchange(ref: ExchangeRef) -> ExchangeResult:
        exchanged: ExchangeResult = await answered(ActivityName.CONNECT_EXCHANGE, ref)
        return exchanged

    @activity.defn(name=ActivityName.OAUTH_APP_PROBE)
    async def probe(ref: OAuthAppRef) -> ProbeResult:
        probed: ProbeResult = await answered(ActivityName.OAUTH_APP_PROBE, ref)
        return probed

    @activity.defn(name=ActivityName.CALENDAR_CHECK)
    async def check(request: CheckRequest) -> CheckResult:
        checked: CheckResult = await answered(ActivityName.CALENDAR_CHECK, request)
        return checked

    return [exchange, probe, check]


async def save(client: Client, name: str, workflow_ids: list[str]) -> None:
    """Every run of every workflow of the scenario, in one file each."""
    for old in FOLDER.glob(f"{name}.*.json"):
        old.unlink()
    for workflow_id in workflow_ids:
        for run, history in enumerate(await runs_of(client, workflow_id), start=1):
            path = FOLDER / f"{name}.{workflow_id.rpartition('/')[2]}.{run}.json"
            document = {"workflow_id": workflow_id, "history": without_traces(json.loads(history.to_json()))}
            path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
            print(path.name, len(history.events), "events")


def without_traces(node: Any) -> Any:
    """Replay needs no stack traces, and the recording machine's paths are nobody's concern."""
    if isinstance(node, dict):
        return {key: without_traces(child) for key, child in node.items() if key != "stackTrace"}
    return [without_traces(child) for child in node] if isinstance(node, list) else node


async def runs_of(client: Client, workflow_id: str) -> list[WorkflowHistory]:
    """The histories of all runs, first run first."""
    runs = [await client.get_workflow_handle(workflow_id).fetch_history()]
    while earlier := runs[0].events[0].workflow_execution_started_event_attributes.continued_execution_run_id:
        runs.insert(0, await client.get_workflow_handle(workflow_id, run_id=earlier).fetch_history())
    return runs


async def main(names: list[str]) -> None:
    scenarios = bots() | calendars() | webhooks() | erasures() | connects()
    with tempfile.TemporaryDirectory() as logs:
        ports = TemporalPorts(grpc=free_port(), http=free_port(), metrics=free_port())
        server = start_temporal(None, logs=Path(logs), ports=ports)
        try:
            await asyncio.to_thread(make_temporal_ready, server)
            client = await Client.connect(server.address, plugins=[plugin()], identity="recorder")
            await record(client, {name: scenarios[name] for name in names or scenarios})
        finally:
            stop(server.child)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
