"""Workflows that ought to run and do not are started by any worker.

Which ones those are is read from the database.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlmodel import col, select
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.background.recovery import recover_bots, recover_calendar_users, recover_ended
from meetbot.domain.bot_state import BotState
from meetbot.storage.tables import Bot, CalendarUser
from meetbot.temporal.client import connect
from meetbot.temporal.messages import bot_workflow_id, calendar_user_workflow_id
from meetbot.temporal.start import start_bot, start_calendar_user
from tests.rig import Rig

pytestmark = pytest.mark.stack

INTERVAL = timedelta(minutes=5)


def bot_due(rig: Rig, *, starts_in_minutes: float) -> str:
    """A scheduled bot whose workflow nobody started; its workflow's id."""
    ada = rig.sandbox.account(f"ada-{starts_in_minutes}@acme.test")
    user = rig.connect(ada)
    rig.sandbox.event(ada, starts_in_minutes=starts_in_minutes)
    (entry,) = rig.planned(user)
    rig.bot_activities.reconcile(rig.ref(entry.meeting_key))
    return bot_workflow_id(rig.tenant_id, entry.meeting_key)


async def is_running(client: Client, workflow_id: str) -> bool:
    # Not by a listing: what Temporal lists lags behind what it did.
    try:
        execution = await client.get_workflow_handle(workflow_id).describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False
    return execution.status is WorkflowExecutionStatus.RUNNING


def test_a_terminated_workflow_of_a_due_bot_is_restarted(rig: Rig, temporal_address: str) -> None:
    workflow_id = bot_due(rig, starts_in_minutes=2)

    async def scenario() -> list[bool]:
        client = await connect(temporal_address)
        before = await is_running(client, workflow_id)
        assert await recover_bots(rig.database, client) == 1
        first = await is_running(client, workflow_id)
        await client.get_workflow_handle(workflow_id).terminate("an operator's hand")
        ended = await is_running(client, workflow_id)
        await recover_bots(rig.database, client)
        return [before, first, ended, await is_running(client, workflow_id)]

    assert asyncio.run(scenario()) == [False, True, False, True]


def test_a_terminated_workflow_of_a_bot_in_its_meeting_is_restarted(rig: Rig, temporal_address: str) -> None:
    workflow_id = bot_due(rig, starts_in_minutes=60)
    (bot,) = rig.bots()
    with rig.database.transaction(rig.tenant_id) as session:
        session.get_one(Bot, (rig.tenant_id, bot.id)).state = BotState.RECORDING

    async def scenario() -> bool:
        client = await connect(temporal_address)
        await recover_bots(rig.database, client)
        return await is_running(client, workflow_id)

    assert asyncio.run(scenario())


def test_a_workflow_that_runs_is_left_as_it_is(rig: Rig, temporal_address: str) -> None:
    workflow_id = bot_due(rig, starts_in_minutes=2)

    async def scenario() -> set[str | None]:
        client = await connect(temporal_address)
        runs: set[str | None] = set()
        for _ in range(2):
            await recover_bots(rig.database, client)
            runs.add((await client.get_workflow_handle(workflow_id).describe()).run_id)
        return runs

    assert len(asyncio.run(scenario())) == 1


def test_a_bot_that_is_not_due_for_long_is_left_alone(rig: Rig, temporal_address: str) -> None:
    workflow_id = bot_due(rig, starts_in_minutes=60)

    async def scenario() -> tuple[int, bool]:
        client = await connect(temporal_address)
        return await recover_bots(rig.database, client), await is_running(client, workflow_id)

    assert asyncio.run(scenario()) == (0, False)


async def recovered(rig: Rig, client: Client, workflow_id: str) -> bool:
    """Whether it runs after a few rounds; Temporal lists what ended a little later than it ends."""
    for _ in range(100):
        await recover_ended(rig.database, client, interval=INTERVAL)
        if await is_running(client, workflow_id):
            return True
        await asyncio.sleep(0.1)
    return False


