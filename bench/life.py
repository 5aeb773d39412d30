"""Measure what a bot's whole life costs all processes; print it as JSON.

    python -m bench.life [--bots 40] [--seconds-ahead 60] [--minutes 45]

That many meetings are found at once, twenty to a calendar, and their bots are sent together; the backend reports each change to
a real API process. ``cpu_ms_per_bot`` is the CPU time of each process from the connecting of the calendars until all bots ended
and the processes are quiet again, without what they use idle. The meetings are not waited for: in so many minutes nothing
happens but that the backend is asked about its silent bot every ten, which is measured by itself (``asking_ms``) and added
in ``sum``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psutil

from activities.background.follower import Follower
from bench.harness import Servers, for_another_tenant, machine, running_servers
from bench.processes import CpuTimes, running_durable_temporal
from bench.punctuality import World, have_meetings, idle_cost
from meetbot.dev.environment import free_port
from meetbot.domain.bot_state import TERMINAL_STATES, BotState
from meetbot.storage.roles import Role
from tests.integration.pushing import running_api
from tests.integration.test_crashes import running_worker, worker_environment
from tests.rig import Rig

_LEAD_SECONDS = 90
_LONGEST_SECONDS = 180
_MINUTES_BETWEEN = 10
_QUIET_SECONDS = 15
_STEPS_TO_RECORDING = 2
_STEPS_TO_THE_END = 2


def measure(world: World, *, bots: int, seconds_ahead: float, minutes: float) -> dict[str, Any]:
    """Have this many meetings with their bots, from their discovery to their ends."""
    world.rig.sandbox.post("/control/backend/pace", {"joining": 3600, "in_call": 3600, "recording": 3600})
    idle = idle_cost(world)
    rig = for_another_tenant(world.rig)
    before, began = world.cpu.read(), time.monotonic()
    start = rig.clock() + timedelta(seconds=seconds_ahead + _LEAD_SECONDS)
    have_meetings(world, rig, bots, start)
    _until(lambda: sum(bot.dispatched_at is not None for bot in rig.bots()) == bots, "all bots are sent")
    time.sleep(_QUIET_SECONDS)
    _advance(rig, _STEPS_TO_RECORDING)
    _until(lambda: all(bot.state is BotState.RECORDING for bot in rig.bots()), "all bots record")
    asking = _asking(world, rig, bots)
    before = {name: used + asking["used"].get(name, 0.0) for name, used in before.items()}
    _advance(rig, _STEPS_TO_THE_END)
    _until(lambda: all(bot.state in TERMINAL_STATES for bot in rig.bots()), "all bots ended")
    time.sleep(_QUIET_SECONDS)
    seconds = time.monotonic() - began
    spent = {
        name: max(0.0, used - before[name] - idle.get(name, 0.0) * seconds) * 1000 / bots
        for name, used in world.cpu.read().items()
    }
    asked = asking["each"] * (minutes // _MINUTES_BETWEEN)
    return {
        "bots": bots,
        "cpu_ms_per_bot": {name: round(used, 1) for name, used in spent.items()},
        "asking_ms": round(asking["each"], 2),
        "sum": round(sum(spent.values()) + asked, 1),
        "states": sorted({str(bot.state) for bot in rig.bots()}),
    }


def _asking(world: World, rig: Rig, bots: int) -> Any:
    """What it costs to ask about one bot, in CPU milliseconds of this process and PostgreSQL."""

    async def nobody(tenant_id: str, meeting_key: str) -> None:
        """No workflow is told."""

    async def ask() -> int:
        try:
            return await Follower(rig.services, nobody, lambda: False).ask()
        finally:
            await rig.services.close_lanes()

    asked, here, before = 0, time.process_time(), world.cpu.read()
    for _ in range(4):
        rig.clock.offset += timedelta(minutes=_MINUTES_BETWEEN + 1)
        asked += asyncio.run(ask())
    rig.clock.offset = timedelta()
    used = {"postgres": world.cpu.read()["postgres"] - before["postgres"]}
    each = (time.process_time() - here + used["postgres"]) * 1000 / max(asked, 1)
    return {"each": each, "used": used}


def _advance(rig: Rig, steps: int) -> None:
    for _ in range(steps):
        for job in rig.sandbox.jobs():
            rig.sandbox.http.post(f"/control/backend/jobs/{job['id']}/advance", json={}).raise_for_status()
        time.sleep(1)


def _until(look: Any, what: str) -> None:
    deadline = time.monotonic() + _LONGEST_SECONDS
    while not look():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not in time: {what}")
        time.sleep(0.5)


@contextmanager
def running_world() -> Iterator[World]:
    """Start all servers, the API and a worker in a temporary directory."""
    with (
        running_servers() as servers,
        running_durable_temporal(servers.directory) as temporal,
        servers.rig(worker_url=servers.postgres.role_urls[Role.WORKER]) as rig,
    ):
        of_worker, of_api, port = _environments(servers, rig, temporal.address)
        logs = servers.directory
        with running_api(of_api, port, logs / "api.log"), running_worker(of_worker, logs / "worker.log") as worker:
            pids = {"worker": worker.pid, "api": _api_pid(), "temporal": temporal.pid}
            yield World(rig, temporal.address, CpuTimes(pids, servers.postgres.child.process.pid), [worker])


def _environments(servers: Servers, rig: Rig, temporal: str) -> tuple[Mapping[str, str], Mapping[str, str], int]:
    urls, port = servers.postgres.role_urls, free_port()
    of_worker = worker_environment(rig, urls[Role.WORKER], servers.vault, temporal) | {
        "MEETBOT_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "MEETBOT_SYNC_INTERVAL_SECONDS": "300",
    }
    of_api = of_worker | {
        "DATABASE_URL": urls[Role.API],
        "VAULT_TOKEN": servers.vault.tokens.api_token,
        "MEETBOT_OPS_PORT": str(free_port()),
        "MEETBOT_BACKEND_WEBHOOK_SECRET": "whsec_sandbox",
    }
    return of_worker, of_api, port


def _api_pid() -> int:
    children = psutil.Process().children()
    return next(child.pid for child in children if "api.app:app" in child.cmdline())


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--bots", type=int, default=40)
    parser.add_argument("--seconds-ahead", type=float, default=60, help="from the connecting to the instant")
    parser.add_argument("--minutes", type=float, default=45, help="how long the meetings are taken to last")
    arguments = parser.parse_args()
    with running_world() as world:
        # The processes start up meanwhile, and make their first connections.
        measure(world, bots=2, seconds_ahead=30, minutes=arguments.minutes)
        result = measure(world, bots=arguments.bots, seconds_ahead=arguments.seconds_ahead, minutes=arguments.minutes)
    print(json.dumps({"machine": machine(), "result": result}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
