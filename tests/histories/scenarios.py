"""The scenarios of the golden histories: workflows, signals and activities' answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from meetbot.domain.calendar_user import CalendarUserStatus
from meetbot.domain.plan import Target
from meetbot.errors import BackendUnavailable, RetryLater
from meetbot.temporal.messages import (
    ActivityName,
    BotSignal,
    CalendarUserSignal,
    ClaimChange,
    DeliveryResult,
    DeliveryVerdict,
    DispatchOutcome,
    DispatchResult,
    ErasureStart,
    NextStep,
    StepKind,
    SyncResult,
    TaskQueue,
    WebhookStart,
    WithdrawnBots,
    WorkflowName,
    erasure_workflow_id,
    webhook_workflow_id,
)
from tests.workflows.fake_activities import Answer, Call, Harness, Script
from tests.workflows.simulation import Simulation

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
# What must never be seen in a history: the links of the meetings, and what a provider or backend says.
LINK = "https://meet.example/abc?pwd=secret"
SAID = "POST https://backend.example/jobs for ada@acme.test failed"

CHANGE = ClaimChange("cu_1", "d_1")
DISPATCHED = DispatchResult(DispatchOutcome.DISPATCHED)
CHANGED = DispatchResult(DispatchOutcome.CHANGED)
WAIT_FOR_START = DispatchResult(DispatchOutcome.WAIT_FOR_START)
QUIET = SyncResult(CalendarUserStatus.ACTIVE, "d_none", None)
GONE = SyncResult(CalendarUserStatus.GONE, "", ())
OUTAGE = BackendUnavailable("backend_unavailable", SAID)


@dataclass(slots=True)
class Scenario:
    """``run`` starts workflows and awaits their end; ``answer`` stands in for their activities."""

    answer: Answer
    run: Callable[[Harness], Awaitable[None]]


def next_step(kind: StepKind, state: str, *, starts_in: timedelta = -SECOND) -> NextStep:
    start = datetime.now(UTC) + starts_in
    return NextStep(kind, "bot_1", 1, state, start - SECOND, start, start + HOUR)


def waiting(starts_in: timedelta = -SECOND) -> NextStep:
    return next_step(StepKind.WAIT, "scheduled", starts_in=starts_in)


def following() -> NextStep:
    return next_step(StepKind.FOLLOW, "recording")


def recalling() -> NextStep:
    return next_step(StepKind.RECALL, "recording")


def closed(state: str) -> NextStep:
    return next_step(StepKind.CLOSE, state)


async def to_the_end(harness: Harness) -> None:
    await (await harness.start_bot(follows_what_was_sent=False)).result()


async def called(harness: Harness, name: ActivityName, times: int) -> None:
    """Wait until an activity was called so often for the scenario's tenant, and a little longer."""
    while sum(call.request.tenant_id == harness.tenant_id for call in harness.called(name)) < times:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)


def signalled(*signals: tuple[int, BotSignal], rounds_per_run: int = 200) -> Callable[[Harness], Awaitable[None]]:
    """Return a run in which each signal is sent once the bot was reconciled so often."""

    async def run(harness: Harness) -> None:
        await harness.start_bot(rounds_per_run=rounds_per_run, follows_what_was_sent=False)
        for times, signal in signals:
            await called(harness, ActivityName.BOT_RECONCILE, times)
            arguments = [] if signal in (BotSignal.CANCEL, BotSignal.BACKEND_REPORTED) else [CHANGE]
            await harness.bot().signal(signal, args=arguments)
        await harness.bot().result()

    return run


async def followed_when_sent(harness: Harness) -> None:
    """The shape of new runs: from the dispatch to the report of its end, nothing."""
    await harness.start_bot()
    await called(harness, ActivityName.BOT_DISPATCH, 1)
    # Its result is a workflow task of its own.
    await asyncio.sleep(1)
    await harness.bot().signal(BotSignal.BACKEND_REPORTED)
    await harness.bot().result()


