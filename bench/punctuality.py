"""Measure how late the bots of meetings that start together are sent; print it as JSON.

    python -m bench.punctuality [--bots 1,24,100] [--calendars 0] [--workers 1] [--kill] [--seconds-ahead 60]

For each number, a fresh tenant has that many meetings that start at one instant, twenty to a calendar. ``late`` is how long
after its dispatch time the backend was asked, in seconds, by the backend's clock; ``missed`` are bots that had not come
ninety seconds later. ``cpu_ms_per_bot`` is the CPU time of each process from the connecting of the calendars until the last
bot came, without what the processes use idle. ``--calendars`` connects that many other calendars, which sync meanwhile.
``--kill`` ends one of the workers with SIGKILL a second and a half before the instant.
PostgreSQL, OpenBao, Temporal (on a file, as `meetbot dev` runs it) and the workers are the real ones, and so are the
transactions' waits for the disk; the sandbox is provider and backend, and may be what bounds the larger numbers.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from subprocess import Popen
from typing import Any

from bench.harness import Servers, for_another_tenant, machine, running_servers
from bench.processes import CpuTimes, running_durable_temporal
from meetbot.dev.environment import free_port
from meetbot.storage.roles import Role
from meetbot.temporal.client import connect
from meetbot.temporal.start import start_calendar_user
from tests.integration.test_crashes import running_worker, worker_environment
from tests.rig import Rig

_JOIN_LEAD_SECONDS = 90
_MEETINGS_PER_CALENDAR = 20
_PATIENCE_SECONDS = 90
_IDLE_SECONDS = 10
_KILL_AHEAD_SECONDS = 1.5
_INTERVAL = timedelta(minutes=5)
_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class World:
    """Running servers and workers."""

    rig: Rig
    temporal_address: str
    cpu: CpuTimes
    workers: Sequence[Popen[bytes]]

    def start(self, rig: Rig, calendar_users: Sequence[str]) -> None:
        """Start the workflows of calendar users, as a consent does."""

        async def start_all() -> None:
            client = await connect(self.temporal_address)
            for user in calendar_users:
                await start_calendar_user(client, rig.tenant_id, user, "google", interval=_INTERVAL)

        asyncio.run(start_all())


def measure(world: World, count: int, *, seconds_ahead: float, kill: bool) -> dict[str, Any]:
    """Have this many meetings start together; return how their bots came."""
    world.rig.sandbox.post("/control/backend/pace", {"joining": 3600})
    idle = idle_cost(world)
    rig = for_another_tenant(world.rig)
    before, began = world.cpu.read(), time.monotonic()
    start = rig.clock() + timedelta(seconds=seconds_ahead + _JOIN_LEAD_SECONDS)
    have_meetings(world, rig, count, start)
    known_before_seconds = _all_scheduled(rig, count, start)
    if kill:
        _kill_one(world, rig, start)
    late, jobs = _lateness(rig, count, start)
    seconds = time.monotonic() - began
    spent = {
        name: max(0.0, used - before.get(name, 0.0) - idle.get(name, 0.0) * seconds)
        for name, used in world.cpu.read().items()
    }
    return {
        "bots": count,
        "scheduled_before_seconds": round(known_before_seconds, 1),
        "late": distribution(late),
        "early": sum(seconds < -0.001 for seconds in late),
        "missed": count - len(late),
        "jobs": jobs,
        "cpu_ms_per_bot": {name: round(used * 1000 / count, 1) for name, used in spent.items()},
    }


def idle_cost(world: World) -> Mapping[str, float]:
    """Return what each process uses per second while nothing is due."""
    before = world.cpu.read()
    time.sleep(_IDLE_SECONDS)
    return {name: (used - before.get(name, 0.0)) / _IDLE_SECONDS for name, used in world.cpu.read().items()}


def have_meetings(world: World, rig: Rig, count: int, start: datetime) -> None:
    """Connect calendars with so many meetings that start then."""
    users = []
    for number in range(-(-count // _MEETINGS_PER_CALENDAR)):
        owner = rig.sandbox.account(f"herd-{rig.tenant_id}-{number}@herd.test")
        size = min(_MEETINGS_PER_CALENDAR, count - number * _MEETINGS_PER_CALENDAR)
        minutes = (start - rig.clock()).total_seconds() / 60
        bodies = [{"title": "Planning", "platform": "google_meet", "starts_in_minutes": minutes}] * size
        rig.sandbox.http.post(f"/control/accounts/{owner}/events/bulk", json=bodies).raise_for_status()
        users.append(rig.connect(owner))
    world.start(rig, users)


def _all_scheduled(rig: Rig, count: int, start: datetime) -> float:
    """Wait until all bots are known; return how many seconds are left until they are due."""
    due = start - timedelta(seconds=_JOIN_LEAD_SECONDS)
    while len(rig.bots()) < count and rig.clock() < due:
        time.sleep(_POLL_SECONDS)
    return (due - rig.clock()).total_seconds()


def _kill_one(world: World, rig: Rig, start: datetime) -> None:
    at = start - timedelta(seconds=_JOIN_LEAD_SECONDS + _KILL_AHEAD_SECONDS)
    time.sleep(max(0.0, (at - rig.clock()).total_seconds()))
    world.workers[0].send_signal(signal.SIGKILL)


def _lateness(rig: Rig, count: int, start: datetime) -> tuple[list[float], int]:
    """Return how many seconds late each bot first came, and how many jobs there were."""
    ends_at = start - timedelta(seconds=_JOIN_LEAD_SECONDS) + timedelta(seconds=_PATIENCE_SECONDS)
    while rig.clock() < ends_at and sum(bot.dispatched_at is not None for bot in rig.bots()) < count:
        time.sleep(_POLL_SECONDS)
    due = {f"{bot.id}.{bot.generation}": bot.dispatch_at for bot in rig.bots()}
    jobs = [job for job in rig.sandbox.jobs() if job["externalId"] in due]
    created = {job["externalId"]: datetime.fromisoformat(job["createdAt"]) for job in jobs}
    return sorted((at - due[external_id]).total_seconds() for external_id, at in created.items()), len(jobs)


def distribution(late: Sequence[float]) -> dict[str, float]:
    """Return where these sorted seconds lie."""
    if not late:
        return {}
    at = {
        "min": 0,
        "p50": len(late) // 2,
        "p95": int(len(late) * 0.95),
        "p99": int(len(late) * 0.99),
        "max": len(late) - 1,
    }
    return {name: round(late[min(place, len(late) - 1)], 3) for name, place in at.items()}


def keep_syncing(world: World, count: int, interval_seconds: int) -> None:
    """Connect other calendars, which go on syncing at their own interval."""
    rig = for_another_tenant(world.rig)
    users = [rig.connect(rig.sandbox.account(f"quiet-{number}@quiet.test")) for number in range(count)]

    async def start_all() -> None:
        client = await connect(world.temporal_address)
        for user in users:
            await start_calendar_user(
                client, rig.tenant_id, user, "google", interval=timedelta(seconds=interval_seconds)
            )

    asyncio.run(start_all())


@contextmanager
def running_world(workers: int, more: Mapping[str, str]) -> Iterator[World]:
    """Start all servers and the workers in a temporary directory."""
    with running_servers() as servers, running_durable_temporal(servers.directory) as temporal:
        worker_url = servers.postgres.role_urls[Role.WORKER]
        with servers.rig(worker_url=worker_url) as rig, contextlib.ExitStack() as stack:
            processes = [
                stack.enter_context(_worker(servers, rig, worker_url, temporal.address, more, number))
                for number in range(workers)
            ]
            pids = {f"worker_{number}": process.pid for number, process in enumerate(processes)}
            cpu = CpuTimes({**pids, "temporal": temporal.pid}, servers.postgres.child.process.pid)
            yield World(rig, temporal.address, cpu, processes)


@contextmanager
def _worker(
    servers: Servers, rig: Rig, worker_url: str, temporal_address: str, more: Mapping[str, str], number: int
) -> Iterator[Popen[bytes]]:
    environment = worker_environment(rig, worker_url, servers.vault, temporal_address)
    environment |= {"MEETBOT_SYNC_INTERVAL_SECONDS": "300", "MEETBOT_OPS_PORT": str(free_port()), **more}
    with running_worker(environment, servers.directory / f"worker-{number}.log") as process:
        yield process


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--bots", default="1,24,100", help="comma-separated numbers of bots due together")
    parser.add_argument("--calendars", type=int, default=0, help="other calendars that sync meanwhile")
    parser.add_argument("--interval-seconds", type=int, default=300, help="of the other calendars")
    parser.add_argument("--workers", type=int, default=1, help="worker processes")
    parser.add_argument("--kill", action="store_true", help="kill one of the workers before the last instant")
    parser.add_argument("--seconds-ahead", type=float, default=60, help="from the connecting to the instant")
    arguments = parser.parse_args()
    counts = [int(part) for part in arguments.bots.split(",")]
    results = []
    with running_world(arguments.workers, {}) as world:
        if arguments.calendars:
            keep_syncing(world, arguments.calendars, arguments.interval_seconds)
        # The workers start up meanwhile, and make their first connections.
        measure(world, 1, seconds_ahead=30, kill=False)
        for number, count in enumerate(counts, start=1):
            kill = arguments.kill and number == len(counts)
            results.append(measure(world, count, seconds_ahead=arguments.seconds_ahead, kill=kill))
            print(json.dumps(results[-1]), file=sys.stderr)
    print(json.dumps({"machine": machine(), "workers": arguments.workers, "results": results}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
