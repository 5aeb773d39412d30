"""A meeting, the answers about its bot, and a run of the bot's workflow in virtual time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from temporalio.client import WorkflowHistory

from meetbot.errors import BackendUnavailable
from meetbot.temporal.messages import ClaimChange, DispatchOutcome, DispatchRequest, DispatchResult, NextStep, StepKind
from tests.workflows.fake_activities import WITHOUT_END, Handle, Harness, Script
from tests.workflows.histories import history_of, timers_in
from tests.workflows.virtual_time import VirtualTime

HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
RECHECK_AHEAD = timedelta(seconds=102)
CHANGE = ClaimChange("cu_1")

DISPATCHED = DispatchResult(DispatchOutcome.DISPATCHED)
CHANGED = DispatchResult(DispatchOutcome.CHANGED)
WAIT_FOR_START = DispatchResult(DispatchOutcome.WAIT_FOR_START)
REFUSED = DispatchResult(DispatchOutcome.REFUSED, "not_found")
NO_BOT = NextStep(StepKind.CLOSE)
OUTAGE = BackendUnavailable("backend_unavailable", "down")


@dataclass(frozen=True, slots=True)
class Meeting:
    """A meeting and the next steps that reconciling it may come to."""

    join_at: datetime
    lasts: timedelta = 30 * MINUTE

    @property
    def recheck_at(self) -> datetime:
        return self.join_at - RECHECK_AHEAD

    @property
    def end_at(self) -> datetime:
        return self.join_at + self.lasts

    @property
    def waiting(self) -> NextStep:
        return self._step(StepKind.WAIT, "scheduled")

    @property
    def following(self) -> NextStep:
        return self._step(StepKind.FOLLOW, "recording")

    @property
    def recalling(self) -> NextStep:
        return self._step(StepKind.RECALL, "recording")

    def closed(self, state: str = "completed") -> NextStep:
        return self._step(StepKind.CLOSE, state)

    def _step(self, step: StepKind, state: str) -> NextStep:
        return NextStep(step, "bot_1", 1, state, self.recheck_at, self.join_at, self.end_at)


@dataclass(frozen=True, slots=True)
class Ran:
    harness: Harness
    history: WorkflowHistory

    @property
    def steps(self) -> list[str]:
        return self.harness.bot_steps

    @property
    def dispatches(self) -> list[DispatchRequest]:
        return [call.request for call in self.harness.called("bot.dispatch")]

    @property
    def waits(self) -> list[datetime]:
        """Until when it waited, to the millisecond, before the bot was last sent.

        If none was, all of its waits.
        """
        sent = [call.at for call in self.harness.called("bot.dispatch")]
        return [timer.due for timer in timers_in(self.history) if not sent or timer.due - timer.length < sent[-1]]


async def to_the_end(harness: Harness, handle: Handle) -> None:
    await harness.end_of(handle)


def run(
    virtual_time: VirtualTime,
    script: Script,
    scenario: Callable[[Harness, Handle], Awaitable[Any]] = to_the_end,
    *,
    rounds_per_run: int = WITHOUT_END,
) -> Ran:
    async def whole(harness: Harness) -> Ran:
        handle = await harness.start_bot(rounds_per_run=rounds_per_run)
        await scenario(harness, handle)
        return Ran(harness, await history_of(handle))

    return virtual_time.run(script.answer, whole)
