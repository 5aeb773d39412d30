"""Killing the worker at any moment, with a backend whose answers get lost.

No bot is missed, none is sent twice.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import PendingActivityState

from meetbot.dev.environment import free_port
from meetbot.temporal.client import connect
from meetbot.temporal.messages import calendar_user_workflow_id
from meetbot.temporal.start import start_calendar_user
from tests.rig import Rig
from tests.stack import VaultService

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

MEETINGS = 12
KILLS = 4
_BETWEEN_KILLS_SECONDS = 4.0


def worker_environment(rig: Rig, database_url: str, vault: VaultService, temporal_address: str) -> dict[str, str]:
    settings = rig.settings
    names = [
        "google_client_id", "google_authorize_url", "google_token_url", "google_revoke_url", "google_api_url",
        "microsoft_client_id", "microsoft_login_url", "microsoft_graph_url", "backend_url",
    ]  # fmt: skip
    return {
        **{f"MEETBOT_{name.upper()}": str(getattr(settings, name)) for name in names},
        "MEETBOT_GOOGLE_CLIENT_SECRET": "sandbox-secret",
        "MEETBOT_MICROSOFT_CLIENT_SECRET": "sandbox-secret",
        "MEETBOT_BACKEND_API_KEY": "sandbox-backend-key",
        "MEETBOT_OUTBOUND_ALLOW_CIDRS": "127.0.0.0/8",
        "MEETBOT_SYNC_INTERVAL_SECONDS": "5",
        "MEETBOT_OPS_PORT": str(free_port()),
        "DATABASE_URL": database_url,
        "TEMPORAL_ADDRESS": temporal_address,
        "VAULT_ADDR": vault.address,
        "VAULT_TOKEN": vault.tokens.worker_token,
    }


@contextmanager
def running_worker(environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "worker"], env={**os.environ, **environment}, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(timeout=30)


def until(look: Callable[[], bool], *, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.2)


def test_a_worker_killed_again_and_again_sends_every_meeting_exactly_one_bot(
    rig: Rig, fresh_database: str, vault_service: VaultService, temporal_address: str, tmp_path: Path
) -> None:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    for number in range(MEETINGS):
        # The bots are due one after the other while the worker is being killed.
        rig.sandbox.event(ada, title=f"Meeting {number}", starts_in_minutes=(110 + 1.5 * number) / 60)
    rig.sandbox.fault(path="/backend/api/v1/jobs", when="after", times=4, drop=True)
    asyncio.run(_start_workflow(temporal_address, rig.tenant_id, user))
    environment, log = worker_environment(rig, fresh_database, vault_service, temporal_address), tmp_path / "worker.log"

    for _ in range(KILLS):
        with running_worker(environment, log) as worker:
            # A bound on how long this one lives, not a wait for something to happen.
            with pytest.raises(subprocess.TimeoutExpired):
                worker.wait(timeout=_BETWEEN_KILLS_SECONDS)
            worker.send_signal(signal.SIGKILL)
            worker.wait(timeout=30)
    with running_worker(environment, log):
        until(lambda: len(rig.sandbox.jobs()) >= MEETINGS, seconds=150, what="a bot for every meeting")
        until(lambda: all(bot.backend_bot_id for bot in rig.bots()), seconds=60, what="every bot is known to us")

    jobs = rig.sandbox.jobs()
    assert len(jobs) == MEETINGS
    assert len({job["meetingUrl"] for job in jobs}) == MEETINGS
    assert {bot.backend_bot_id for bot in rig.bots()} == {job["id"] for job in jobs}
    assert all(bot.dispatched_at and bot.dispatched_at >= bot.dispatch_at for bot in rig.bots())


def test_a_worker_killed_during_a_sync_delays_the_calendar_by_seconds_only(
    rig: Rig, fresh_database: str, vault_service: VaultService, temporal_address: str, tmp_path: Path
) -> None:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    rig.sandbox.event(ada, starts_in_minutes=60)
    rig.sandbox.fault(path="/google/calendar/v3", times=1, delay_ms=10_000)
    asyncio.run(_start_workflow(temporal_address, rig.tenant_id, user))
    environment, log = worker_environment(rig, fresh_database, vault_service, temporal_address), tmp_path / "worker.log"

    with running_worker(environment, log):
        until(lambda: asyncio.run(_is_syncing(temporal_address, rig.tenant_id, user)), seconds=60, what="a sync")
    with running_worker(environment, log):
        until(lambda: len(rig.bots()) == 1, seconds=60, what="a bot scheduled by the next worker")


async def _start_workflow(temporal_address: str, tenant_id: str, calendar_user_id: str) -> None:
    client = await connect(temporal_address)
    await start_calendar_user(client, tenant_id, calendar_user_id, "google", interval=timedelta(seconds=5))


async def _is_syncing(temporal_address: str, tenant_id: str, calendar_user_id: str) -> bool:
    client = await connect(temporal_address)
    description = await client.get_workflow_handle(calendar_user_workflow_id(tenant_id, calendar_user_id)).describe()
    pending = description.raw_description.pending_activities
    return any(activity.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED for activity in pending)
