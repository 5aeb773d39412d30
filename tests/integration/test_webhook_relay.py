"""From the outbox to Temporal, and through the workflow to a customer's server.

All parts are real.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker

from activities.background import relay
from activities.background.relay import relay_once, run_relay
from activities.interceptors import ErrorCodes
from activities.webhooks import WebhookActivities
from meetbot.domain.ids import new_id
from meetbot.domain.webhook_state import EndpointState
from meetbot.errors import VaultUnavailable
from meetbot.settings import Region
from meetbot.storage import outbox, webhook_deliveries, webhook_endpoints
from meetbot.storage.database import Database, create_database
from meetbot.storage.tables import WebhookDelivery, WebhookEndpoint
from meetbot.temporal.client import connect
from meetbot.temporal.messages import DeliveryVerdict, TaskQueue, WorkflowName, webhook_workflow_id
from meetbot.vault.sealing import DataKey, SealedSecret, SecretBinding, kek_name, open_with, seal_with
from meetbot.webhooks.endpoint_secrets import secret_binding, stored_secret
from meetbot.webhooks.outbound import Outbound
from meetbot.webhooks.signing import new_secret
from tests.unit.webhooks.receiver import Receiver, Reply, running_receiver
from workflows.webhook import WebhookWorkflow

pytestmark = pytest.mark.stack

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
TEST_SECONDS = 60


class MemoryVault:
    """A vault that opens what `sealed` sealed, after as many outages as it was told.

    Sealing itself has tests of its own.
    """

    def __init__(self) -> None:
        self.outages = 0

    def open(self, tenant_id: str, sealed: SealedSecret, binding: SecretBinding) -> bytes:
        if self.outages:
            self.outages -= 1
            raise VaultUnavailable("vault_sealed", "canary-of-an-error-text")
        return open_with(bytes(32), sealed, binding)


@dataclass(frozen=True, slots=True)
class World:
    database: Database
    receiver: Receiver
    vault: MemoryVault
    temporal_address: str
    tenant_id: str

    def endpoint(self, tenant_id: str = "") -> str:
        tenant_id = tenant_id or self.tenant_id
        endpoint_id = new_id("whe")
        key = DataKey(bytes(32), "vault:v1:none", kek_name(tenant_id), 1)
        sealed = seal_with(key, new_secret().encode(), secret_binding(Region.EU, tenant_id, endpoint_id))
        endpoint = WebhookEndpoint(
            tenant_id=tenant_id,
            id=endpoint_id,
            url=f"http://127.0.0.1:{self.receiver.port}/canary-of-a-url",
            event_types=["*"],
            secrets=[stored_secret(sealed, datetime.now(UTC))],
        )
        with self.database.transaction(tenant_id) as session:
            webhook_endpoints.add(session, endpoint)
        return endpoint_id

    def emit(self, count: int = 1, tenant_id: str = "") -> None:
        tenant_id = tenant_id or self.tenant_id
        messages = [outbox.Message("bot.joined", {"title": "canary-of-a-title"})] * count
        with self.database.transaction(tenant_id) as session:
            assert outbox.emit_many(session, tenant_id, messages) == count

    def deliveries(self, tenant_id: str = "") -> list[WebhookDelivery]:
        with self.database.transaction(tenant_id or self.tenant_id) as session:
            return list(session.scalars(select(WebhookDelivery).order_by(col(WebhookDelivery.id))).all())


@pytest.fixture
def world(fresh_database: str, temporal_address: str) -> Iterator[World]:
    with running_receiver() as receiver, closing(create_database(fresh_database)) as database:
        yield World(database, receiver, MemoryVault(), temporal_address, new_id("tnt"))


@asynccontextmanager
async def working(world: World, client: Client) -> AsyncIterator[None]:
    activities = WebhookActivities(world.database, world.vault, Region.EU, Outbound(LOOPBACK))
    with ThreadPoolExecutor(4) as threads:
        async with (
            Worker(client, task_queue=TaskQueue.WEBHOOKS, workflows=[WebhookWorkflow]),
            Worker(
                client,
                task_queue=TaskQueue.DELIVERY,
                activities=[activities.deliver],
                activity_executor=threads,
                interceptors=[ErrorCodes()],
            ),
        ):
            yield


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, timeout=TEST_SECONDS))


async def finished(client: Client, delivery: WebhookDelivery) -> DeliveryVerdict:
    workflow_id = webhook_workflow_id(delivery.tenant_id, delivery.id, delivery.replays)
    verdict: DeliveryVerdict = await client.get_workflow_handle(workflow_id, result_type=DeliveryVerdict).result()
    return verdict


def test_a_message_goes_from_the_outbox_to_the_endpoint(world: World) -> None:
    async def scenario() -> None:
        client = await connect(world.temporal_address)
        world.endpoint()
        world.emit()
        assert await relay_once(world.database, client) == 1
        async with working(world, client):
            assert await finished(client, world.deliveries()[0]) is DeliveryVerdict.DELIVERED

    run(scenario())
    assert [delivery.state for delivery in world.deliveries()] == ["delivered"]
    assert len(world.receiver.received) == 1


def test_what_was_relayed_is_not_relayed_again(world: World) -> None:
    async def scenario() -> None:
        client = await connect(world.temporal_address)
        world.endpoint()
        world.emit(3)
        assert await relay_once(world.database, client) == 3
        assert await relay_once(world.database, client) == 0

    run(scenario())


def test_a_start_with_a_lost_commit_starts_nothing_twice(world: World) -> None:
    async def scenario() -> None:
        client = await connect(world.temporal_address)
        world.endpoint()
        world.emit()
        await relay_once(world.database, client)
        first_run = await run_id_of(client, world.deliveries()[0])
        forget_that_it_was_relayed(world)
        assert await relay_once(world.database, client) == 1
        async with working(world, client):
            await finished(client, world.deliveries()[0])
        forget_that_it_was_relayed(world)
        assert await relay_once(world.database, client) == 1
        assert await run_id_of(client, world.deliveries()[0]) == first_run

    run(scenario())
    assert len(world.receiver.received) == 1


async def run_id_of(client: Client, delivery: WebhookDelivery) -> str | None:
    workflow_id = webhook_workflow_id(delivery.tenant_id, delivery.id, delivery.replays)
    return (await client.get_workflow_handle(workflow_id).describe()).run_id


def forget_that_it_was_relayed(world: World) -> None:
    with world.database.transaction(world.tenant_id) as session:
        for delivery in session.scalars(select(WebhookDelivery)).all():
            delivery.relayed_at = None


def test_two_relays_at_once_share_the_work(world: World) -> None:
    async def scenario() -> None:
        client = await connect(world.temporal_address)
        world.endpoint()
        world.emit(40)
        counts = await asyncio.gather(*(relay_once(world.database, client) for _ in range(3)))
        counts.append(await relay_once(world.database, client))
        assert sum(counts) == 40

    run(scenario())


def test_one_tenants_long_queue_does_not_keep_another_waiting(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "_BATCH", 4)
    other = new_id("tnt")
    world.endpoint()
    world.endpoint(other)
    world.emit(20)
    world.emit(1, other)

    async def scenario() -> None:
        assert await relay_once(world.database, await connect(world.temporal_address)) == 4

    run(scenario())
    assert [delivery.relayed_at is not None for delivery in world.deliveries(other)] == [True]


def test_what_could_not_be_started_waits_and_the_rest_does_not(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.endpoint()
    world.emit(5)
    unlucky = world.deliveries()[0].id
    real_start = relay._start

    async def start(client: Client, delivery: webhook_deliveries.WaitingDelivery) -> None:
        if delivery.id == unlucky:
            raise RPCError("away", RPCStatusCode.UNAVAILABLE, b"")
        await real_start(client, delivery)

    async def scenario() -> None:
        client = await connect(world.temporal_address)
        monkeypatch.setattr(relay, "_start", start)
        with pytest.raises(RPCError):
            await relay_once(world.database, client)

    run(scenario())
    assert [delivery.id for delivery in world.deliveries() if delivery.relayed_at is None] == [unlucky]


def test_a_start_that_hangs_holds_up_only_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.endpoint()
    world.emit(5)
    hanging = world.deliveries()[0].id

    async def start(client: Client, delivery: webhook_deliveries.WaitingDelivery) -> None:
        if delivery.id == hanging:
            await asyncio.Event().wait()

    async def scenario() -> None:
        client = await connect(world.temporal_address)
        monkeypatch.setattr(relay, "_start", start)
        monkeypatch.setattr(relay, "_BATCH_SECONDS", 0.2)
        with pytest.raises(TimeoutError):
            await relay_once(world.database, client)

    run(scenario())
    assert [delivery.id for delivery in world.deliveries() if delivery.relayed_at is None] == [hanging]


def test_a_replay_gets_a_workflow_of_its_own(world: World) -> None:
    world.receiver.replies = [Reply(410), Reply(200)]

    async def scenario() -> None:
        client = await connect(world.temporal_address)
        endpoint_id = world.endpoint()
        world.emit()
        await relay_once(world.database, client)
        async with working(world, client):
            assert await finished(client, world.deliveries()[0]) is DeliveryVerdict.STOP
            enable_and_replay(world, endpoint_id)
            assert await relay_once(world.database, client) == 1
            assert await finished(client, world.deliveries()[0]) is DeliveryVerdict.DELIVERED

    run(scenario())
    assert (world.deliveries()[0].state, world.deliveries()[0].replays) == ("delivered", 1)


def enable_and_replay(world: World, endpoint_id: str) -> None:
    with world.database.transaction(world.tenant_id) as session:
        endpoint = webhook_endpoints.find(session, world.tenant_id, endpoint_id)
        assert endpoint is not None
        webhook_endpoints.change_state(endpoint, EndpointState.ENABLED, datetime.now(UTC))
        assert webhook_deliveries.replay(session, world.tenant_id, world.deliveries()[0].id)


def test_history_and_visibility_hold_no_content_even_after_failures(world: World) -> None:
    world.vault.outages = 1
    world.receiver.replies = [Reply(500, body=b"canary-of-an-answer"), Reply(200)]
    histories: list[str] = []

    async def scenario() -> None:
        client = await connect(world.temporal_address)
        world.endpoint()
        world.emit()
        await relay_once(world.database, client)
        async with working(world, client):
            delivery = world.deliveries()[0]
            await finished(client, delivery)
            handle = client.get_workflow_handle(webhook_workflow_id(delivery.tenant_id, delivery.id, 0))
            history = await handle.fetch_history()
            histories.append(b"".join(event.SerializeToString() for event in history.events).decode("latin-1"))

    run(scenario())
    assert "vault_sealed" in histories[0]
    assert "canary" not in histories[0]


def test_an_operator_finds_deliveries_by_tenant(world: World) -> None:
    async def scenario() -> None:
        client = await connect(world.temporal_address)
        world.endpoint()
        world.emit()
        await relay_once(world.database, client)
        delivery = world.deliveries()[0]
        handle = client.get_workflow_handle(webhook_workflow_id(delivery.tenant_id, delivery.id, 0))
        description = await handle.describe()
        tenant = SearchAttributeKey.for_keyword("TenantId")
        assert description.typed_search_attributes[tenant] == world.tenant_id
        assert description.workflow_type == WorkflowName.WEBHOOK
        assert description.task_queue == TaskQueue.WEBHOOKS

    run(scenario())


def test_the_relay_goes_on_after_a_failure_and_stops_on_request(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "_POLL_SECONDS", 0.01)
    outcomes: list[int | Exception] = [1, RuntimeError("the database is away"), 2]

    async def scenario() -> None:
        stop = asyncio.Event()

        async def scripted(database: Database, client: Client) -> int:
            step = outcomes.pop(0)
            if not outcomes:
                stop.set()
            if isinstance(step, Exception):
                raise step
            return step

        monkeypatch.setattr(relay, "relay_once", scripted)
        await run_relay(world.database, await connect(world.temporal_address), stop)

    run(scenario())
    assert outcomes == []
