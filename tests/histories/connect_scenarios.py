"""The scenarios of the golden histories of the workflows that a person waits for."""

from __future__ import annotations

from typing import Any

from meetbot.errors import VaultUnavailable
from meetbot.temporal.calendar_messages import ANSWERED, CheckRequest, CheckResult, calendar_check_workflow_id
from meetbot.temporal.connect_messages import (
    ConnectStart,
    ExchangeResult,
    OAuthAppRef,
    ProbeResult,
    connect_workflow_id,
    oauth_app_check_workflow_id,
)
from meetbot.temporal.messages import ActivityName, SyncResult, TaskQueue, WorkflowName
from tests.histories.scenarios import GONE, QUIET, SAID, Scenario, called
from tests.workflows.fake_activities import Answer, Call, Harness


def connects() -> dict[str, Scenario]:
    """A new calendar user, a running one, a consent that came to nothing, and two checks."""
    return {
        "connect_new": Scenario(
            exchanging(VaultUnavailable("vault_unreachable", SAID), ExchangeResult("cu_1")), connect
        ),
        "connect_again": Scenario(exchanging(ExchangeResult("cu_1"), first_sync=QUIET), reconnect),
        "connect_refused": Scenario(exchanging(ExchangeResult()), connect),
        "oauth_app_checked": Scenario(exchanging(ProbeResult("invalid_grant")), check_app),
        "calendar_checked": Scenario(exchanging(CheckResult(ANSWERED, ANSWERED)), check_calendar),
    }


def exchanging(*answers: object, first_sync: SyncResult = GONE) -> Answer:
    left, syncs = list(answers), [first_sync]

    async def answer(call: Call) -> Any:
        if call.name == ActivityName.CALENDAR_SYNC:
            return syncs.pop() if syncs else GONE
        answered = left.pop(0)
        if isinstance(answered, Exception):
            raise answered
        return answered

    return answer


async def connect(harness: Harness) -> None:
    workflow_id = connect_workflow_id(harness.tenant_id, "con_1")
    harness.started.add(workflow_id)
    start = ConnectStart(harness.tenant_id, "con_1", "google", interval_seconds=3600)
    await harness.client.start_workflow(WorkflowName.CONNECT, start, id=workflow_id, task_queue=TaskQueue.CONNECTS)
    await harness.client.get_workflow_handle(workflow_id).result()


async def reconnect(harness: Harness) -> None:
    handle = await harness.connect(interval_seconds=3600)
    await called(harness, ActivityName.CALENDAR_SYNC, 1)
    await connect(harness)
    await handle.result()


async def check_app(harness: Harness) -> None:
    workflow_id = oauth_app_check_workflow_id(harness.tenant_id, "oap_1")
    harness.started.add(workflow_id)
    app = OAuthAppRef(harness.tenant_id, "oap_1")
    await harness.client.start_workflow(
        WorkflowName.OAUTH_APP_CHECK, app, id=workflow_id, task_queue=TaskQueue.CONNECTS
    )
    await harness.client.get_workflow_handle(workflow_id).result()


async def check_calendar(harness: Harness) -> None:
    workflow_id = calendar_check_workflow_id(harness.tenant_id, "cu_1")
    harness.started.add(workflow_id)
    request = CheckRequest(harness.tenant_id, "cu_1")
    await harness.client.start_workflow(
        WorkflowName.CALENDAR_CHECK, request, id=workflow_id, task_queue=TaskQueue.CONNECTS
    )
    await harness.client.get_workflow_handle(workflow_id).result()
