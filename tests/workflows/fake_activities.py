"""A server with our workers, and activities whose answers a test decides."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import sysconfig
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from temporalio import activity
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client, WorkflowHandle
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.interceptors import ErrorCodes, Heartbeats
from meetbot.temporal.calendar_messages import PushRequest
from meetbot.temporal.client import plugin
from meetbot.temporal.messages import (
    ActivityName,
    BotStart,
    CalendarUserState,
    DispatchRequest,
    DispatchResult,
    MeetingRef,
    NextStep,
    SyncRequest,
    SyncResult,
    TaskQueue,
    WorkflowName,
    bot_workflow_id,
    calendar_user_workflow_id,
)
from meetbot.temporal.search_attributes import MEETBOT_STATE, SEARCH_ATTRIBUTES, TENANT_ID
from workflows.bot import BotWorkflow
from workflows.calendar_user import CalendarUserWorkflow

TEST_SERVER = Path(sysconfig.get_path("scripts")) / "temporal-test-server"
# More rounds than any test needs: the time-skipping server stalls when a child outlives its parent's run.
WITHOUT_END = 100_000
Handle = WorkflowHandle[Any, Any]
_T = TypeVar("_T")
_tenant_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Call:
    """An activity that was asked for, and when."""

    name: str
    at: datetime
    request: Any


Answer = Callable[[Call], Awaitable[Any]]


class UnexpectedCall(ApplicationError):
    """A workflow asked for an activity that the test did not expect."""

    def __init__(self, call: Call) -> None:
        super().__init__(f"nothing is left in the script for {call.name}", non_retryable=True)


class FakeActivities:
    """All activities of calendar users and bots; ``answer`` decides what they return."""

    def __init__(self, answer: Answer, tenant_ids: Collection[str]) -> None:
        self._answer = answer
        self._tenant_ids = tenant_ids
        self.calls: list[Call] = []
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @activity.defn(name=ActivityName.CALENDAR_SYNC)
    async def sync(self, request: SyncRequest) -> SyncResult:
        return await self._call(request, SyncResult)

    @activity.defn(name=ActivityName.CALENDAR_ENSURE_PUSH)
    async def ensure_push(self, request: PushRequest) -> None:
        await self._call(request, type(None))

    @activity.defn(name=ActivityName.BOT_RECONCILE)
    async def reconcile(self, ref: MeetingRef) -> NextStep:
        return await self._call(ref, NextStep)

    @activity.defn(name=ActivityName.BOT_DISPATCH)
    async def dispatch(self, request: DispatchRequest) -> DispatchResult:
        return await self._call(request, DispatchResult)

    @activity.defn(name=ActivityName.BOT_RECALL)
    async def recall(self, ref: MeetingRef) -> NextStep:
        return await self._call(ref, NextStep)

    @activity.defn(name=ActivityName.BOT_FOLLOW)
    async def follow(self, ref: MeetingRef) -> NextStep:
        return await self._call(ref, NextStep)

    async def _call(self, request: Any, kind: type[_T]) -> _T:
        info = activity.info()
        call = Call(info.activity_type, info.current_attempt_scheduled_time, request)
        self.calls.append(call)
        try:
            # A workflow that another test left on the server would be run to its end here, and counted.
            assert request.tenant_id in self._tenant_ids, f"{request.tenant_id} is not of this test"
            answer = await self._answer(call)
            assert isinstance(answer, kind)
        except (AssertionError, UnexpectedCall) as error:
            if not self.broken.done():
                self.broken.set_exception(error)
            raise
        return answer


class Script:
    """The answers of activities in their order, by the last part of the activity's name.

    An answer is a result, an exception to raise, or a function of the call that returns a result. A call beyond the script
    ends the test with `UnexpectedCall`.
    """

    def __init__(self, **steps: list[Any]) -> None:
        self._steps = steps

    async def answer(self, call: Call) -> Any:
        steps = self._steps.get(call.name.rpartition(".")[2], [])
        if not steps:
            raise UnexpectedCall(call)
        step = steps.pop(0)
        if isinstance(step, Exception):
            raise step
        if not callable(step):
            return step
        answer = step(call)
        return await answer if inspect.isawaitable(answer) else answer


@dataclass(frozen=True, slots=True)
class Harness:
    """A server with our workers on it, for one test.

    It has a tenant of its own and ends the workflows that it started.
    """

    client: Client
    activities: FakeActivities
    tenant_id: str
    skipping: Callable[[], AbstractAsyncContextManager[None]]
    started: set[str] = field(default_factory=set)

    @property
    def calls(self) -> list[Call]:
        return self.activities.calls

    def called(self, name: str) -> list[Call]:
        return [call for call in self.calls if call.name == name]

    @property
    def bot_steps(self) -> list[str]:
        """The activities of bots in the order in which they were asked for, by their short names."""
        return [call.name.removeprefix("bot.") for call in self.calls if call.name.startswith("bot.")]

    async def connect(self, user: str = "cu_1", **state: Any) -> Handle:
        """Start a calendar user's workflow."""
        handle = self.calendar(user)
        defaults: dict[str, Any] = {"provider": "google", "interval_seconds": 300, "rounds_per_run": WITHOUT_END}
        await self.client.start_workflow(
            WorkflowName.CALENDAR_USER,
            CalendarUserState(tenant_id=self.tenant_id, calendar_user_id=user, **(defaults | state)),
            id=handle.id,
            task_queue=TaskQueue.CALENDAR_USERS,
            search_attributes=_search_attributes(self.tenant_id, "connecting"),
        )
        return handle

    async def start_bot(
        self, key: str = "mtg_1", *, rounds_per_run: int = WITHOUT_END, follows_what_was_sent: bool = True
    ) -> Handle:
        handle = self.bot(key)
        await self.client.start_workflow(
            WorkflowName.BOT,
            BotStart(self.tenant_id, key, rounds_per_run, follows_what_was_sent),
            id=handle.id,
            task_queue=TaskQueue.BOTS,
            search_attributes=_search_attributes(self.tenant_id, "scheduled"),
        )
        return handle

    def calendar(self, user: str = "cu_1") -> Handle:
        return self._handle(calendar_user_workflow_id(self.tenant_id, user))

    def bot(self, key: str = "mtg_1") -> Handle:
        """Return a handle of the workflow of a meeting's bot."""
        return self._handle(bot_workflow_id(self.tenant_id, key))

    def _handle(self, workflow_id: str) -> Handle:
        self.started.add(workflow_id)
        return self.client.get_workflow_handle(workflow_id)

    async def run(self, scenario: Callable[[Harness], Awaitable[_T]]) -> _T:
        """Return what the scenario returns; fail at once if an activity is called unexpectedly."""
        running = asyncio.ensure_future(scenario(self))
        either: set[asyncio.Future[Any]] = {running, self.activities.broken}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if self.activities.broken.done():
            running.cancel()
            await asyncio.wait({running})
            self.activities.broken.result()
        return await running

    async def end_of(self, handle: Handle) -> Any:
        """Return the workflow's result; time is skipped until then if the server can."""
        async with self.skipping():
            return await handle.result()

    async def clear(self) -> None:
        for workflow_id in sorted(self.started):
            with contextlib.suppress(RPCError):
                await self.client.get_workflow_handle(workflow_id).terminate("the test is over")


