"""One webhook message on its way to one endpoint: at once, then again on the published schedule."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from meetbot.temporal.messages import (
    DeliveryAttempt,
    DeliveryResult,
    DeliveryVerdict,
    TaskQueue,
    WebhookStart,
    WorkflowName,
)

DELIVER = "webhook.deliver"

_JITTER = 0.1
_ATTEMPT_TIMEOUT = timedelta(seconds=90)
# So long after its worker's death an attempt is made again.
_HEARTBEAT_TIMEOUT = timedelta(seconds=10)
# An outage of ours (database, key management) is no attempt: the endpoint was not asked. It is waited out without end.
_UNTIL_OUR_OUTAGE_ENDS = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=2.0, maximum_interval=timedelta(minutes=1)
)


@workflow.defn(name=WorkflowName.WEBHOOK)
class WebhookWorkflow:
    """The schedule travels in the input, so that changing it does not break the replay of deliveries under way."""

    @workflow.run
    async def run(self, start: WebhookStart) -> DeliveryVerdict:
        attempts = len(start.schedule_seconds)
        wished_gap = 0
        for attempt, gap in enumerate(start.schedule_seconds, start=1):
            await self._wait(gap, wished_gap)
            result = await self._attempt(start, attempt, last=attempt == attempts)
            workflow.set_current_details(f"attempt {attempt} of {attempts}: {result.verdict}, status {result.status}")
            if result.verdict is not DeliveryVerdict.RETRY:
                return result.verdict
            wished_gap = result.retry_after_seconds
        return DeliveryVerdict.STOP

    async def _wait(self, gap_seconds: int, wished_gap_seconds: int) -> None:
        spread = gap_seconds * (1 + _JITTER * workflow.random().random())
        seconds = max(spread, wished_gap_seconds)
        if seconds > 0:
            await workflow.sleep(seconds, summary="until the next attempt")

    async def _attempt(self, start: WebhookStart, attempt: int, *, last: bool) -> DeliveryResult:
        result: DeliveryResult = await workflow.execute_activity(
            DELIVER,
            DeliveryAttempt(start.tenant_id, start.delivery_id, attempt, last),
            result_type=DeliveryResult,
            task_queue=TaskQueue.DELIVERY,
            start_to_close_timeout=_ATTEMPT_TIMEOUT,
            heartbeat_timeout=_HEARTBEAT_TIMEOUT,
            retry_policy=_UNTIL_OUR_OUTAGE_ENDS,
            summary=f"attempt {attempt}",
        )
        return result
