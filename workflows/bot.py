"""The life of one meeting's bot: wait, re-check, dispatch, follow, and call back where the meeting says so.

What is claimed and what was done stands in the database; this workflow is the clock and the conductor. A signal only says
"look again", so none can be lost, doubled or come too early.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from meetbot.temporal.messages import (
        BotOrder,
        BotSignal,
        BotStart,
        BotStep,
        ClaimChange,
        DispatchOutcome,
        DispatchRequest,
        DispatchResult,
        MeetingRef,
        TaskQueue,
        WorkflowName,
        fairness_key,
    )
    from meetbot.temporal.search_attributes import MEETBOT_STATE


_PATIENT = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=15))
# So long after its worker's death an activity begins anew.
_HEARTBEAT_TIMEOUT = timedelta(seconds=5)
_FOLLOW_EVERY = timedelta(minutes=1)
_LEAST_TIME_TO_DISPATCH = timedelta(seconds=30)
# After so many re-checks in a row that each found something else, the next one waits a little.
_RESTLESS = 5
_PAUSE = timedelta(seconds=2)


@workflow.defn(name=WorkflowName.BOT)
class BotWorkflow:
    @workflow.init
    def __init__(self, start: BotStart) -> None:
        self._ref = MeetingRef(start.tenant_id, start.meeting_key)
        self._start = start
        self._look_again = False
        # The start for which the dispatch is held; one that was moved meanwhile is checked anew.
        self._held_for: datetime | None = None
        self._rounds = 0
        self._changes_in_a_row = 0

    @workflow.run
    async def run(self, start: BotStart) -> None:
        while True:
            self._rounds += 1
            self._look_again = False
            order = await self._activity("bot.schedule", "take stock of the claims")
            order = await self._step(order)
            if order.step is BotStep.CLOSE:
                await workflow.wait_condition(workflow.all_handlers_finished)
                if not self._look_again:
                    return
            if self._run_is_full():
                await workflow.wait_condition(workflow.all_handlers_finished)
                workflow.continue_as_new(self._start)

    @workflow.signal(name=BotSignal.CLAIM)
    def claim(self, change: ClaimChange) -> None:
        """A calendar user wants this meeting recorded, and perhaps its provider can be asked."""
        self._look_again = True
        self._held_for = None

    @workflow.signal(name=BotSignal.RESCHEDULE)
    def reschedule(self, change: ClaimChange) -> None:
        """A claimant's copy has another time or link."""
        self._look_again = True
        self._held_for = None

    @workflow.signal(name=BotSignal.RELEASE)
    def release(self, change: ClaimChange) -> None:
        """A calendar user no longer wants it."""
        self._look_again = True

    @workflow.signal(name=BotSignal.CANCEL)
    def cancel(self) -> None:
        """Somebody ended the bot by hand."""
        self._look_again = True

    @workflow.signal(name=BotSignal.BACKEND_REPORTED)
    def backend_reported(self) -> None:
        """The backend said something new, and it is stored."""
        self._look_again = True

    async def _step(self, order: BotOrder) -> BotOrder:
        self._show(order)
        match order.step:
            case BotStep.WAIT:
                if await self._reached(order):
                    await self._dispatch(order)
            case BotStep.FOLLOW:
                if not await self._noticed(_FOLLOW_EVERY, "ask the backend"):
                    await self._follow()
            case BotStep.LEAVE:
                await self._activity("bot.leave", "call the bot back")
        return order

    async def _reached(self, order: BotOrder) -> bool:
        """Wait for the time to arm; False where something changed before."""
        due = order.join_at if self._holds(order) else order.arm_at
        remaining = due - workflow.now() if due else timedelta()
        if remaining <= timedelta():
            return True
        return not await self._noticed(remaining, "arm the dispatch")

    async def _dispatch(self, order: BotOrder) -> None:
        remaining = (order.end_at - workflow.now()) if order.end_at else timedelta()
        try:
            result = await workflow.execute_activity(
                "bot.dispatch",
                DispatchRequest(
                    self._ref.tenant_id, self._ref.meeting_key, order.bot_id, order.generation, self._holds(order)
                ),
                result_type=DispatchResult,
                task_queue=TaskQueue.DISPATCH,
                start_to_close_timeout=timedelta(seconds=60),
                schedule_to_close_timeout=max(remaining, _LEAST_TIME_TO_DISPATCH),
                heartbeat_timeout=_HEARTBEAT_TIMEOUT,
                retry_policy=_PATIENT,
                priority=Priority(priority_key=1, fairness_key=fairness_key(self._ref.tenant_id)),
                summary="re-check and dispatch",
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            # The meeting is all but over and the backend never took the bot: taking stock tells, or has it tried again.
            return
        # Where something was heard of meanwhile, the next look may find more than this one.
        hold = result.outcome is DispatchOutcome.HOLD and not self._look_again
        self._held_for = order.join_at if hold else None
        self._changes_in_a_row = self._changes_in_a_row + 1 if result.outcome is DispatchOutcome.CHANGED else 0
        if self._changes_in_a_row > _RESTLESS:
            await workflow.sleep(_PAUSE, summary="the calendar keeps changing")

    async def _follow(self) -> None:
        try:
            await self._activity("bot.follow", "ask how the bot is doing", attempts=2)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            # The next minute asks again.

    async def _activity(self, name: str, summary: str, *, attempts: int = 0) -> BotOrder:
        order: BotOrder = await workflow.execute_activity(
            name,
            self._ref,
            result_type=BotOrder,
            task_queue=TaskQueue.DISPATCH,
            start_to_close_timeout=timedelta(seconds=60),
            heartbeat_timeout=_HEARTBEAT_TIMEOUT,
            retry_policy=RetryPolicy(
                initial_interval=_PATIENT.initial_interval,
                maximum_interval=_PATIENT.maximum_interval,
                maximum_attempts=attempts,
            ),
            priority=Priority(priority_key=2, fairness_key=fairness_key(self._ref.tenant_id)),
            summary=summary,
        )
        return order

    async def _noticed(self, within: timedelta, summary: str) -> bool:
        with contextlib.suppress(asyncio.TimeoutError):
            await workflow.wait_condition(lambda: self._look_again, timeout=within, timeout_summary=summary)
            return True
        return False

    def _holds(self, order: BotOrder) -> bool:
        return self._held_for is not None and self._held_for == order.join_at

    def _run_is_full(self) -> bool:
        return self._rounds >= self._start.rounds_per_run or workflow.info().is_continue_as_new_suggested()

    def _show(self, order: BotOrder) -> None:
        shown = workflow.info().typed_search_attributes.get(MEETBOT_STATE)
        if order.state and order.state != shown:
            workflow.upsert_search_attributes([MEETBOT_STATE.value_set(order.state)])
        workflow.set_current_details(_details(order, holds=self._holds(order)))


def _details(order: BotOrder, *, holds: bool) -> str:
    """What an operator reads in the Temporal UI."""
    if not order.bot_id:
        return "No bot: nobody claims this meeting, or it had its bot."
    lines = [f"**{order.bot_id}** (dispatch {order.generation}) is **{order.state}**", "", f"- next: {order.step}"]
    if order.join_at and order.end_at:
        lines.append(f"- meeting: {order.join_at:%Y-%m-%d %H:%M:%S} to {order.end_at:%H:%M:%S} UTC")
    if holds:
        lines.append("- the provider could not be asked; waiting for the meeting's start")
    return "\n".join(lines)