def bots() -> dict[str, Scenario]:
    minutes_away = waiting(starts_in=HOUR)
    return {
        "bot_nobody_claims": Scenario(Script(reconcile=[NextStep(StepKind.CLOSE)]).answer, to_the_end),
        "bot_recorded": Scenario(
            Script(
                reconcile=[waiting(3 * SECOND), following(), following(), closed("completed")], dispatch=[DISPATCHED]
            ).answer,
            signalled((2, BotSignal.BACKEND_REPORTED), (3, BotSignal.BACKEND_REPORTED)),
        ),
        "bot_sent": Scenario(
            Script(reconcile=[waiting(3 * SECOND), closed("completed")], dispatch=[DISPATCHED]).answer,
            followed_when_sent,
        ),
        "bot_followed": Scenario(
            Script(reconcile=[following(), closed("completed")], follow=[OUTAGE, OUTAGE]).answer, to_the_end
        ),
        "bot_rescheduled": Scenario(
            Script(
                reconcile=[minutes_away, minutes_away, waiting(), following(), closed("completed")],
                dispatch=[DISPATCHED],
            ).answer,
            signalled((1, BotSignal.CLAIM), (2, BotSignal.RESCHEDULE), (4, BotSignal.BACKEND_REPORTED)),
        ),
        "bot_cancelled": Scenario(
            Script(reconcile=[minutes_away, closed("cancelled")]).answer, signalled((1, BotSignal.CANCEL))
        ),
        "bot_waited_for_start": Scenario(
            Script(
                reconcile=[near := waiting(4 * SECOND), near, closed("completed")],
                dispatch=[WAIT_FOR_START, DISPATCHED],
            ).answer,
            to_the_end,
        ),
        "bot_restless": Scenario(
            Script(
                reconcile=[*[waiting()] * 8, closed("cancelled")], dispatch=[*[CHANGED] * 7, OUTAGE, DISPATCHED]
            ).answer,
            to_the_end,
        ),
        "bot_refused": Scenario(
            Script(
                reconcile=[waiting(), closed("failed")], dispatch=[DispatchResult(DispatchOutcome.REFUSED, "not_found")]
            ).answer,
            to_the_end,
        ),
        "bot_recalled": Scenario(
            Script(
                reconcile=[following(), recalling(), waiting(), recalling(), closed("cancelled")],
                recall=[OUTAGE, waiting(), closed("cancelled")],
                dispatch=[DISPATCHED],
            ).answer,
            signalled((1, BotSignal.RELEASE)),
        ),
        "bot_continued": Scenario(
            Script(reconcile=[*[minutes_away] * 4, waiting(), closed("completed")], dispatch=[DISPATCHED]).answer,
            signalled(*[(times, BotSignal.CLAIM) for times in range(1, 5)], rounds_per_run=2),
        ),
    }


def calendars() -> dict[str, Scenario]:
    return {
        "calendar_user_hour": hour_of_a_calendar(),
        "calendar_user_shared_meeting": shared_meeting(),
        "calendar_user_signalled": Scenario(Script(sync=[QUIET, QUIET, QUIET, QUIET, GONE]).answer, every_signal),
        "calendar_user_failing": Scenario(
            Script(
                sync=[
                    *[RetryLater("provider_unavailable", SAID, retry_after=SECOND)] * 4,
                    SyncResult(CalendarUserStatus.NEEDS_RECONNECT, "d_none", None, error="invalid_grant"),
                    QUIET,
                    GONE,
                ]
            ).answer,
            one_calendar,
        ),
        "calendar_user_disconnected": disconnected(),
        "calendar_user_hanging": hanging(),
        "calendar_user_push": push(),
    }


async def one_calendar(harness: Harness) -> None:
    await (await harness.connect(interval_seconds=1)).result()


async def every_signal(harness: Harness) -> None:
    handle = await harness.connect(interval_seconds=3600)
    signals = (
        CalendarUserSignal.RULES_CHANGED,
        CalendarUserSignal.SYNC_NOW,
        CalendarUserSignal.RECONNECTED,
        CalendarUserSignal.SYNC_NOW,
    )
    for times, signal in enumerate(signals, start=1):
        await called(harness, ActivityName.CALENDAR_SYNC, times)
        await handle.signal(signal)
    await handle.result()


def meeting(starts_in: timedelta) -> Target:
    start = datetime.now(UTC) + starts_in
    return Target(start, start + HOUR, LINK)


def hour_of_a_calendar() -> Scenario:
    """Several meetings start, one moves, some are released together, over several runs."""
    simulation = Simulation(lead=SECOND)
    for number in range(6):
        simulation.put("cu_1", f"mtg_{number}", meeting(HOUR))
    simulation.put("cu_1", "mtg_soon", meeting(6 * SECOND))
    changes: dict[int, Callable[[], None]] = {
        3: lambda: simulation.move("mtg_0", HOUR),
        5: lambda: simulation.cancel("mtg_1", "mtg_2", "mtg_3"),
        6: lambda: simulation.put("cu_1", "mtg_late", meeting(2 * HOUR)),
        12: lambda: simulation.gone.add("cu_1"),
    }
    syncs = 0

    async def answer(call: Call) -> Any:
        nonlocal syncs
        if call.name == "calendar.sync":
            syncs += 1
            changes.pop(syncs, lambda: None)()
        return await simulation.answer(call)

    async def run(harness: Harness) -> None:
        handle = await harness.connect(interval_seconds=1, rounds_per_run=4)
        await handle.result()
        for key in sorted(simulation.bots):
            await harness.bot(key).result()

    return Scenario(answer, run)


def shared_meeting() -> Scenario:
    """Two users in one meeting: the second one finds the bot running."""
    simulation = Simulation()
    for user in ("cu_1", "cu_2"):
        simulation.put(user, "mtg_1", meeting(HOUR))

    async def run(harness: Harness) -> None:
        for user in ("cu_1", "cu_2"):
            await harness.connect(user, interval_seconds=1)
            await asyncio.sleep(2)
        for user in ("cu_1", "cu_2"):
            simulation.gone.add(user)
            await harness.calendar(user).result()
        await harness.bot().result()

    return Scenario(simulation.answer, run)