@asynccontextmanager
async def running_workers(
    client: Client,
    answer: Answer,
    *,
    tenant_ids: Sequence[str] = (),
    skipping: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
) -> AsyncIterator[Harness]:
    """Run our workers on a server, with fake activities, for these tenants or for a new one."""
    tenant_ids = tenant_ids or [f"tnt_{next(_tenant_numbers)}"]
    fakes = FakeActivities(answer, tenant_ids)
    harness = Harness(client, fakes, tenant_ids[0], skipping)
    of_bots: list[Callable[..., Any]] = [fakes.reconcile, fakes.dispatch, fakes.recall, fakes.follow]
    around = [ErrorCodes(), Heartbeats()]
    async with (
        Worker(client, task_queue=TaskQueue.CALENDAR_USERS, workflows=[CalendarUserWorkflow]),
        Worker(client, task_queue=TaskQueue.BOTS, workflows=[BotWorkflow]),
        Worker(client, task_queue=TaskQueue.SYNC, activities=[fakes.sync], interceptors=around),
        Worker(client, task_queue=TaskQueue.PUSH, activities=[fakes.ensure_push], interceptors=around),
        Worker(client, task_queue=TaskQueue.DISPATCH, activities=of_bots, interceptors=around),
    ):
        try:
            yield harness
        finally:
            fakes.broken.cancel()
            await harness.clear()


async def start_time_skipping() -> WorkflowEnvironment:
    """Start a server that skips time.

    Its clock jumps to the next timer while a result is awaited and nothing else is to be done.
    """
    environment = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(TEST_SERVER), plugins=[plugin()]
    )
    await environment.client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(
            namespace=environment.client.namespace,
            search_attributes={key.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD for key in SEARCH_ATTRIBUTES},
        )
    )
    return environment


async def details_of(handle: Handle) -> str:
    """Return what the workflow shows an operator."""
    metadata: WorkflowMetadata = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    return metadata.current_details


def _search_attributes(tenant_id: str, state: str) -> TypedSearchAttributes:
    return TypedSearchAttributes([SearchAttributePair(TENANT_ID, tenant_id), SearchAttributePair(MEETBOT_STATE, state)])
