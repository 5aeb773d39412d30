"""The workflow that asks what only the worker can find out, while a person waits."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy

with workflow.unsafe.imports_passed_through():
    from meetbot.temporal.calendar_messages import CheckRequest, CheckResult
    from meetbot.temporal.messages import ActivityName, TaskQueue, WorkflowName, fairness_key

# The person has gone by then.
_TIMEOUT = timedelta(seconds=15)
_HEARTBEAT_TIMEOUT = timedelta(seconds=10)


@workflow.defn(name=WorkflowName.CALENDAR_CHECK)
class CalendarCheckWorkflow:
    """Ask the provider with the user's token, and the bot backend."""

    @workflow.run
    async def run(self, request: CheckRequest) -> CheckResult:
        """Return the codes of both answers."""
        result: CheckResult = await workflow.execute_activity(
            ActivityName.CALENDAR_CHECK,
            request,
            result_type=CheckResult,
            task_queue=TaskQueue.CONNECTING,
            start_to_close_timeout=_TIMEOUT,
            schedule_to_close_timeout=_TIMEOUT,
            heartbeat_timeout=_HEARTBEAT_TIMEOUT,
            retry_policy=RetryPolicy(maximum_attempts=1),
            priority=Priority(priority_key=2, fairness_key=fairness_key(request.tenant_id)),
            summary="check the calendar user",
        )
        return result
