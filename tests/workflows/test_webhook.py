"""The delivery workflow on a server that skips time: no attempt is real, every wait is."""

from __future__ import annotations

import asyncio
import itertools
import sysconfig
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from temporalio import activity
from temporalio.client import Client, WorkflowHistory
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, Worker

from activities.interceptors import ErrorCodes
from activities.webhooks import WebhookActivities
from meetbot.errors import VaultUnavailable
from meetbot.temporal.client import plugin
from meetbot.temporal.messages import (
    ActivityName,
    DeliveryAttempt,
    DeliveryResult,
    DeliveryVerdict,
    TaskQueue,
    WebhookStart,
    WorkflowName,
)
from workflows.webhook import WebhookWorkflow

TEST_SERVER = Path(sysconfig.get_path("scripts")) / "temporal-test-server"
PUBLISHED = (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)

RETRY = DeliveryResult(DeliveryVerdict.RETRY, 500)
DELIVERED = DeliveryResult(DeliveryVerdict.DELIVERED, 200)
STOP = DeliveryResult(DeliveryVerdict.STOP, 410)


@dataclass(slots=True)
class ScriptedAttempts:
    """Each attempt's result, or how it breaks; ``made`` keeps when which attempt came."""

    client: Client
    script: list[DeliveryResult | Exception]
    made: list[tuple[datetime, DeliveryAttempt]] = field(default_factory=list)

    @activity.defn(name=ActivityName.WEBHOOK_DELIVER)
    async def deliver(self, request: DeliveryAttempt) -> DeliveryResult:
        self.made.append((activity.info().current_attempt_scheduled_time, request))
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    @property
    def numbers(self) -> list[int]:
        return [request.attempt for _, request in self.made]

    @property
    def gaps(self) -> list[float]:
        instants = [instant for instant, _ in self.made]
        return [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(instants)]


@dataclass(frozen=True, slots=True)
class Run:
    verdict: DeliveryVerdict
    attempts: ScriptedAttempts
    history: WorkflowHistory


@asynccontextmanager
async def delivering(script: Sequence[DeliveryResult | Exception]) -> AsyncIterator[tuple[Client, ScriptedAttempts]]:
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(TEST_SERVER), plugins=[plugin()]
    ) as environment:
        attempts = ScriptedAttempts(environment.client, list(script))
        async with (
            Worker(environment.client, task_queue=TaskQueue.WEBHOOKS, workflows=[WebhookWorkflow]),
            Worker(
                environment.client,
                task_queue=TaskQueue.DELIVERY,
                activities=[attempts.deliver],
                interceptors=[ErrorCodes()],
            ),
        ):
            yield environment.client, attempts


async def run_through(script: Sequence[DeliveryResult | Exception]) -> Run:
    async with delivering(script) as (client, attempts):
        handle = await client.start_workflow(
            WorkflowName.WEBHOOK,
            WebhookStart("tnt_1", "dlv_1"),
            id=f"webhook/{uuid.uuid4()}",
            task_queue=TaskQueue.WEBHOOKS,
            result_type=DeliveryVerdict,
        )
        verdict = await asyncio.wait_for(handle.result(), timeout=60)
        return Run(verdict, attempts, await handle.fetch_history())


def deliver(*script: DeliveryResult | Exception) -> Run:
    return asyncio.run(run_through(script))


def test_a_message_that_is_taken_is_sent_once() -> None:
    run = deliver(DELIVERED)

    assert run.verdict is DeliveryVerdict.DELIVERED
    assert [request for _, request in run.attempts.made] == [DeliveryAttempt("tnt_1", "dlv_1", 1, last=False)]


def test_an_endpoint_that_never_takes_it_is_tried_on_the_published_schedule() -> None:
    run = deliver(*[RETRY] * 9, STOP)

    assert run.attempts.numbers == list(range(1, 11))
    assert [request.last for _, request in run.attempts.made] == [False] * 9 + [True]
    for gap, published in zip(run.attempts.gaps, PUBLISHED[1:], strict=True):
        assert published <= gap <= published * 1.1 + 1


def test_the_schedule_is_the_published_one() -> None:
    assert WebhookStart("tnt_1", "dlv_1").schedule_seconds == PUBLISHED


def test_it_ends_as_soon_as_the_endpoint_is_to_be_left_alone() -> None:
    run = deliver(RETRY, STOP)

    assert run.verdict is DeliveryVerdict.STOP
    assert run.attempts.numbers == [1, 2]


def test_it_ends_when_a_later_attempt_is_taken() -> None:
    run = deliver(RETRY, RETRY, DELIVERED)

    assert run.verdict is DeliveryVerdict.DELIVERED
    assert run.attempts.numbers == [1, 2, 3]


def test_an_endpoint_is_left_alone_for_as_long_as_it_asked() -> None:
    run = deliver(DeliveryResult(DeliveryVerdict.RETRY, 503, retry_after_seconds=3600), DELIVERED)

    assert 3600 <= run.attempts.gaps[0] <= 3601


def test_a_wish_shorter_than_the_schedule_changes_nothing() -> None:
    run = deliver(RETRY, DeliveryResult(DeliveryVerdict.RETRY, 429, retry_after_seconds=1), DELIVERED)

    assert run.attempts.gaps[1] >= 300


def test_an_outage_of_ours_uses_up_no_attempt() -> None:
    outage = VaultUnavailable("vault_sealed", "sealed")
    run = deliver(RETRY, *[outage] * 12, DELIVERED)

    assert run.verdict is DeliveryVerdict.DELIVERED
    assert run.attempts.numbers == [1] + [2] * 13


def test_the_outage_is_waited_out_a_minute_at_a_time_at_most() -> None:
    run = deliver(*[VaultUnavailable("vault_sealed", "sealed")] * 12, DELIVERED)

    assert max(run.attempts.gaps) <= timedelta(minutes=1, seconds=2).total_seconds()


def test_the_history_of_a_delivery_replays() -> None:
    run = deliver(RETRY, RETRY, DeliveryResult(DeliveryVerdict.RETRY, 503, 60), DELIVERED)

    asyncio.run(Replayer(workflows=[WebhookWorkflow], plugins=[plugin()]).replay_workflow(run.history))


def test_workflow_and_activity_agree_on_the_activitys_name() -> None:
    definition = activity._Definition.must_from_callable(WebhookActivities.deliver)

    assert definition.name == ActivityName.WEBHOOK_DELIVER
