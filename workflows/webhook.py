"""The workflow of one webhook delivery: an attempt at once, then on the published schedule."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from meetbot.temporal.messages import (
    ActivityName,
    DeliveryAttempt,
    DeliveryResult,
    DeliveryVerdict,
    TaskQueue,
    WebhookStart,
    WorkflowName,
)

_JITTER = 0.1
_ATTEMPT_TIMEOUT = timedelta(seconds=90)
# The heartbeat_timeout: an attempt is made again so long after its worker died.
_HEARTBEAT_TIMEOUT = timedelta(seconds=10)
# For outages of ours (database, key management), without end: the endpoint was not asked, so they count as no attempt.
_RETRY_POLICY = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=2.0, maximum_interval=timedelta(minutes=1)
)


@workflow.defn(name=WorkflowName.WEBHOOK)
class WebhookWorkflow:
    """The attempts of one delivery.

    The schedule is part of the input, so that changing it does not break the replay of deliveries under way.
    """

    @workflow.run
    async def run(self, start: WebhookStart) -> DeliveryVerdict:
        """Attempt the delivery until it succeeds, must stop, or the schedule is used up."""
        attempts = len(start.schedule_seconds)
        asked_gap = 0
        for attempt, gap in enumerate(start.schedule_seconds, start=1):
            await self._wait(gap, asked_gap)
            result = await self._attempt(start, attempt, last=attempt == attempts)
            workflow.set_current_details(f"attempt {attempt} of {attempts}: {result.verdict}, status {result.status}")
            if result.verdict is not DeliveryVerdict.RETRY:
                return result.verdict
            asked_gap = result.retry_after_seconds
        return DeliveryVerdict.STOP

    async def _wait(self, gap_seconds: int, asked_gap_seconds: int) -> None:
        spread = gap_seconds * (1 + _JITTER * workflow.random().random())
        seconds = max(spread, asked_gap_seconds)
        if seconds > 0:
            await workflow.sleep(seconds, summary="until the next attempt")

    async def _attempt(self, start: WebhookStart, attempt: int, *, last: bool) -> DeliveryResult:
        result: DeliveryResult = await workflow.execute_activity(
            ActivityName.WEBHOOK_DELIVER,
            DeliveryAttempt(start.tenant_id, start.delivery_id, attempt, last),
            result_type=DeliveryResult,
            task_queue=TaskQueue.DELIVERY,
            start_to_close_timeout=_ATTEMPT_TIMEOUT,
            heartbeat_timeout=_HEARTBEAT_TIMEOUT,
            retry_policy=_RETRY_POLICY,
            summary=f"attempt {attempt}",
        )
        return result
