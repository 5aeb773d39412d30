"""Starting and signalling on a real Temporal server, from threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from temporalio.client import WorkflowHandle

from api.orchestrator import TemporalOrchestrator
from meetbot.domain.ids import new_id
from meetbot.storage.calendar_users import CalendarUserRef
from meetbot.temporal.calendar_messages import CheckRequest
from meetbot.temporal.client import connect
from meetbot.temporal.connect_messages import connect_workflow_id
from meetbot.temporal.messages import CalendarUserSignal, calendar_user_workflow_id
from meetbot.temporal.search_attributes import CALENDAR_PROVIDER, CALENDAR_USER_ID, TENANT_ID

pytestmark = pytest.mark.stack


class LoopThread:
    """An event loop of its own, as a server has one beside its request threads."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=30)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(timeout=10)
        self.loop.close()


@pytest.fixture
def loop_thread() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.stop()


@pytest.fixture
def orchestrator(loop_thread: LoopThread, temporal_address: str) -> TemporalOrchestrator:
    made = TemporalOrchestrator(loop_thread.loop, sync_interval_seconds=300)
    loop_thread.run(made.keep_connecting(temporal_address))
    return made


@pytest.fixture
def user() -> CalendarUserRef:
    return CalendarUserRef(new_id("ten"), new_id("cu"), "google")


async def _described(address: str, user: CalendarUserRef) -> tuple[Any, list[str]]:
    client = await connect(address)
    handle: WorkflowHandle[Any, Any] = client.get_workflow_handle(calendar_user_workflow_id(user.tenant_id, user.id))
    described = await handle.describe()
    history = await handle.fetch_history()
    names = [
        event.workflow_execution_signaled_event_attributes.signal_name
        for event in history.events
        if event.HasField("workflow_execution_signaled_event_attributes")
    ]
    return described, names


def test_a_calendar_users_workflow_is_started_once_and_can_be_found(
    orchestrator: TemporalOrchestrator, loop_thread: LoopThread, temporal_address: str, user: CalendarUserRef
) -> None:
    assert orchestrator.start_calendar_user(user)
    first, _ = loop_thread.run(_described(temporal_address, user))
    assert orchestrator.start_calendar_user(user)
    again, signals = loop_thread.run(_described(temporal_address, user))
    assert (first.run_id, signals) == (again.run_id, [])
    attributes = again.typed_search_attributes
    assert [attributes.get(key) for key in (TENANT_ID, CALENDAR_USER_ID, CALENDAR_PROVIDER)] == [
        user.tenant_id,
        user.id,
        "google",
    ]
    assert again.task_queue == "calendar-users"


def test_a_signal_makes_up_for_a_start_that_was_lost(
    orchestrator: TemporalOrchestrator, loop_thread: LoopThread, temporal_address: str, user: CalendarUserRef
) -> None:
    for signal in (CalendarUserSignal.RULES_CHANGED, CalendarUserSignal.SYNC_NOW):
        assert orchestrator.signal_calendar_user(user, signal)
    _, signals = loop_thread.run(_described(temporal_address, user))
    assert signals == ["rules_changed", "sync_now"]


def test_many_are_signalled_at_once(
    orchestrator: TemporalOrchestrator, loop_thread: LoopThread, temporal_address: str
) -> None:
    users = [CalendarUserRef("ten_many", new_id("cu"), "google") for _ in range(20)]
    assert orchestrator.signal_calendar_users(users, CalendarUserSignal.RULES_CHANGED)
    for user in users:
        assert loop_thread.run(_described(temporal_address, user))[1] == ["rules_changed"]


def test_a_bot_whose_workflow_has_closed_needs_no_signal(orchestrator: TemporalOrchestrator) -> None:
    assert orchestrator.cancel_bot("ten_x", "mtg_x")
    assert orchestrator.backend_reported("ten_x", "mtg_x")


def test_before_the_first_connection_nothing_raises_and_nothing_waits(
    loop_thread: LoopThread, user: CalendarUserRef
) -> None:
    orchestrator = TemporalOrchestrator(loop_thread.loop, sync_interval_seconds=300)
    assert not orchestrator.start_calendar_user(user)
    assert not orchestrator.check()


def test_a_connected_server_is_ready(orchestrator: TemporalOrchestrator) -> None:
    assert orchestrator.check()


def test_an_exchange_that_no_worker_carries_out_is_waited_for_in_bounds(
    orchestrator: TemporalOrchestrator,
    loop_thread: LoopThread,
    temporal_address: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("api.orchestrator._WAITING_SECONDS", 0.2)
    assert not orchestrator.exchange_code("ten_x", "con_x", "google")
    assert orchestrator.probe_oauth_app("ten_x", "oap_x") is None

    async def queue() -> str:
        client = await connect(temporal_address)
        return (await client.get_workflow_handle(connect_workflow_id("ten_x", "con_x")).describe()).task_queue

    assert loop_thread.run(queue()) == "connects"


def test_a_request_does_not_wait_behind_too_many_others(
    orchestrator: TemporalOrchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orchestrator, "_places", threading.BoundedSemaphore(1))
    monkeypatch.setattr(orchestrator, "_wait", _only_start(orchestrator._wait))
    with orchestrator._places:
        assert not orchestrator.exchange_code("ten_x", "con_y", "google")


def _only_start(wait: Any) -> Any:
    def waited(what: str, work: Any, **bounds: float) -> bool:
        assert not bounds, "it waits for the end"
        return bool(wait(what, work))

    return waited


def test_a_check_that_no_worker_carries_out_is_waited_for_in_bounds(
    orchestrator: TemporalOrchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.orchestrator._CHECK_WAIT_SECONDS", 0.2)
    answer = orchestrator.check_calendar_user(CheckRequest("ten_x", "cu_x"))
    assert (answer.is_reached, answer.result) == (True, None)


def test_without_temporal_a_check_says_that_it_was_not_reached(loop_thread: LoopThread) -> None:
    unconnected = TemporalOrchestrator(loop_thread.loop, sync_interval_seconds=300)
    assert not unconnected.check_calendar_user(CheckRequest("ten_x", "cu_x")).is_reached


def test_without_temporal_an_exchange_is_not_over(loop_thread: LoopThread) -> None:
    unconnected = TemporalOrchestrator(loop_thread.loop, sync_interval_seconds=300)
    assert not unconnected.exchange_code("ten_x", "con_x", "google")
    assert unconnected.probe_oauth_app("ten_x", "oap_x") is None