def disconnected() -> Scenario:
    """Disconnected while a sync is being retried, with bots to be released."""
    simulation = Simulation()
    for number in range(3):
        simulation.put("cu_1", f"mtg_{number}", meeting(HOUR))
    syncs = 0

    async def answer(call: Call) -> Any:
        nonlocal syncs
        if call.name == "calendar.sync":
            syncs += 1
            if syncs > 2:
                raise RetryLater("provider_unavailable", SAID, retry_after=HOUR / 6)
        return await simulation.answer(call)

    async def run(harness: Harness) -> None:
        handle = await harness.connect(interval_seconds=1)
        await called(harness, ActivityName.CALENDAR_SYNC, 3)
        simulation.gone.add("cu_1")
        await handle.signal(CalendarUserSignal.DISCONNECT)
        await handle.result()
        for number in range(3):
            await harness.bot(f"mtg_{number}").result()

    return Scenario(answer, run)


def hanging() -> Scenario:
    """Rules change while the provider hangs.

    They are applied beside the sync, and again after it.
    """
    applied = asyncio.Event()

    async def hang(call: Call) -> SyncResult:
        await asyncio.wait_for(applied.wait(), timeout=30)
        return QUIET

    def apply(call: Call) -> SyncResult:
        applied.set()
        return QUIET

    async def run(harness: Harness) -> None:
        handle = await harness.connect(interval_seconds=3600)
        await called(harness, ActivityName.CALENDAR_SYNC, 1)
        await handle.signal(CalendarUserSignal.RULES_CHANGED)
        await handle.result()

    return Scenario(Script(sync=[hang, apply, GONE]).answer, run)


def push() -> Scenario:
    """Push is due: seen to beside what else is due, then without success; then polls relax."""
    synced_again = asyncio.Event()
    due = replace(QUIET, push_due=True)

    async def hang(call: Call) -> None:
        await asyncio.wait_for(synced_again.wait(), timeout=30)

    def sync_again(call: Call) -> SyncResult:
        synced_again.set()
        return QUIET

    async def run(harness: Harness) -> None:
        handle = await harness.connect(interval_seconds=3600)
        await called(harness, ActivityName.CALENDAR_ENSURE_PUSH, 1)
        await handle.signal(CalendarUserSignal.SYNC_NOW)
        await called(harness, ActivityName.CALENDAR_SYNC, 2)
        await handle.signal(CalendarUserSignal.SYNC_NOW)
        await handle.result()

    relaxed = replace(QUIET, wait_seconds=1)
    return Scenario(
        Script(sync=[due, sync_again, replace(due, wait_seconds=1), relaxed, GONE], ensure_push=[hang, OUTAGE]).answer,
        run,
    )


def webhooks() -> dict[str, Scenario]:
    retry = DeliveryResult(DeliveryVerdict.RETRY, 503)
    return {
        "webhook_delivered": Scenario(
            Script(deliver=[DeliveryResult(DeliveryVerdict.DELIVERED, 200)]).answer, delivery
        ),
        "webhook_retried": Scenario(
            Script(deliver=[retry, OUTAGE, replace(retry, retry_after_seconds=2), retry]).answer, delivery
        ),
        "webhook_stopped": Scenario(
            Script(deliver=[retry, DeliveryResult(DeliveryVerdict.STOP, 410)]).answer, delivery
        ),
    }


async def delivery(harness: Harness) -> None:
    workflow_id = webhook_workflow_id(harness.tenant_id, "dlv_1", 0)
    harness.started.add(workflow_id)
    start = WebhookStart(harness.tenant_id, "dlv_1", schedule_seconds=(0, 1, 1))
    await harness.client.start_workflow(WorkflowName.WEBHOOK, start, id=workflow_id, task_queue=TaskQueue.WEBHOOKS)
    await harness.client.get_workflow_handle(workflow_id).result()


def erasures() -> dict[str, Scenario]:
    refusals = [RetryLater("login_unavailable", SAID)]

    async def answer(call: Call) -> Any:
        """The provider answers at the second attempt; the bot that is woken has nothing left to do."""
        match call.name:
            case ActivityName.ERASURE_WITHDRAW:
                return WithdrawnBots(("mtg_1",)) if call.request.after else WithdrawnBots((), after="mtg_0")
            case ActivityName.ERASURE_REVOKE if refusals:
                raise refusals.pop()
            case ActivityName.BOT_RECONCILE:
                return NextStep(StepKind.CLOSE)
        return None

    return {"erasure_revoked_later": Scenario(answer, erasing)}


async def erasing(harness: Harness) -> None:
    workflow_id = erasure_workflow_id(harness.tenant_id, "era_1")
    harness.started.add(workflow_id)
    start = ErasureStart(harness.tenant_id, "era_1", "cu_1")
    await harness.client.start_workflow(WorkflowName.ERASURE, start, id=workflow_id, task_queue=TaskQueue.ERASURES)
    await harness.client.get_workflow_handle(workflow_id).result()
