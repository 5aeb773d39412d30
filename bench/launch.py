"""Measure what launching bots together costs, without Temporal; print it as JSON.

    python -m bench.launch [--bots 100,400] [--seconds-ahead 20]

The launcher of a worker process runs in this one, on the real PostgreSQL, with the sandbox as provider and backend. There are
twenty meetings to a calendar, all of one tenant with a webhook endpoint. ``arming`` is the CPU time of this process and of
PostgreSQL for one bot from its handing over until 1.6 seconds before the instant, ``launching`` from then until all is noted.
``late`` is how long after its instant the backend was asked, in seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from temporalio.exceptions import ApplicationError

from activities.dispatch import DispatchSteps
from activities.launcher import Launcher
from bench.harness import Servers, for_another_tenant, machine, running_servers
from bench.processes import CpuTimes
from bench.punctuality import distribution
from meetbot.domain.ids import new_id
from meetbot.storage.roles import Role
from meetbot.storage.tables import WebhookEndpoint
from meetbot.temporal.messages import DispatchRequest, DispatchResult
from tests.rig import Rig

_LEAD_SECONDS = 90
_MEETINGS_PER_CALENDAR = 20
_BEFORE = timedelta(seconds=1.6)
_PATIENCE_SECONDS = 120


class _Told:
    """Counts the completed activities."""

    def __init__(self) -> None:
        self.count = 0

    async def complete(self, task_token: bytes, outcome: DispatchResult | ApplicationError) -> None:
        self.count += 1


def measure(servers: Servers, rig: Rig, count: int, *, seconds_ahead: float) -> dict[str, Any]:
    """Launch this many bots of a new tenant together."""
    rig.sandbox.post("/control/backend/pace", {"joining": 3600})
    rig = for_another_tenant(rig)
    requests, at = _scheduled(rig, count, seconds_ahead)
    # As in the worker: no full collection walks what was loaded.
    gc.collect()
    gc.freeze()
    cpu = CpuTimes({}, servers.postgres.child.process.pid)
    marks = asyncio.run(_launch(rig, requests, at, lambda: {"launcher": time.process_time(), **cpu.read()}))
    jobs = {job["externalId"]: datetime.fromisoformat(job["createdAt"]) for job in rig.sandbox.jobs()}
    wanted = [f"{request.bot_id}.{request.generation}" for request in requests]
    late = sorted((jobs[one] - at).total_seconds() for one in wanted if one in jobs)
    return {
        "bots": count,
        "late": distribution(late),
        "early": sum(seconds < -0.001 for seconds in late),
        "missed": count - len(late),
        "arming_ms_per_bot": _each(marks[0], marks[1], count),
        "launching_ms_per_bot": _each(marks[1], marks[2], count),
    }


def _scheduled(rig: Rig, count: int, seconds_ahead: float) -> tuple[list[DispatchRequest], datetime]:
    with rig.database.transaction(rig.tenant_id) as session:
        session.add(
            WebhookEndpoint(tenant_id=rig.tenant_id, id=new_id("whe"), url="http://127.0.0.1:1/", event_types=["*"])
        )
    # It takes a while to schedule them one by one.
    start = rig.clock() + timedelta(seconds=_LEAD_SECONDS + seconds_ahead + count * 0.4)
    requests = []
    for number in range(-(-count // _MEETINGS_PER_CALENDAR)):
        owner = rig.sandbox.account(f"herd-{rig.tenant_id}-{number}@herd.test".replace("_", "-"))
        size = min(_MEETINGS_PER_CALENDAR, count - number * _MEETINGS_PER_CALENDAR)
        minutes = (start - rig.clock()).total_seconds() / 60
        bodies = [{"title": "Planning", "platform": "google_meet", "starts_in_minutes": minutes}] * size
        rig.sandbox.http.post(f"/control/accounts/{owner}/events/bulk", json=bodies).raise_for_status()
        for entry in rig.planned(rig.connect(owner)):
            step = rig.bot_activities.reconcile(rig.ref(entry.meeting_key))
            requests.append(DispatchRequest(rig.tenant_id, entry.meeting_key, step.bot_id, step.generation))
    return requests, max(bot.dispatch_at for bot in rig.bots())


async def _launch(rig: Rig, requests: Sequence[DispatchRequest], at: datetime, read: Any) -> list[Mapping[str, float]]:
    launcher = Launcher(rig.services.database, DispatchSteps(rig.services), rig.clock)
    stop, told = asyncio.Event(), _Told()
    running = asyncio.create_task(launcher.run(told, stop))
    marks = [read()]
    await asyncio.gather(*(launcher.hold(request, request.bot_id.encode()) for request in requests))
    await asyncio.sleep((at - _BEFORE - rig.clock()).total_seconds())
    marks.append(read())
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while told.count < len(requests):  # noqa: ASYNC110 - it is told from elsewhere
            await asyncio.sleep(0.05)
    marks.append(read())
    stop.set()
    await running
    return marks


def _each(before: Mapping[str, float], after: Mapping[str, float], count: int) -> dict[str, float]:
    return {name: round((after[name] - before.get(name, 0.0)) * 1000 / count, 2) for name in after}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--bots", default="100", help="comma-separated numbers of bots due together")
    parser.add_argument("--seconds-ahead", type=float, default=20, help="from their scheduling to the instant")
    arguments = parser.parse_args()
    results = []
    with running_servers() as servers, servers.rig(worker_url=servers.postgres.role_urls[Role.WORKER]) as rig:
        measure(servers, rig, 2, seconds_ahead=5)
        for count in (int(part) for part in arguments.bots.split(",")):
            results.append(measure(servers, rig, count, seconds_ahead=arguments.seconds_ahead))
            print(json.dumps(results[-1]), file=sys.stderr)
    print(json.dumps({"machine": machine(), "results": results}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
