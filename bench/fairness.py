"""Measure how long one busy tenant delays another one's only bot, and print it as JSON.

    python -m bench.fairness [--meetings 1000] [--events 10000] [--lead-seconds 180]

Three cases, each with a quiet tenant that has one meeting: nothing else happens; a busy tenant has ``--meetings`` bots due at
the same instant; a busy tenant connects calendars with ``--events`` events just before it. ``late_seconds`` is how long after
its dispatch time the quiet tenant's bot was taken by the backend, ``delay_seconds`` how much of that the busy tenant caused.
PostgreSQL, OpenBao, Temporal and one worker process are the real ones, the worker with its own login; the sandbox is provider
and backend.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bench.harness import for_another_tenant, machine, running_servers
from meetbot.storage.roles import Role
from meetbot.temporal.client import connect
from meetbot.temporal.start import start_calendar_user
from tests.integration.test_crashes import running_worker, worker_environment
from tests.rig import Rig
from tests.stack import running_temporal

_JOIN_LEAD_SECONDS = 90
_WARMING_SECONDS = 10
_CALENDAR_EVENTS = 1000
_BEFORE_THE_DISPATCH = timedelta(seconds=5)
_PATIENCE_SECONDS = 300
_INTERVAL = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class World:
    """Running servers, and a worker that works for all tenants."""

    rig: Rig
    temporal_address: str

    def start(self, rig: Rig, calendar_users: Sequence[str]) -> None:
        """Start the workflows of calendar users, as a consent does."""

        async def start_all() -> None:
            client = await connect(self.temporal_address)
            for user in calendar_users:
                await start_calendar_user(client, rig.tenant_id, user, "google", interval=_INTERVAL)

        asyncio.run(start_all())


Busy = Callable[[World, datetime], None]


def measure(world: World, *, meetings: int, events: int, lead_seconds: int) -> dict[str, Any]:
    """Return how late the quiet tenant's bot is in each case."""
    # The worker starts up meanwhile, and makes its first connections.
    lateness(world, stay_idle, _WARMING_SECONDS)
    late = {
        "alone": lateness(world, stay_idle, lead_seconds),
        "meetings": lateness(world, lambda at, start: have_meetings(at, start, meetings), lead_seconds),
        "events": lateness(world, lambda at, start: connect_calendars(at, start, events), lead_seconds),
    }
    return {
        "machine": machine(),
        "meetings": meetings,
        "events": events,
        "late_seconds": {case: round(seconds, 3) for case, seconds in late.items()},
        "delay_seconds": {case: round(late[case] - late["alone"], 3) for case in ("meetings", "events")},
    }


def lateness(world: World, busy: Busy, lead_seconds: int) -> float:
    """Return how many seconds after its time the bot of a fresh, quiet tenant was taken."""
    world.rig.sandbox.post("/control/reset", {"seed": False})
    quiet = for_another_tenant(world.rig)
    start = quiet.clock() + timedelta(seconds=lead_seconds + _JOIN_LEAD_SECONDS)
    owner = quiet.sandbox.account("quiet@quiet.test")
    quiet.sandbox.event(owner, starts_in_minutes=_minutes_until(quiet, start))
    world.start(quiet, [quiet.connect(owner)])
    _until(lambda: len(quiet.bots()) == 1)
    busy(world, start)
    _until(lambda: quiet.bots()[0].dispatched_at is not None, more=lead_seconds)
    (bot,) = quiet.bots()
    assert bot.dispatched_at is not None
    late = (bot.dispatched_at - bot.dispatch_at).total_seconds()
    print(f"late by {late:.3f} s", file=sys.stderr)
    return late


def stay_idle(_world: World, _start: datetime) -> None:
    """Have no busy tenant at all."""


def have_meetings(world: World, start: datetime, count: int) -> None:
    """Have a busy tenant's bots wait for the same instant."""
    busy = for_another_tenant(world.rig)
    owner = busy.sandbox.account("busy@busy.test")
    _fill(busy, owner, [{"starts_in_minutes": _minutes_until(busy, start)}] * count)
    world.start(busy, [busy.connect(owner)])


def connect_calendars(world: World, start: datetime, count: int) -> None:
    """Have a busy tenant connect full calendars seconds before the quiet one's dispatch."""
    busy = for_another_tenant(world.rig)
    users = []
    for number in range(-(-count // _CALENDAR_EVENTS)):
        owner = busy.sandbox.account(f"busy-{number}@busy.test")
        # Before the calendars are filled, while the sandbox still answers at once.
        users.append((busy.connect(owner), owner))
    for number, (_, owner) in enumerate(users):
        size = min(_CALENDAR_EVENTS, count - number * _CALENDAR_EVENTS)
        _fill(busy, owner, [{"starts_in_minutes": 24 * 60 + 30 * place} for place in range(size)])
    at = start - timedelta(seconds=_JOIN_LEAD_SECONDS) - _BEFORE_THE_DISPATCH
    time.sleep(max(0.0, (at - busy.clock()).total_seconds()))
    world.start(busy, [user for user, _ in users])


def _fill(rig: Rig, owner: str, bodies: Sequence[dict[str, Any]]) -> None:
    complete = [{"title": "Planning", "platform": "google_meet", **body} for body in bodies]
    rig.sandbox.http.post(f"/control/accounts/{owner}/events/bulk", json=complete).raise_for_status()


def _minutes_until(rig: Rig, start: datetime) -> float:
    return (start - rig.clock()).total_seconds() / 60


def _until(look: Callable[[], bool], *, more: float = 0) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS + more
    while not look():
        if time.monotonic() > deadline:
            raise TimeoutError("the bot of the quiet tenant does not come on")
        time.sleep(0.2)


@contextmanager
def running_world() -> Iterator[World]:
    """Start all servers and a worker in a temporary directory."""
    with running_servers() as servers, running_temporal(servers.directory) as temporal_address:
        worker_url = servers.postgres.role_urls[Role.WORKER]
        with servers.rig(worker_url=worker_url) as rig:
            environment = worker_environment(rig, worker_url, servers.vault, temporal_address)
            log = servers.directory / "worker.log"
            with running_worker(environment | {"MEETBOT_SYNC_INTERVAL_SECONDS": "300"}, log):
                yield World(rig, temporal_address)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--meetings", type=int, default=1000)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--lead-seconds", type=int, default=180, help="from the start of a case to the dispatch")
    arguments = parser.parse_args()
    with running_world() as world:
        result = measure(
            world, meetings=arguments.meetings, events=arguments.events, lead_seconds=arguments.lead_seconds
        )
    print(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
