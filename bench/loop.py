"""Measure what a quiet poll of a calendar costs each process; print it as JSON.

    python -m bench.loop [--calendars 20] [--events 20] [--interval-seconds 5] [--seconds 60] [--shape watch|round]

That many calendars with that many events each sync at the interval while nothing changes. CPU time is measured for each
process over ``--seconds``, without what the processes use while idle, and divided by the polls that the provider saw.
``round`` is the earlier shape, in which each poll is a round of the workflow.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from bench.harness import for_another_tenant, machine
from bench.punctuality import World, running_world
from meetbot.temporal.client import connect
from meetbot.temporal.messages import CalendarUserState, TaskQueue, WorkflowName, calendar_user_workflow_id
from meetbot.temporal.start import start_calendar_user
from tests.rig import Rig

_IDLE_SECONDS = 10
_REST_SECONDS = 5.0
_PATIENCE_SECONDS = 120
_MINUTES_APART = 45


def measure(world: World, *, calendars: int, events: int, interval_seconds: int, seconds: float, shape: str) -> Any:
    """Return the cost of one quiet poll, by process."""
    _wait_for_rest(world)
    idle = _used(world, _IDLE_SECONDS)
    rig = for_another_tenant(world.rig)
    users = [_connected(rig, number, events) for number in range(calendars)]
    asyncio.run(_start(world, rig, users, interval_seconds, shape))
    _all_synced(rig, users, interval_seconds)
    before = _polls(rig)
    used = _used(world, seconds)
    polls = _polls(rig) - before
    return {
        "shape": shape,
        "calendars": calendars,
        "events": events,
        "polls": polls,
        "polls_per_second": round(polls / seconds, 2),
        "expected_per_second": round(calendars / interval_seconds, 2),
        "cpu_ms_per_poll": {
            name: round((spent - idle.get(name, 0.0) * seconds / _IDLE_SECONDS) * 1000 / max(polls, 1), 1)
            for name, spent in used.items()
        },
    }


def _wait_for_rest(world: World) -> None:
    """Wait until the worker has started up: what that costs is no part of idling."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while _used(world, _REST_SECONDS)["worker_0"] > _REST_SECONDS / 10 and time.monotonic() < deadline:
        pass


def _used(world: World, seconds: float) -> Mapping[str, float]:
    before = world.cpu.read()
    time.sleep(seconds)
    return {name: used - before.get(name, 0.0) for name, used in world.cpu.read().items()}


def _connected(rig: Rig, number: int, events: int) -> str:
    owner = rig.sandbox.account(f"quiet-{number}@{rig.tenant_id.replace('_', '-')}.test")
    # Beyond the horizon, so that no bots are scheduled.
    first = 5 * 24 * 60
    bodies = [
        {"title": "Planning", "platform": "google_meet", "starts_in_minutes": first + _MINUTES_APART * place}
        for place in range(events)
    ]
    rig.sandbox.http.post(f"/control/accounts/{owner}/events/bulk", json=bodies).raise_for_status()
    return rig.connect(owner)


async def _start(world: World, rig: Rig, users: list[str], interval_seconds: int, shape: str) -> None:
    client = await connect(world.temporal_address)
    for user in users:
        if shape == "watch":
            interval = timedelta(seconds=interval_seconds)
            await start_calendar_user(client, rig.tenant_id, user, "google", interval=interval)
        else:
            await client.start_workflow(
                WorkflowName.CALENDAR_USER,
                CalendarUserState(rig.tenant_id, user, "google", interval_seconds),
                id=calendar_user_workflow_id(rig.tenant_id, user),
                task_queue=TaskQueue.CALENDAR_USERS,
            )


def _all_synced(rig: Rig, users: list[str], interval_seconds: int) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while any(rig.calendar_user(user).last_synced_at is None for user in users):
        if time.monotonic() > deadline:
            raise TimeoutError("not all calendars were synced")
        time.sleep(1)
    time.sleep(2 * interval_seconds)


def _polls(rig: Rig) -> int:
    return rig.sandbox.counts("/google/calendar/v3/calendars")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--calendars", type=int, default=20)
    parser.add_argument("--events", type=int, default=20)
    parser.add_argument("--interval-seconds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--shape", choices=["watch", "round"], default="watch")
    arguments = vars(parser.parse_args())
    with running_world(1, {"MEETBOT_SYNC_INTERVAL_SECONDS": str(arguments["interval_seconds"])}) as world:
        time.sleep(_IDLE_SECONDS)
        result = measure(world, **arguments)
    print(json.dumps({"machine": machine(), "result": result}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
