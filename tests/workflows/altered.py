"""A bot's workflow with its steps in another order, to show that replay notices."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow

from meetbot.temporal.messages import ActivityName, BotStart, MeetingRef, NextStep, TaskQueue, WorkflowName


@workflow.defn(name=WorkflowName.BOT)
class AlteredBotWorkflow:
    @workflow.run
    async def run(self, start: BotStart) -> None:
        await workflow.sleep(timedelta(seconds=1))
        await workflow.execute_activity(
            ActivityName.BOT_RECONCILE,
            MeetingRef(start.tenant_id, start.meeting_key),
            result_type=NextStep,
            task_queue=TaskQueue.DISPATCH,
            start_to_close_timeout=timedelta(seconds=60),
        )
