"""Hold the bots of a process until their instant, and launch them together.

One for each worker process, on its event loop. A bot that is held costs a coroutine: no thread, and no heartbeats. What blocks
is done in threads, in batches where that is cheaper: the claims and the notes of a tenant's bots in one transaction each.
The workflow decides that a bot is to go, and learns what came of it when its activity is completed from here; the row of
the hold tells every process who holds the bot, and by which token the activity is completed (decision 0027).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol, TypeVar

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.batches import Batches
from activities.dispatch import CHANGED, TRIES, Armed, Asked, DispatchSteps
from activities.interceptors import application_error
from activities.pulse import Pulse
from activities.sending import Sending
from activities.warming import Warming
from meetbot.bots.launch import claim_ahead, look_ahead
from meetbot.bots.launch_batches import Intended
from meetbot.storage import launch_holds
from meetbot.storage.database import Database
from meetbot.storage.launch_holds import HeldTarget
from meetbot.temporal.messages import ActivityName, DispatchOutcome, DispatchRequest, DispatchResult

_ARMING_THREADS = 12
_LOOKING_THREADS = 24
_STORING_THREADS = 6
_TICK_SECONDS = 0.5
# The workflow's own activity is given until then to hand the bot over; from then on the row alone is enough.
_OVERLOOKED_AHEAD = timedelta(seconds=3)
_OVERLOOKED_FOR = timedelta(minutes=2)
_MOST_OVERLOOKED = 500
# A bot that was found overlooked and could not go is not asked about again for so long.
_LEFT_ALONE = timedelta(seconds=20)
# Who waits for the result of a launch waits while others are to be sent within this time, but no longer than that.
_BUSY_AHEAD = timedelta(seconds=1.5)
_LONGEST_BUSY_SECONDS = 10.0
_GAP_SECONDS = 0.2
_CROWD = 10
_TICKS_PER_CHECK = 10
_STOP_SECONDS = 15.0
_T = TypeVar("_T")
_Key = tuple[str, str, int]
_Outcome = DispatchResult | ApplicationError
_log = structlog.get_logger(__name__)


class Completer(Protocol):
    """Tells a workflow what its activity came to."""

    async def complete(self, task_token: bytes, outcome: DispatchResult | ApplicationError) -> None:
        """Complete the activity, or fail it. One that nobody waits for any more is no error."""
        ...


@dataclass(slots=True)
class _Held:
    request: DispatchRequest
    armed: Armed | None = None
    task: asyncio.Task[None] | None = None
    # Set when the meeting was cancelled or moved while the bot was held.
    overtaken: asyncio.Event = field(default_factory=asyncio.Event)
    is_sending: bool = False


class Launcher:
    """The bots that this process holds. Call `run` first; `dispatch` is the activity."""

    def __init__(self, database: Database, steps: DispatchSteps, clock: Callable[[], datetime]) -> None:
        self._database, self._steps, self._clock = database, steps, clock
        self._pulse = Pulse(database)
        self._completer: Completer | None = None
        self._held: dict[_Key, _Held] = {}
        # How many of them are due in each second.
        self._due: Counter[int] = Counter()
        self._left_alone: dict[_Key, datetime] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ticks = 0
        self._lull: asyncio.Task[None] | None = None
        self._sending = Sending(steps)
        self._arming, self._looking = _pool(_ARMING_THREADS, "arming"), _pool(_LOOKING_THREADS, "looking")
        self._storing = _pool(_STORING_THREADS, "storing")
        self._warming = Warming(clock, self._warm)
        self._holds = Batches[tuple[DispatchRequest, bytes | None], int](self._hold_all, self._storing)
        self._claims = Batches[Armed, Intended | None](steps.write_intents, self._storing)
        self._notes = Batches[Asked, DispatchResult](steps.record_all, self._storing)
        self._releases = Batches[DispatchRequest, bytes | None](self._release_all, self._storing)

    @activity.defn(name=ActivityName.BOT_DISPATCH)
    async def dispatch(self, request: DispatchRequest) -> DispatchResult:
        """Take the bot; the activity is completed when its dispatch has come to something."""
        await self.hold(request, activity.info().task_token)
        activity.raise_complete_async()

    def is_crowded(self) -> bool:
        """Return whether many bots are being sent, or are about to be."""
        now = int(self._clock().timestamp())
        return sum(self._due[second] for second in range(now - 1, now + 3)) >= _CROWD

    async def hold(self, request: DispatchRequest, task_token: bytes | None) -> None:
        """Hold a bot until its instant, unless another process does already."""
        holder = await self._holds.submit(request.tenant_id, (request, task_token))
        if holder == self._pulse.holder:
            self._begin(request)

    async def run(self, completer: Completer, stop: asyncio.Event) -> None:
        """Launch what is held until `stop` is set.

        Then finish what is being sent, and leave the rest to others.
        """
        self._completer = completer
        try:
            while not stop.is_set():
                await self._tick()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), timeout=_TICK_SECONDS)
        finally:
            await self._let_go()

    async def _tick(self) -> None:
        for duty in (self._beat, self._take_overlooked, self._notice_changes):
            try:
                await duty()
            except Exception as error:
                # The next tick tries again; the text may quote a row.
                _log.error("launcher.tick_failed", duty=duty.__name__.strip("_"), code=type(error).__name__)

    async def _beat(self) -> None:
        await self._in(self._storing, self._pulse.beat)
        taken = await self._in(self._storing, self._pulse.take_over)
        if taken:
            _log.warning("launcher.took_over", bots=len(taken))
        if self._ticks % _TICKS_PER_CHECK == 0:
            taken += await self._in(self._storing, self._find_own)
        self._ticks += 1
        for request in taken:
            self._begin(request)

    def _find_own(self) -> list[DispatchRequest]:
        """Return what the rows say that we hold.

        After a fault of the database it may be more than we know.
        """
        with self._database.relay() as session:
            return launch_holds.held_by(session, self._pulse.holder)

    async def _take_overlooked(self) -> None:
        """Hold bots that are nearly due and were not handed over, as when Temporal is slow."""
        now = self._clock()
        self._left_alone = {key: until for key, until in self._left_alone.items() if until > now}
        found = await self._in(self._storing, partial(self._find_overlooked, now))
        overlooked = [request for request in found if _key(request) not in self._left_alone]
        self._left_alone.update({_key(request): now + _LEFT_ALONE for request in overlooked})
        await asyncio.gather(*(self.hold(request, None) for request in overlooked))

    def _find_overlooked(self, now: datetime) -> list[DispatchRequest]:
        with self._database.relay() as session:
            return launch_holds.overlooked(
                session, since=now - _OVERLOOKED_FOR, until=now + _OVERLOOKED_AHEAD, most=_MOST_OVERLOOKED
            )

    async def _notice_changes(self) -> None:
        """End the wait of bots whose meeting was cancelled or moved."""
        waiting: dict[str, list[HeldTarget]] = {}
        for held in self._held.values():
            if held.armed is not None and not held.is_sending:
                due, request = held.armed.due, held.request
                target = HeldTarget(request.bot_id, request.generation, due.dispatch_at, due.target_digest)
                waiting.setdefault(request.tenant_id, []).append(target)
        for tenant_id, targets in waiting.items():
            for bot_id in await self._in(self._storing, partial(self._find_overtaken, tenant_id, targets)):
                for key, held in self._held.items():
                    if key[:2] == (tenant_id, bot_id):
                        held.overtaken.set()

    def _find_overtaken(self, tenant_id: str, targets: Sequence[HeldTarget]) -> set[str]:
        with self._database.transaction(tenant_id) as session:
            return launch_holds.overtaken(session, tenant_id, targets)

    def _begin(self, request: DispatchRequest) -> None:
        key = _key(request)
        if key in self._held:
            return
        held = self._held[key] = _Held(request)
        held.task = asyncio.create_task(self._launch(key, held))
        self._tasks.add(held.task)
        held.task.add_done_callback(self._tasks.discard)

    async def _launch(self, key: _Key, held: _Held) -> None:
        outcome: _Outcome
        try:
            outcome = await self._try_to_launch(held)
        except Exception as error:
            outcome = application_error(error)
            _log.warning("launcher.failed", bot_id=held.request.bot_id, code=outcome.type)
        finally:
            self._disarm(held)
        try:
            await self._while_others_are_sent()
            # Before the row goes, so that a dispatch of the same bot that comes meanwhile is begun anew.
            self._held.pop(key, None)
            token = await self._releases.submit(held.request.tenant_id, held.request)
        except Exception as error:
            # The row stays, and is found again.
            _log.error("launcher.not_released", bot_id=held.request.bot_id, code=type(error).__name__)
            return
        finally:
            self._held.pop(key, None)
        if token is not None and self._completer is not None:
            await self._completer.complete(token, outcome)

    async def _try_to_launch(self, held: _Held) -> DispatchResult:
        for _ in range(TRIES):
            armed = await self._in(self._arming, partial(self._steps.arm, held.request))
            result = armed if isinstance(armed, DispatchResult) else await self._to_the_instant(held, armed)
            if result.outcome is not DispatchOutcome.CHANGED:
                return result
            self._disarm(held)
            if not await self._in(self._arming, partial(self._steps.is_still_due, held.request)):
                return result
        return CHANGED

    async def _to_the_instant(self, held: _Held, armed: Armed) -> DispatchResult:
        self._arm(held, armed)
        request, at = held.request, armed.due.dispatch_at
        self._warming.expect(at)
        look_at = at - look_ahead(request.bot_id, self._due_with(at))
        if self._clock() < look_at:
            if await self._is_overtaken_before(held, look_at):
                return CHANGED
            if not await self._steps.is_settled(armed):
                stopped = await self._in(self._looking, partial(self._steps.look_again, armed))
                if stopped is not None:
                    return stopped
        await self._until(at - claim_ahead(self._due_with(at)))
        held.is_sending = True
        intended = await self._claims.submit(request.tenant_id, armed)
        if intended is None:
            return CHANGED
        await self._until(at)
        return await self._notes.submit(request.tenant_id, await self._sending.ask(intended))

    async def _warm(self, second: int) -> None:
        due = (held.armed for held in self._held.values() if held.armed is not None)
        await self._steps.warm([armed for armed in due if _second(armed.due.dispatch_at) == second])

    async def _is_overtaken_before(self, held: _Held, instant: datetime) -> bool:
        """Wait until then; True as soon as the meeting is known to be another one by now."""
        held.overtaken.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(held.overtaken.wait(), self._seconds_until(instant))
        await self._until(instant if not held.overtaken.is_set() else self._clock())
        return held.overtaken.is_set()

    async def _until(self, instant: datetime) -> None:
        """Return at the instant or just after it, never before."""
        while (seconds := self._seconds_until(instant)) > 0:  # noqa: ASYNC110 - the clock is another than the loop's
            await asyncio.sleep(seconds)

    def _seconds_until(self, instant: datetime) -> float:
        return (instant - self._clock()).total_seconds()

    def _arm(self, held: _Held, armed: Armed) -> None:
        held.armed = armed
        self._due[_second(armed.due.dispatch_at)] += 1

    def _disarm(self, held: _Held) -> None:
        if held.armed is not None:
            second = _second(held.armed.due.dispatch_at)
            self._due[second] -= 1
            if not self._due[second]:
                del self._due[second]
        held.armed, held.is_sending = None, False

    def _due_with(self, at: datetime) -> int:
        """Return how many bots are held for the same second."""
        return self._due[_second(at)]

    async def _while_others_are_sent(self) -> None:
        """Wait while bots are sent.

        What a workflow does with the result would take the CPU time that they need.
        """
        if self._lull is None or self._lull.done():
            # One looks for all who wait.
            self._lull = asyncio.create_task(self._wait_for_a_lull())
        await asyncio.shield(self._lull)

    async def _wait_for_a_lull(self) -> None:
        ends_at = asyncio.get_running_loop().time() + _LONGEST_BUSY_SECONDS
        while self._is_busy() and asyncio.get_running_loop().time() < ends_at:  # noqa: ASYNC110 - time makes it so
            await asyncio.sleep(_GAP_SECONDS)

    def _is_busy(self) -> bool:
        soon = self._clock() + _BUSY_AHEAD
        return any(
            held.armed is not None and (held.is_sending or held.armed.due.dispatch_at <= soon)
            for held in self._held.values()
        )

    def _hold_all(self, tenant_id: str, asked: Sequence[tuple[DispatchRequest, bytes | None]]) -> Sequence[int]:
        with self._database.transaction(tenant_id) as session:
            holders = launch_holds.hold(session, tenant_id, self._pulse.holder, asked)
        return [holders[request.bot_id] for request, _ in asked]

    def _release_all(self, tenant_id: str, done: Sequence[DispatchRequest]) -> Sequence[bytes | None]:
        with self._database.transaction(tenant_id) as session:
            tokens = launch_holds.release(session, tenant_id, done)
        return [tokens.get(request.bot_id) for request in done]

    async def _in(self, pool: ThreadPoolExecutor, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(pool, work)

    async def _let_go(self) -> None:
        """Finish what is being sent; end the pulse, so that others take over what waits."""
        for held in self._held.values():
            if not held.is_sending and held.task is not None:
                held.task.cancel()
        await self._warming.stop()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=_STOP_SECONDS)
        await self._in(self._storing, self._pulse.stop)
        await self._steps.close()
        for pool in (self._arming, self._looking, self._storing):
            pool.shutdown(wait=False, cancel_futures=True)


def _second(instant: datetime) -> int:
    return int(instant.timestamp())


def _key(request: DispatchRequest) -> _Key:
    return request.tenant_id, request.bot_id, request.generation


def _pool(threads: int, name: str) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix=name)
