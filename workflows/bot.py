"""The workflow of one meeting's bot.

It waits, has the bot re-checked and dispatched, follows it, and has it recalled if the meeting changes.
Claims and bots are in the database; this workflow only decides when the next activity runs. A signal only wakes it, so none
can be lost, doubled or come too early.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from meetbot.domain.rooms import SHARED
    from meetbot.temporal.messages import (
        ActivityName,
        BotSignal,
        BotStart,
        CalendarUserSignal,
        ClaimChange,
        DispatchOutcome,
        DispatchRequest,
        DispatchResult,
        MeetingRef,
        NextStep,
        StepKind,
        TaskQueue,
        WorkflowName,
        bot_workflow_id,
        calendar_user_workflow_id,
        fairness_key,
    )
    from meetbot.temporal.search_attributes import MEETBOT_STATE


_RETRY_POLICY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=15))
# The heartbeat_timeout: an activity is retried so long after its worker died. A held dispatch sends no heartbeats: the process
# that holds it has one pulse for all, and another takes the bot over when it ends.
_HEARTBEAT_TIMEOUT = timedelta(seconds=5)
_START_TO_CLOSE_TIMEOUT = timedelta(seconds=60)
# So long after its instant a dispatch that nobody answers for is tried again.
_ANSWERED_WITHIN = timedelta(seconds=30)
# The least schedule_to_close_timeout of a dispatch: it is retried until the meeting's end, but at least for this long.
_LEAST_TIME_TO_DISPATCH = timedelta(seconds=30)
# Reports say how a bot is doing, and in case one is lost the worker processes ask the backend. Both wake this workflow once the
# bot has ended. If even that is lost, it asks by itself: so long after the meeting's end, and then every hour.
_ASKED_AFTER_END = timedelta(minutes=5)
_ASKED_EVERY = timedelta(hours=1)
# Nothing tells a meeting that the bot of another one, which it shares, begins to leave.
_SHARED_ASKED_EVERY = timedelta(minutes=1)
# After so many re-checks in a row that each found a change, the next one waits a little.
_MOST_CHANGES_IN_A_ROW = 5
_PAUSE = timedelta(seconds=2)


@workflow.defn(name=WorkflowName.BOT)
class BotWorkflow:
    """The loop of reconciling a bot and carrying out the next step."""

    @workflow.init
    def __init__(self, start: BotStart) -> None:
        self._ref = MeetingRef(start.tenant_id, start.meeting_key)
        self._start = start
        self._woken = False
        # The meeting start for which the dispatch waits. If the meeting moves meanwhile, the re-check is due at the new time.
        self._waiting_for_start: datetime | None = None
        self._rounds = 0
        self._changes_in_a_row = 0

    @workflow.run
    async def run(self, start: BotStart) -> None:
        """Go on until the meeting needs no bot; continue as new when the run's history is full."""
        while True:
            self._rounds += 1
            self._woken = False
            step = await self._activity(ActivityName.BOT_RECONCILE, "reconcile the bot with its claims")
            await self._carry_out(step)
            if step.kind is StepKind.CLOSE:
                await workflow.wait_condition(workflow.all_handlers_finished)
                if not self._woken:
                    return
            if self._run_is_full():
                await workflow.wait_condition(workflow.all_handlers_finished)
                workflow.continue_as_new(self._start)

    @workflow.signal(name=BotSignal.CLAIM)
    def claim(self, change: ClaimChange) -> None:
        """Wake up: a calendar user wants the meeting recorded; its provider may be reachable."""
        self._woken = True
        self._waiting_for_start = None

    @workflow.signal(name=BotSignal.RESCHEDULE)
    def reschedule(self, change: ClaimChange) -> None:
        """Wake up: a claimant's copy has another time or link."""
        self._woken = True
        self._waiting_for_start = None

    @workflow.signal(name=BotSignal.RELEASE)
    def release(self, change: ClaimChange) -> None:
        """Wake up: a calendar user no longer wants the meeting recorded."""
        self._woken = True

    @workflow.signal(name=BotSignal.CANCEL)
    def cancel(self) -> None:
        """Wake up: a person cancelled the bot by hand."""
        self._woken = True

    @workflow.signal(name=BotSignal.BACKEND_REPORTED)
    def backend_reported(self) -> None:
        """Wake up: a report of the backend was stored."""
        self._woken = True

    async def _carry_out(self, step: NextStep) -> None:
        self._show(step)
        if step.to_sync:
            await asyncio.gather(*(self._have_synced(calendar_user_id) for calendar_user_id in step.to_sync))
        await self._wake(step.to_wake)
        match step.kind:
            case StepKind.WAIT:
                if await self._is_time_to_dispatch(step):
                    await self._dispatch(step)
            case StepKind.FOLLOW:
                await self._wait_and_follow(step)
            case StepKind.RECALL:
                recalled = await self._activity(ActivityName.BOT_RECALL, "recall the bot")
                await self._wake(recalled.to_wake)

    async def _have_synced(self, calendar_user_id: str) -> None:
        """A calendar user whose workflow is gone has no copy that is to be settled."""
        user = workflow.get_external_workflow_handle(calendar_user_workflow_id(self._ref.tenant_id, calendar_user_id))
        with contextlib.suppress(ApplicationError):
            await user.signal(CalendarUserSignal.SYNC_NOW)

    async def _wake(self, meeting_keys: tuple[str, ...]) -> None:
        """Wake the bots of meetings that shared this one's.

        A workflow that is gone comes back with the next sync.
        """
        if meeting_keys:
            await asyncio.gather(*(self._wake_bot_of(meeting_key) for meeting_key in meeting_keys))

    async def _wake_bot_of(self, meeting_key: str) -> None:
        bot = workflow.get_external_workflow_handle(bot_workflow_id(self._ref.tenant_id, meeting_key))
        with contextlib.suppress(ApplicationError):
            await bot.signal(BotSignal.BACKEND_REPORTED)

    async def _is_time_to_dispatch(self, step: NextStep) -> bool:
        """Wait for the re-check to begin; False if a signal came before."""
        due = step.join_at if self._waits_for_start_of(step) else step.recheck_at
        remaining = due - workflow.now() if due else timedelta()
        if remaining <= timedelta():
            return True
        return not await self._woken_within(remaining, "until the re-check begins")

    async def _dispatch(self, step: NextStep) -> None:
        dispatch = self._begin_dispatch(step)
        overtaken = False
        while await self._woken_during(dispatch):
            # The bot's row says then whether it is still to go, and whoever holds the bot looks there.
            self._woken, overtaken = False, True
            await self._activity(ActivityName.BOT_RECONCILE, "reconcile while the bot is held")
        try:
            result = await dispatch
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            # The meeting is nearly over and the backend never accepted the bot. The next reconcile ends the bot or retries it.
            return
        # If a signal came meanwhile, the next re-check may find more than this one did.
        waits = result.outcome is DispatchOutcome.WAIT_FOR_START and not (self._woken or overtaken)
        self._waiting_for_start = step.join_at if waits else None
        self._changes_in_a_row = self._changes_in_a_row + 1 if result.outcome is DispatchOutcome.CHANGED else 0
        if self._changes_in_a_row > _MOST_CHANGES_IN_A_ROW:
            await workflow.sleep(_PAUSE, summary="the calendar keeps changing")
        is_sent = result.outcome is DispatchOutcome.DISPATCHED and not (self._woken or overtaken)
        if is_sent and self._start.follows_what_was_sent:
            # As it was sent, it agrees with its claims: there is nothing to reconcile.
            sent = replace(step, kind=StepKind.FOLLOW, state="dispatched")
            self._show(sent)
            await self._wait_and_follow(sent)

    def _begin_dispatch(self, step: NextStep) -> workflow.ActivityHandle[DispatchResult]:
        now = workflow.now()
        remaining = (step.end_at - now) if step.end_at else timedelta()
        held = max(step.dispatch_at - now, timedelta()) if step.dispatch_at else timedelta()
        wait_is_over = self._waits_for_start_of(step)
        return workflow.start_activity(
            ActivityName.BOT_DISPATCH,
            DispatchRequest(self._ref.tenant_id, self._ref.meeting_key, step.bot_id, step.generation, wait_is_over),
            result_type=DispatchResult,
            task_queue=TaskQueue.DISPATCH,
            start_to_close_timeout=held + _ANSWERED_WITHIN,
            schedule_to_close_timeout=max(remaining, _LEAST_TIME_TO_DISPATCH),
            retry_policy=_RETRY_POLICY,
            priority=Priority(priority_key=1, fairness_key=fairness_key(self._ref.tenant_id)),
            summary="re-check, hold and dispatch",
        )

    async def _woken_during(self, dispatch: workflow.ActivityHandle[DispatchResult]) -> bool:
        """Wait for the dispatch or a signal. True if a signal came first."""
        await workflow.wait_condition(lambda: dispatch.done() or self._woken)
        return self._woken and not dispatch.done()

    async def _wait_and_follow(self, step: NextStep) -> None:
        """Wait until something is heard of the bot; ask the backend if nothing is."""
        if await self._woken_within(_follow_within(step, workflow.now()), "until the backend is asked"):
            return
        try:
            await self._activity(ActivityName.BOT_FOLLOW, "ask the backend how the bot is doing", attempts=2)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            # The next hour asks again.

    async def _activity(self, name: ActivityName, summary: str, *, attempts: int = 0) -> NextStep:
        step: NextStep = await workflow.execute_activity(
            name,
            self._ref,
            result_type=NextStep,
            task_queue=TaskQueue.DISPATCH,
            start_to_close_timeout=_START_TO_CLOSE_TIMEOUT,
            heartbeat_timeout=_HEARTBEAT_TIMEOUT,
            retry_policy=RetryPolicy(
                initial_interval=_RETRY_POLICY.initial_interval,
                maximum_interval=_RETRY_POLICY.maximum_interval,
                maximum_attempts=attempts,
            ),
            priority=Priority(priority_key=2, fairness_key=fairness_key(self._ref.tenant_id)),
            summary=summary,
        )
        return step

    async def _woken_within(self, within: timedelta, summary: str) -> bool:
        """Wait for a signal; False if none came in time."""
        with contextlib.suppress(asyncio.TimeoutError):
            await workflow.wait_condition(lambda: self._woken, timeout=within, timeout_summary=summary)
            return True
        return False

    def _waits_for_start_of(self, step: NextStep) -> bool:
        return self._waiting_for_start is not None and self._waiting_for_start == step.join_at

    def _run_is_full(self) -> bool:
        return self._rounds >= self._start.rounds_per_run or workflow.info().is_continue_as_new_suggested()

    def _show(self, step: NextStep) -> None:
        """Show the bot's state to operators, as a search attribute and in the Temporal UI."""
        shown = workflow.info().typed_search_attributes.get(MEETBOT_STATE)
        if step.state and step.state != shown:
            workflow.upsert_search_attributes([MEETBOT_STATE.value_set(step.state)])
        workflow.set_current_details(_details(step, waits_for_start=self._waits_for_start_of(step)))


def _follow_within(step: NextStep, now: datetime) -> timedelta:
    """Return when this workflow asks by itself how a bot is doing."""
    if step.state == SHARED:
        return _SHARED_ASKED_EVERY
    until_then = step.end_at + _ASKED_AFTER_END - now if step.end_at is not None else timedelta()
    return until_then if until_then > timedelta() else _ASKED_EVERY


def _details(step: NextStep, *, waits_for_start: bool) -> str:
    if not step.bot_id:
        return "No bot: nobody claims this meeting, or it had its bot."
    lines = [f"**{step.bot_id}** (dispatch {step.generation}) is **{step.state}**", "", f"- next: {step.kind}"]
    if step.join_at and step.end_at:
        lines.append(f"- meeting: {step.join_at:%Y-%m-%d %H:%M:%S} to {step.end_at:%H:%M:%S} UTC")
    if waits_for_start:
        lines.append("- the provider could not be asked; waiting for the meeting's start")
    return "\n".join(lines)
