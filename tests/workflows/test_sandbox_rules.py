"""Our plugin keeps heavy modules out of workflows.

A worker that would load one per run does not even start.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from meetbot.temporal.messages import TaskQueue
from tests.workflows.fake_activities import TEST_SERVER, start_time_skipping
from tests.workflows.unintended_import import UnintendedImportWorkflow
from workflows.bot import BotWorkflow
from workflows.calendar_user import CalendarUserWorkflow
from workflows.connect import ConnectWorkflow
from workflows.erasure import ErasureWorkflow
from workflows.webhook import WebhookWorkflow


async def started(environment: WorkflowEnvironment, workflow: type, **options: Any) -> bool:
    """As the worker process starts one: the sandbox comes from the client's plugin."""
    async with Worker(environment.client, task_queue=TaskQueue.BOTS, workflows=[workflow], **options):
        return True


@pytest.mark.parametrize(
    "workflow", [BotWorkflow, CalendarUserWorkflow, ConnectWorkflow, ErasureWorkflow, WebhookWorkflow]
)
def test_our_own_workflows_import_only_what_is_passed_through(runner: asyncio.Runner, workflow: type) -> None:
    async def scenario() -> bool:
        async with await start_time_skipping() as environment:
            return await started(environment, workflow)

    assert runner.run(scenario())


def test_a_workflow_that_imports_something_else_is_refused_by_name(runner: asyncio.Runner) -> None:
    async def scenario() -> bool:
        async with await start_time_skipping() as environment:
            return await started(environment, UnintendedImportWorkflow)

    with pytest.raises(RuntimeError, match="UnintendedImportWorkflow") as refusal:
        runner.run(scenario())
    assert "idna" in str(refusal.value.__cause__)


def test_it_is_our_plugin_that_refuses(runner: asyncio.Runner) -> None:
    """Temporal's own sandbox would take the module, and load it anew for every workflow."""

    async def scenario() -> bool:
        async with await WorkflowEnvironment.start_time_skipping(
            test_server_existing_path=str(TEST_SERVER)
        ) as environment:
            return await started(environment, UnintendedImportWorkflow)

    assert runner.run(scenario())
