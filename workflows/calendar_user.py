"""The loop of one connected calendar.

It syncs, brings the bots in line with the plan, and waits for the next slot or a signal.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from datetime import timedelta

from temporalio import workflow
from temporalio.common import Priority
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    WorkflowAlreadyStartedError,
)

with workflow.unsafe.imports_passed_through():
    from meetbot.domain.calendar_user import ENDED
    from meetbot.domain.plan import PlanEntry, as_known, compare_with_plan, first_batch
    from meetbot.domain.sync_slots import next_slot, sync_phase
    from meetbot.temporal.calendar_messages import UNCHANGED, PushRequest
    from meetbot.temporal.details import calendar_details
    from meetbot.temporal.messages import (
        CHILDREN_PER_BATCH,
        ActivityName,
        BotSignal,
        BotStart,
        CalendarUserSignal,
        CalendarUserState,
        ClaimChange,
        SyncRequest,
        SyncResult,
        SyncScope,
        TaskQueue,
        WorkflowName,
        bot_workflow_id,
        calendar_user_workflow_id,
        fairness_key,
    )
    from meetbot.temporal.search_attributes import MEETBOT_STATE
    from workflows.calendar_options import (
        ENSURE_PUSH,
        bot_search_attributes,
        sync_options,
        watch_options,
        watch_request,
    )


# To a bot that is running or not: each attempt tries the other way.
_REACH_ATTEMPTS = 3
_LEAST_WAIT = timedelta(seconds=1)


@workflow.defn(name=WorkflowName.CALENDAR_USER)
class CalendarUserWorkflow:
    """Keep one calendar synced and a bot going for each meeting of its plan.

    A round is a sync, then the reconciling of the bots with the plan that it returned, then the wait for the next slot. Slots
    have a fixed rate (`meetbot.domain.sync_slots`). Signals only set flags, and the loop acts on them. Bots are started or
    signalled in batches, the nearest meetings first, with a sync in between, so that a calendar with very many meetings still
    reacts to signals. Meetings are known by key only: no title, address or link is in the history.
    """

    @workflow.init
    def __init__(self, state: CalendarUserState) -> None:
        self._state = state
        self._known = {entry.meeting_key: entry for entry in state.known}
        self._calendar_due = state.calendar_due
        self._decisions_due = state.decisions_due
        self._disconnecting = False
        self._rounds = 0
        self._ensuring: workflow.ActivityHandle[None] | None = None

    @workflow.run
    async def run(self, state: CalendarUserState) -> None:
        """Loop until the user is gone, then release all meetings. A full run continues as new."""
        while not self._is_over():
            if self._state.watches:
                await self._watch()
            else:
                await self._sync()
            self._rounds += 1
            self._describe()
            if not self._is_over() and not self._state.watches:
                await self._wait()
            if self._run_is_full():
                await workflow.wait_condition(workflow.all_handlers_finished)
                if not self._is_over():
                    self._continue_as_new()
        await self._release_all()

    @workflow.signal(name=CalendarUserSignal.SYNC_NOW)
    def sync_now(self) -> None:
        """Ask the provider now instead of at the next slot."""
        self._calendar_due = True

    @workflow.signal(name=CalendarUserSignal.RULES_CHANGED)
    def rules_changed(self) -> None:
        """Decide again about what is stored, without a call to the provider."""
        self._decisions_due = True

    @workflow.signal(name=CalendarUserSignal.RECONNECTED)
    def reconnected(self) -> None:
        """There is a new grant: sync with it."""
        self._calendar_due = True

    @workflow.signal(name=CalendarUserSignal.DISCONNECT)
    def disconnect(self) -> None:
        """Withdraw every claim and end."""
        self._disconnecting = True

    async def _watch(self) -> None:
        """Have the calendar polled until there is something new, or a signal comes."""
        if self._decisions_due and not self._calendar_due:
            self._decisions_due = False
            await self._finish(self._begin(SyncScope.DECISIONS))
            return
        at_once = self._calendar_due
        self._calendar_due = self._decisions_due = False
        watch = self._begin_watch(at_once=at_once)
        await workflow.wait_condition(
            lambda: watch.done() or self._calendar_due or self._decisions_due or self._disconnecting
        )
        if watch.done():
            await self._finish_watch(watch)
            return
        watch.cancel()
        if self._disconnecting:
            return
        overtaken = self._decisions_due
        if overtaken:
            # A provider that hangs must not keep changed rules from being applied.
            self._decisions_due = False
            await self._finish(self._begin(SyncScope.DECISIONS))
        # A poll that is under way is finished, so that there are never two of one calendar.
        polled = await self._finish_watch(watch)
        # Whether it has polled before it was cancelled is not known: rather once too often.
        self._calendar_due = self._calendar_due or (at_once and not polled)
        if overtaken and polled:
            # It may have decided by the rules that it began with.
            self._decisions_due = True
            self._state = replace(self._state, plan_digest="")

    def _begin_watch(self, *, at_once: bool) -> workflow.ActivityHandle[SyncResult]:
        return workflow.start_activity(
            ActivityName.CALENDAR_WATCH,
            watch_request(self._state, at_once=at_once),
            result_type=SyncResult,
            **watch_options(self._state.tenant_id, at_once=at_once),
        )

    async def _finish_watch(self, watch: workflow.ActivityHandle[SyncResult]) -> bool:
        """Wait for a poll and bring the bots in line; False if it told nothing."""
        await workflow.wait_condition(lambda: watch.done() or self._disconnecting)
        if not watch.done():
            return True
        try:
            result = await watch
        except ActivityError as error:
            if _code_of(error) not in (UNCHANGED, CancelledError.__name__):
                # Nothing is retried any more: the next slot tries again.
                self._state = replace(self._state, last_error=_code_of(error))
                await self._wait()
            return False
        await self._take(result)
        return True

    async def _sync(self) -> None:
        scope = SyncScope.CALENDAR if self._calendar_due else SyncScope.DECISIONS
        self._calendar_due = self._decisions_due = False
        sync = self._begin(scope)
        overtaken = False
        while scope is SyncScope.CALENDAR and await self._rules_change_during(sync):
            # A provider that hangs must not keep changed rules from being applied.
            self._decisions_due, overtaken = False, True
            await self._finish(self._begin(SyncScope.DECISIONS))
        await self._finish(sync)
        if overtaken:
            # The sync may have decided by the rules that it began with.
            self._decisions_due = True
            self._state = replace(self._state, plan_digest="")

    def _begin(self, scope: SyncScope) -> workflow.ActivityHandle[SyncResult]:
        return workflow.start_activity(
            ActivityName.CALENDAR_SYNC,
            SyncRequest(self._state.tenant_id, self._state.calendar_user_id, self._state.plan_digest, scope),
            result_type=SyncResult,
            **sync_options(scope),
        )

    async def _rules_change_during(self, sync: workflow.ActivityHandle[SyncResult]) -> bool:
        """Wait until the sync ends, rules change or the user disconnects. True if rules changed."""
        await workflow.wait_condition(lambda: sync.done() or self._decisions_due or self._disconnecting)
        return self._decisions_due and not sync.done() and not self._disconnecting

    async def _finish(self, sync: workflow.ActivityHandle[SyncResult]) -> None:
        """Wait for a sync and bring the bots in line with its plan."""
        try:
            result = await self._result_of(sync)
        except ActivityError as error:
            # The next slot tries again; until then the calendar user's row and this workflow's details say why.
            self._state = replace(self._state, last_error=_code_of(error))
            return
        if result is not None:
            await self._take(result)

    async def _take(self, result: SyncResult) -> None:
        self._note(result)
        if result.to_sync:
            await asyncio.gather(*(self._have_synced(calendar_user_id) for calendar_user_id in result.to_sync))
        if result.plan is not None and not await self._reconcile(result.plan):
            # Some bots are not as planned yet: the next sync is to return the whole plan again.
            self._state = replace(self._state, plan_digest="")
        if result.push_due:
            await self._ensure_push()

    async def _result_of(self, sync: workflow.ActivityHandle[SyncResult]) -> SyncResult | None:
        """Return the sync's result, or None if the user disconnected meanwhile.

        An outage of the provider must not keep the bots going.
        """
        await workflow.wait_condition(lambda: sync.done() or self._disconnecting)
        if sync.done():
            return await sync
        sync.cancel()
        with contextlib.suppress(ActivityError):
            await sync
        return None

    async def _ensure_push(self) -> None:
        """Have the push channels put right, and go on before that is done if anything else is due.

        What fails is found due again by the next sync.
        """
        if self._ensuring is None or self._ensuring.done():
            self._ensuring = workflow.start_activity(
                ActivityName.CALENDAR_ENSURE_PUSH,
                PushRequest(self._state.tenant_id, self._state.calendar_user_id),
                result_type=type(None),
                **ENSURE_PUSH,
            )
        ensuring = self._ensuring
        await workflow.wait_condition(
            lambda: ensuring.done() or self._calendar_due or self._decisions_due or self._disconnecting
        )
        if ensuring.done():
            with contextlib.suppress(ActivityError):
                await ensuring

    def _note(self, result: SyncResult) -> None:
        if result.state != self._state.state:
            workflow.upsert_search_attributes([MEETBOT_STATE.value_set(result.state)])
        self._state = replace(
            self._state,
            state=result.state,
            plan_digest=result.plan_digest,
            last_synced_at=workflow.now(),
            last_error=result.error,
            wait_seconds=result.wait_seconds,
        )

    async def _reconcile(self, plan: tuple[PlanEntry, ...]) -> bool:
        """Bring the next batch of bots in line with the plan.

        False until all are, and have acknowledged their claims.
        """
        wanted = {entry.meeting_key: entry for entry in plan}
        todo = compare_with_plan(self._known, wanted, now=workflow.now())
        batch_size = self._state.children_per_batch or len(wanted) + len(self._known)
        batch, is_followed = first_batch(todo, self._known, most=batch_size)
        for entry in batch.forget:
            self._known.pop(entry.meeting_key)
        done = await asyncio.gather(
            *(self._claim(entry, BotSignal.CLAIM) for entry in batch.start),
            *(self._claim(entry, BotSignal.RESCHEDULE) for entry in batch.reschedule),
            *(self._release(entry) for entry in batch.release),
        )
        if is_followed and all(done):
            # The next batch at once, with a plan decided anew; a sync of the calendar that is due goes first.
            self._decisions_due = True
        return not is_followed and all(done) and all(entry.acknowledged for entry in plan)

    async def _claim(self, entry: PlanEntry, signal: BotSignal) -> bool:
        """Make sure that the meeting's workflow runs and is notified of the claim.

        False if it could not be reached.
        """
        change = ClaimChange(self._state.calendar_user_id, entry.target_digest, entry.join_at)
        expect_running = signal is BotSignal.RESCHEDULE or entry.meeting_key in self._known
        for _ in range(_REACH_ATTEMPTS):
            if expect_running:
                reached = await self._signal(entry.meeting_key, signal, change)
            else:
                reached = await self._start_bot(entry)
            if reached:
                self._known[entry.meeting_key] = as_known(entry)
                return True
            # Running when we thought not, or gone when we thought running: try the other way.
            expect_running = not expect_running
        return False

    async def _release(self, entry: PlanEntry) -> bool:
        """Release the meeting's claim, and notify its workflow if it still runs.

        The claim is withdrawn in the database already; a workflow that has ended need not be notified.
        """
        await self._signal(
            entry.meeting_key, BotSignal.RELEASE, ClaimChange(self._state.calendar_user_id, entry.target_digest)
        )
        self._known.pop(entry.meeting_key)
        return True

    async def _start_bot(self, entry: PlanEntry) -> bool:
        try:
            await workflow.start_child_workflow(
                WorkflowName.BOT,
                BotStart(self._state.tenant_id, entry.meeting_key, follows_what_was_sent=True),
                id=bot_workflow_id(self._state.tenant_id, entry.meeting_key),
                task_queue=TaskQueue.BOTS,
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                cancellation_type=workflow.ChildWorkflowCancellationType.ABANDON,
                search_attributes=bot_search_attributes(self._state),
                priority=Priority(priority_key=1, fairness_key=fairness_key(self._state.tenant_id)),
                static_summary=f"bot for a meeting at {entry.join_at:%Y-%m-%d %H:%M} UTC",
                static_details=f"First claimed by {self._state.calendar_user_id}.",
            )
        except WorkflowAlreadyStartedError:
            return False
        return True

    async def _signal(self, meeting_key: str, signal: BotSignal, change: ClaimChange) -> bool:
        bot = workflow.get_external_workflow_handle(bot_workflow_id(self._state.tenant_id, meeting_key))
        try:
            await bot.signal(signal, change)
        except ApplicationError:
            # Gone already, or one that takes no more signals: neither may end this calendar's loop.
            return False
        return True

    async def _have_synced(self, calendar_user_id: str) -> None:
        other = workflow.get_external_workflow_handle(
            calendar_user_workflow_id(self._state.tenant_id, calendar_user_id)
        )
        with contextlib.suppress(ApplicationError):
            await other.signal(CalendarUserSignal.SYNC_NOW)

    async def _wait(self) -> None:
        interval = timedelta(seconds=self._state.wait_seconds or self._state.interval_seconds)
        slot = next_slot(workflow.now(), interval, sync_phase(self._state.calendar_user_id, interval))
        try:
            await workflow.wait_condition(
                lambda: self._calendar_due or self._decisions_due or self._disconnecting,
                timeout=max(slot - workflow.now(), _LEAST_WAIT),
                timeout_summary="next sync",
            )
        except TimeoutError:
            self._calendar_due = True

    def _is_over(self) -> bool:
        return self._disconnecting or self._state.state in ENDED

    def _run_is_full(self) -> bool:
        return self._rounds >= self._state.rounds_per_run or workflow.info().is_continue_as_new_suggested()

    def _continue_as_new(self) -> None:
        known = tuple(self._known[key] for key in sorted(self._known))
        workflow.continue_as_new(
            replace(
                self._state,
                known=known,
                calendar_due=self._calendar_due,
                decisions_due=self._decisions_due,
                children_per_batch=self._state.children_per_batch or CHILDREN_PER_BATCH,
            )
        )

    async def _release_all(self) -> None:
        while self._known:
            batch = sorted(self._known)[: self._state.children_per_batch or None]
            await asyncio.gather(*(self._release(self._known[key]) for key in batch))

    def _describe(self) -> None:
        workflow.set_current_details(calendar_details(self._state, self._known, workflow.now()))


def _code_of(error: ActivityError) -> str:
    cause = error.cause
    return cause.type or "unknown" if isinstance(cause, ApplicationError) else type(cause).__name__
