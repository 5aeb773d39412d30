"""The workflows about a tenant's own OAuth app: exchanging a code, and checking the app.

Both are asked for by a request that waits for a few seconds; if it has gone, the calendar is connected all the same.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ActivityError, ApplicationError, WorkflowAlreadyStartedError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from meetbot.domain.calendar_user import CalendarUserStatus
    from meetbot.temporal.connect_messages import (
        ConnectStart,
        ExchangeRef,
        ExchangeResult,
        OAuthAppRef,
        ProbeResult,
    )
    from meetbot.temporal.messages import (
        ActivityName,
        CalendarUserSignal,
        CalendarUserState,
        TaskQueue,
        WorkflowName,
        calendar_user_workflow_id,
        fairness_key,
    )
    from meetbot.temporal.search_attributes import CALENDAR_PROVIDER, CALENDAR_USER_ID, MEETBOT_STATE, TENANT_ID

# A person waits. The first attempts fail only for what passes soon, such as a key service that does not answer.
_RETRY_POLICY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=10))
_START_TO_CLOSE_TIMEOUT = timedelta(seconds=60)
_HEARTBEAT_TIMEOUT = timedelta(seconds=10)
# A code is good for ten minutes at most.
_CODE_LIFETIME = timedelta(minutes=10)
_PROBE_TIMEOUT = timedelta(seconds=30)


@workflow.defn(name=WorkflowName.CONNECT)
class ConnectWorkflow:
    """Exchange the code of one consent, and begin to sync the calendar that it connects."""

    @workflow.run
    async def run(self, start: ConnectStart) -> None:
        """Carry out both steps; how it ended stands in the database."""
        try:
            connected: ExchangeResult = await workflow.execute_activity(
                ActivityName.CONNECT_EXCHANGE,
                ExchangeRef(start.tenant_id, start.exchange_id),
                result_type=ExchangeResult,
                task_queue=TaskQueue.CONNECTING,
                start_to_close_timeout=_START_TO_CLOSE_TIMEOUT,
                schedule_to_close_timeout=_CODE_LIFETIME,
                heartbeat_timeout=_HEARTBEAT_TIMEOUT,
                retry_policy=_RETRY_POLICY,
                priority=Priority(priority_key=1, fairness_key=fairness_key(start.tenant_id)),
                summary="exchange the code",
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            return
        if connected.calendar_user_id:
            await self._begin_to_sync(start, connected.calendar_user_id)

    async def _begin_to_sync(self, start: ConnectStart, calendar_user_id: str) -> None:
        """Start the calendar user's workflow; one that runs is told of the new consent."""
        workflow_id = calendar_user_workflow_id(start.tenant_id, calendar_user_id)
        try:
            await workflow.start_child_workflow(
                WorkflowName.CALENDAR_USER,
                CalendarUserState(
                    tenant_id=start.tenant_id,
                    calendar_user_id=calendar_user_id,
                    provider=start.provider,
                    interval_seconds=start.interval_seconds,
                    children_per_batch=start.children_per_batch,
                ),
                id=workflow_id,
                task_queue=TaskQueue.CALENDAR_USERS,
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                cancellation_type=workflow.ChildWorkflowCancellationType.ABANDON,
                search_attributes=TypedSearchAttributes(
                    [
                        SearchAttributePair(TENANT_ID, start.tenant_id),
                        SearchAttributePair(CALENDAR_USER_ID, calendar_user_id),
                        SearchAttributePair(CALENDAR_PROVIDER, start.provider),
                        SearchAttributePair(MEETBOT_STATE, CalendarUserStatus.CONNECTING),
                    ]
                ),
                static_summary=f"{start.provider} calendar, user {calendar_user_id}",
                static_details="Syncs one calendar and keeps a bot for each meeting that its rules want recorded.",
                priority=Priority(priority_key=3, fairness_key=fairness_key(start.tenant_id)),
            )
        except WorkflowAlreadyStartedError:
            await self._tell(workflow_id)

    async def _tell(self, workflow_id: str) -> None:
        loop = workflow.get_external_workflow_handle(workflow_id)
        try:
            await loop.signal(CalendarUserSignal.RECONNECTED)
        except ApplicationError:
            # It ended meanwhile; recovery starts it again.
            return


@workflow.defn(name=WorkflowName.OAUTH_APP_CHECK)
class OAuthAppCheckWorkflow:
    """Ask the provider's token endpoint what it thinks of a tenant's app."""

    @workflow.run
    async def run(self, app: OAuthAppRef) -> ProbeResult:
        """Return the code of the endpoint's answer to a code that cannot be good."""
        result: ProbeResult = await workflow.execute_activity(
            ActivityName.OAUTH_APP_PROBE,
            app,
            result_type=ProbeResult,
            task_queue=TaskQueue.CONNECTING,
            start_to_close_timeout=_PROBE_TIMEOUT,
            schedule_to_close_timeout=_PROBE_TIMEOUT,
            heartbeat_timeout=_HEARTBEAT_TIMEOUT,
            retry_policy=RetryPolicy(maximum_attempts=1),
            priority=Priority(priority_key=2, fairness_key=fairness_key(app.tenant_id)),
            summary="probe the app",
        )
        return result
