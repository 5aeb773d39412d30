"""The workflow of a calendar user's erasure; only the revocation may take days."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ActivityError, ApplicationError, WorkflowAlreadyStartedError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from meetbot.temporal.messages import (
        ActivityName,
        BotSignal,
        BotStart,
        CalendarUserSignal,
        ClaimChange,
        ErasureRef,
        ErasureStart,
        TaskQueue,
        WithdrawnBots,
        WithdrawRequest,
        WorkflowName,
        bot_workflow_id,
        calendar_user_workflow_id,
        fairness_key,
    )
    from meetbot.temporal.search_attributes import TENANT_ID

_RETRY_POLICY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1))
# While the provider is down: at once, then less and less often, for days.
_REVOCATION_RETRIES = RetryPolicy(
    initial_interval=timedelta(seconds=30), backoff_coefficient=2.0, maximum_interval=timedelta(hours=1)
)
_START_TO_CLOSE_TIMEOUT = timedelta(seconds=60)
# The heartbeat_timeout: a step begins anew so long after its worker died.
_HEARTBEAT_TIMEOUT = timedelta(seconds=10)


@workflow.defn(name=WorkflowName.ERASURE)
class ErasureWorkflow:
    """Erase a calendar user that is marked as disconnecting.

    The grant is revoked before the rows go if the provider answers. If it does not, the rows go all the same, and the token
    that was kept for it is tried for days more.
    """

    @workflow.init
    def __init__(self, start: ErasureStart) -> None:
        self._start = start
        self._ref = ErasureRef(start.tenant_id, start.erasure_id)

    @workflow.run
    async def run(self, start: ErasureStart) -> None:
        """Carry out all steps; the certificate in the database holds what came of each."""
        await self._end_calendar_loop()
        await self._withdraw_bots()
        await self._step(ActivityName.ERASURE_STOP_PUSH, "stop the push channels")
        revoked = await self._revoke(attempts=1)
        await self._step(ActivityName.ERASURE_DELETE, "delete the rows")
        if not revoked:
            await self._revoke(attempts=0)
        await self._step(ActivityName.ERASURE_FINISH, "close the certificate")

    async def _end_calendar_loop(self) -> None:
        loop = workflow.get_external_workflow_handle(
            calendar_user_workflow_id(self._start.tenant_id, self._start.calendar_user_id)
        )
        try:
            await loop.signal(CalendarUserSignal.DISCONNECT)
        except ApplicationError:
            # It does not run, and no sync starts it: the calendar user is marked.
            return

    async def _withdraw_bots(self) -> None:
        after = ""
        while True:
            request = WithdrawRequest(self._start.tenant_id, self._start.erasure_id, after)
            withdrawn: WithdrawnBots = await self._execute(
                ActivityName.ERASURE_WITHDRAW, request, "withdraw the bots", WithdrawnBots
            )
            await asyncio.gather(*(self._wake(key) for key in withdrawn.meeting_keys))
            after = withdrawn.after
            if not after:
                return

    async def _wake(self, meeting_key: str) -> None:
        """Have the bot's workflow look again, started if it does not run."""
        bot = workflow.get_external_workflow_handle(bot_workflow_id(self._start.tenant_id, meeting_key))
        try:
            await bot.signal(BotSignal.RELEASE, ClaimChange(self._start.calendar_user_id))
        except ApplicationError:
            await self._start_bot(meeting_key)

    async def _start_bot(self, meeting_key: str) -> None:
        try:
            await workflow.start_child_workflow(
                WorkflowName.BOT,
                BotStart(self._start.tenant_id, meeting_key, follows_what_was_sent=True),
                id=bot_workflow_id(self._start.tenant_id, meeting_key),
                task_queue=TaskQueue.BOTS,
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                cancellation_type=workflow.ChildWorkflowCancellationType.ABANDON,
                search_attributes=TypedSearchAttributes([SearchAttributePair(TENANT_ID, self._start.tenant_id)]),
                priority=Priority(priority_key=1, fairness_key=fairness_key(self._start.tenant_id)),
            )
        except WorkflowAlreadyStartedError:
            return

    async def _revoke(self, *, attempts: int) -> bool:
        """Whether the revocation is settled. ``attempts`` 0: try for days."""
        try:
            await workflow.execute_activity(
                ActivityName.ERASURE_REVOKE,
                self._ref,
                task_queue=TaskQueue.ERASING,
                start_to_close_timeout=_START_TO_CLOSE_TIMEOUT,
                schedule_to_close_timeout=timedelta(days=self._start.revocation_days),
                heartbeat_timeout=_HEARTBEAT_TIMEOUT,
                retry_policy=RetryPolicy(
                    initial_interval=_REVOCATION_RETRIES.initial_interval,
                    backoff_coefficient=_REVOCATION_RETRIES.backoff_coefficient,
                    maximum_interval=_REVOCATION_RETRIES.maximum_interval,
                    maximum_attempts=attempts,
                ),
                priority=self._priority(),
                summary="revoke the grant",
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            return False
        return True

    async def _step(self, name: ActivityName, summary: str) -> None:
        await self._execute(name, self._ref, summary, type(None))

    async def _execute(self, name: ActivityName, request: Any, summary: str, result_type: type) -> Any:
        return await workflow.execute_activity(
            name,
            request,
            result_type=result_type,
            task_queue=TaskQueue.ERASING,
            start_to_close_timeout=_START_TO_CLOSE_TIMEOUT,
            heartbeat_timeout=_HEARTBEAT_TIMEOUT,
            retry_policy=_RETRY_POLICY,
            priority=self._priority(),
            summary=summary,
        )

    def _priority(self) -> Priority:
        return Priority(priority_key=2, fairness_key=fairness_key(self._start.tenant_id))
