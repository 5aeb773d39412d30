"""Push through the whole service: API, Temporal and worker as processes of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from bench.push import measure
from meetbot.dev.environment import free_port
from meetbot.dev.postgres import PostgresServer
from meetbot.domain.event import Provider
from meetbot.storage.roles import Role
from meetbot.temporal.client import connect
from meetbot.temporal.start import start_calendar_user
from meetbot.tenants.api_keys import KeyMode
from meetbot.tenants.create import issue_api_key
from tests.integration.meetings import BOTH
from tests.integration.pushing import running_api
from tests.integration.test_crashes import running_worker, until, worker_environment
from tests.rig import Rig
from tests.stack import VaultService, url_as

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

# So rarely that nothing in these tests is found by a poll.
_INTERVAL_SECONDS = 3600
EMAIL = "ada@acme.test"


@contextmanager
def running_service(
    rig: Rig, server: PostgresServer, database: str, vault: VaultService, temporal_address: str, logs: Path
) -> Iterator[str]:
    """Run API and worker; yield the API's address."""
    port = free_port()
    shared = worker_environment(rig, url_as(server, database, Role.WORKER), vault, temporal_address) | {
        "MEETBOT_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "MEETBOT_SYNC_INTERVAL_SECONDS": str(_INTERVAL_SECONDS),
    }
    of_api = shared | {
        "DATABASE_URL": url_as(server, database, Role.API),
        "VAULT_TOKEN": vault.tokens.api_token,
        "MEETBOT_OPS_PORT": str(free_port()),
    }
    with running_api(of_api, port, logs / "api.log") as url, running_worker(shared, logs / "worker.log"):
        yield url


@BOTH
def test_a_change_moves_the_bot_long_before_the_next_poll_and_an_erasure_ends_it(
    rig: Rig,
    postgres_server: PostgresServer,
    fresh_database: str,
    vault_service: VaultService,
    temporal_address: str,
    tmp_path: Path,
    provider: Provider,
) -> None:
    event = rig.sandbox.event(rig.sandbox.account(EMAIL, provider), starts_in_minutes=120)
    user = rig.connect(EMAIL, provider)
    key = issue_api_key(rig.database, rig.tenant_id, KeyMode.LIVE)
    with running_service(rig, postgres_server, fresh_database, vault_service, temporal_address, tmp_path) as url:
        asyncio.run(_start(temporal_address, rig.tenant_id, user, provider))
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, trust_env=False) as api:
            shown = f"/v1/calendar/users/{user}"
            until(lambda: _push_state(api, shown) == "active", seconds=90, what="push is active")
            until(lambda: len(rig.bots()) == 1, seconds=60, what="a bot")
            planned = rig.bots()[0].join_at

            rig.sandbox.change(event, starts_in_minutes=180)
            until(lambda: rig.bots()[0].join_at > planned + timedelta(minutes=50), seconds=60, what="the bot has moved")

            erasure = api.delete(shown).json()["erasure_id"]
            until(lambda: api.get(f"/v1/erasures/{erasure}").json()["finished_at"], seconds=60, what="the erasure")
    push = rig.sandbox.http.get("/control/push").json()
    assert (push["channels"], push["subscriptions"]) == ([], [])


def test_the_benchmark_measures_each_change(
    rig: Rig,
    postgres_server: PostgresServer,
    fresh_database: str,
    vault_service: VaultService,
    temporal_address: str,
    tmp_path: Path,
) -> None:
    with running_service(rig, postgres_server, fresh_database, vault_service, temporal_address, tmp_path):
        result = measure(rig, temporal_address, calendars=2, changes=2, providers=list(Provider))
    assert (result["calendars"], result["changes"]) == (2, 2)
    assert 0 < result["seconds"]["p50"] <= result["seconds"]["most"]


def _push_state(api: httpx.Client, path: str) -> str:
    return str(api.get(path).raise_for_status().json()["push"]["state"])


async def _start(temporal_address: str, tenant_id: str, calendar_user_id: str, provider: Provider) -> None:
    client = await connect(temporal_address)
    interval = timedelta(seconds=_INTERVAL_SECONDS)
    await start_calendar_user(client, tenant_id, calendar_user_id, provider, interval=interval)