def test_a_terminated_bots_workflow_is_restarted_early_and_a_finished_ones_is_not(
    rig: Rig, temporal_address: str
) -> None:
    finished, live = bot_due(rig, starts_in_minutes=600), bot_due(rig, starts_in_minutes=700)
    meeting_keys = [workflow_id.split("/")[2] for workflow_id in (finished, live)]
    with rig.database.transaction(rig.tenant_id) as session:
        session.exec(select(Bot).where(col(Bot.meeting_key) == meeting_keys[0])).one().state = BotState.COMPLETED

    async def scenario() -> list[bool]:
        client = await connect(temporal_address)
        for workflow_id, meeting_key in zip((finished, live), meeting_keys, strict=True):
            await start_bot(client, rig.tenant_id, meeting_key, "scheduled")
            await client.get_workflow_handle(workflow_id).terminate("an operator's hand")
        return [await recovered(rig, client, live), await is_running(client, finished)]

    assert asyncio.run(scenario()) == [True, False]


@pytest.mark.parametrize("revoked", [False, True])
def test_a_terminated_calendar_gets_another_workflow_without_having_been_silent(
    rig: Rig, temporal_address: str, revoked: bool
) -> None:
    """Also if access is lost: somebody has to tell of it again."""
    user = rig.connect(rig.sandbox.account("ada@acme.test"))
    rig.sync(user)
    if revoked:
        rig.sandbox.post("/control/accounts/ada@acme.test/revoke", {})
        assert rig.sync(user).state == "needs_reconnect"
    workflow_id = calendar_user_workflow_id(rig.tenant_id, user)

    async def scenario() -> bool:
        client = await connect(temporal_address)
        await start_calendar_user(client, rig.tenant_id, user, "google", interval=INTERVAL)
        await client.get_workflow_handle(workflow_id).terminate("an operator's hand")
        return await recovered(rig, client, workflow_id)

    assert asyncio.run(scenario())


def test_a_lost_access_that_was_not_told_again_gets_its_workflow(rig: Rig, temporal_address: str) -> None:
    user = rig.connect(rig.sandbox.account("ada@acme.test"))
    rig.sandbox.post("/control/accounts/ada@acme.test/revoke", {})
    rig.sync(user)
    workflow_id = calendar_user_workflow_id(rig.tenant_id, user)

    async def scenario(days: float) -> tuple[int, bool]:
        with rig.database.transaction(rig.tenant_id) as session:
            row = session.get_one(CalendarUser, (rig.tenant_id, user))
            row.state_changed_at = rig.clock() - timedelta(days=days)
        client = await connect(temporal_address)
        looked_after = await recover_calendar_users(rig.database, client, interval=INTERVAL)
        return looked_after, await is_running(client, workflow_id)

    assert asyncio.run(scenario(0.9)) == (0, False)
    assert asyncio.run(scenario(1.1)) == (1, True)


def test_a_calendar_user_that_fell_silent_gets_its_workflow(rig: Rig, temporal_address: str) -> None:
    user = rig.connect(rig.sandbox.account("ada@acme.test"))
    with rig.database.transaction(rig.tenant_id) as session:
        row = session.get_one(CalendarUser, (rig.tenant_id, user))
        row.last_synced_at = rig.clock() - 3 * INTERVAL

    async def scenario() -> tuple[int, bool]:
        client = await connect(temporal_address)
        looked_after = await recover_calendar_users(rig.database, client, interval=INTERVAL)
        return looked_after, await is_running(client, calendar_user_workflow_id(rig.tenant_id, user))

    assert asyncio.run(scenario()) == (1, True)


def test_a_calendar_user_that_syncs_is_left_alone(rig: Rig, temporal_address: str) -> None:
    user = rig.connect(rig.sandbox.account("ada@acme.test"))
    rig.sync(user)

    async def scenario() -> int:
        return await recover_calendar_users(rig.database, await connect(temporal_address), interval=INTERVAL)

    assert asyncio.run(scenario()) == 0
