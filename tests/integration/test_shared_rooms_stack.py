"""Two bookings of a room through the whole stack, with a worker that is killed meanwhile."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from meetbot.domain.event import Provider
from meetbot.temporal.client import connect
from meetbot.temporal.start import start_calendar_user
from tests.integration.rooms import ROOM, live_jobs
from tests.integration.test_crashes import running_worker, until, worker_environment
from tests.rig import Rig
from tests.stack import VaultService

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]

_LIVES_SECONDS = 8.0


async def _start(temporal_address: str, tenant_id: str, users: dict[Provider, str]) -> None:
    client = await connect(temporal_address)
    for provider, user in users.items():
        await start_calendar_user(client, tenant_id, user, provider, interval=timedelta(seconds=5))


def test_a_room_booked_at_both_providers_has_one_bot_that_outlasts_the_first_booking(
    rig: Rig, fresh_database: str, vault_service: VaultService, temporal_address: str, tmp_path: Path
) -> None:
    accounts = {provider: rig.sandbox.account(f"{provider}@acme.test", provider) for provider in Provider}
    users = {provider: rig.connect(account, provider) for provider, account in accounts.items()}
    events = {
        provider: rig.sandbox.event(account, title=provider, starts_in_minutes=125 / 60, meeting_url=ROOM)
        for provider, account in accounts.items()
    }
    asyncio.run(_start(temporal_address, rig.tenant_id, users))
    environment, log = worker_environment(rig, fresh_database, vault_service, temporal_address), tmp_path / "worker.log"

    with running_worker(environment, log) as worker:
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(timeout=_LIVES_SECONDS)
        worker.send_signal(signal.SIGKILL)
        worker.wait(timeout=30)
    with running_worker(environment, log):
        until(lambda: any(bot.outcome == "shared" for bot in rig.bots()), seconds=150, what="a bot that is shared")
        (own,) = [bot for bot in rig.bots() if bot.outcome == "shared"]
        until(lambda: len(live_jobs(rig)) == 1, seconds=30, what="one bot")
        until(lambda: all(bot.backend_bot_id for bot in rig.bots() if bot.id != own.id), seconds=30, what="its answer")
        (sent,) = [bot for bot in rig.bots() if bot.id != own.id]
        (leaving,) = [one for one in events.values() if _key_of(rig, users, str(one["title"])) == sent.meeting_key]
        rig.sandbox.cancel(leaving)
        until(
            lambda: [bot.meeting_key for bot in rig.bots() if bot.id == sent.id] == [own.meeting_key],
            seconds=60,
            what="the bot is given on",
        )

    assert len(rig.sandbox.jobs()) == len(live_jobs(rig)) == 1


def _key_of(rig: Rig, users: dict[Provider, str], title: str) -> str:
    (key,) = {event.meeting_key for user in users.values() for event in rig.events(user) if event.title == title}
    return key
