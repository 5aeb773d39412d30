"""Measure how soon a changed calendar moves its bot, and print it as JSON.

    python -m bench.push [--calendars 1000] [--changes 200] [--providers google,microsoft]

``seconds`` is from the change at the provider until the bot's row has the new time. As many calendars as asked for are
connected to one API and one worker process, each with a meeting; the changes are made one after the other, each on another
calendar. PostgreSQL, OpenBao, Temporal, API and worker are the real ones, the sandbox is the provider.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import select

from bench.harness import machine, running_servers
from meetbot.dev.environment import free_port
from meetbot.domain.event import Provider
from meetbot.domain.push import ChannelState
from meetbot.storage.roles import Role
from meetbot.storage.tables import Bot, PushChannel
from meetbot.temporal.client import connect
from meetbot.temporal.start import start_calendar_user
from tests.integration.pushing import running_api
from tests.integration.test_crashes import running_worker, worker_environment
from tests.rig import Rig
from tests.stack import running_temporal

_PATIENCE_SECONDS = 1800.0
_LONGEST_SECONDS = 120.0
_LOOK_SECONDS = 0.01
_INTERVAL = timedelta(minutes=5)
_FIRST_MEETING_MINUTES = 600


@dataclass(frozen=True, slots=True)
class Connected:
    """A connected calendar and its meeting at the provider."""

    calendar_user_id: str
    event: dict[str, Any]


def measure(rig: Rig, temporal_address: str, *, calendars: int, changes: int, providers: Sequence[Provider]) -> Any:
    """Connect the calendars, wait until push works for all, and measure the changes."""
    began = time.monotonic()
    connected = [_connect(rig, number, providers[number % len(providers)]) for number in range(calendars)]
    asyncio.run(_start_all(rig, temporal_address, connected, providers))
    _until(lambda: _working(rig) >= calendars, "push works for every calendar")
    _until(lambda: len(rig.bots()) >= calendars, "every meeting has its bot")
    ready = time.monotonic() - began
    step = max(1, calendars // changes)
    seconds = [_moved(rig, connected[(number * step) % calendars], number) for number in range(changes)]
    return {
        "machine": machine(),
        "calendars": calendars,
        "changes": changes,
        "providers": [str(provider) for provider in providers],
        "ready_after_seconds": round(ready, 1),
        "seconds": {
            "p50": round(statistics.median(seconds), 3),
            "p95": round(statistics.quantiles(seconds, n=20)[-1], 3) if len(seconds) > 1 else round(seconds[0], 3),
            "most": round(max(seconds), 3),
        },
    }


def _connect(rig: Rig, number: int, provider: Provider) -> Connected:
    email = rig.sandbox.account(f"person-{number}@bench.test", provider)
    event = rig.sandbox.event(email, starts_in_minutes=_FIRST_MEETING_MINUTES)
    return Connected(rig.connect(email, provider), event)


async def _start_all(
    rig: Rig, temporal_address: str, connected: Sequence[Connected], providers: Sequence[Provider]
) -> None:
    client = await connect(temporal_address)
    for number, one in enumerate(connected):
        provider = providers[number % len(providers)]
        await start_calendar_user(client, rig.tenant_id, one.calendar_user_id, provider, interval=_INTERVAL)


def _working(rig: Rig) -> int:
    with rig.read() as session:
        rows = session.exec(select(PushChannel).where(PushChannel.state == ChannelState.ACTIVE))
        return sum(row.verified_at is not None for row in rows)


def _moved(rig: Rig, one: Connected, number: int) -> float:
    """Change the meeting's start and return the seconds until its bot has it."""
    start = datetime.fromisoformat(one.event["start"]) + timedelta(minutes=15 + number)
    began = time.monotonic()
    rig.sandbox.change(one.event, start=start.isoformat())
    while not _has_bot_at(rig, one.calendar_user_id, start):
        if time.monotonic() > began + _LONGEST_SECONDS:
            raise TimeoutError("a changed calendar does not move its bot")
        time.sleep(_LOOK_SECONDS)
    return time.monotonic() - began


def _has_bot_at(rig: Rig, calendar_user_id: str, start: datetime) -> bool:
    with rig.read() as session:
        keys = {event.meeting_key for event in rig.events(calendar_user_id)}
        bots = session.exec(select(Bot).where(Bot.meeting_key.in_(keys)))  # type: ignore[attr-defined]
        return any(bot.join_at == start for bot in bots)


def _until(look: Any, what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not look():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not in time: {what}")
        time.sleep(0.5)


@contextmanager
def running_world() -> Iterator[tuple[Rig, str]]:
    """Start all servers, the API and a worker in a temporary directory."""
    with running_servers() as servers, running_temporal(servers.directory) as temporal_address:
        urls, port = servers.postgres.role_urls, free_port()
        with servers.rig(worker_url=urls[Role.WORKER]) as rig:
            shared = worker_environment(rig, urls[Role.WORKER], servers.vault, temporal_address) | {
                "MEETBOT_PUBLIC_URL": f"http://127.0.0.1:{port}",
                "MEETBOT_SYNC_INTERVAL_SECONDS": str(int(_INTERVAL.total_seconds())),
            }
            of_api = shared | {
                "DATABASE_URL": urls[Role.API],
                "VAULT_TOKEN": servers.vault.tokens.api_token,
                "MEETBOT_OPS_PORT": str(free_port()),
            }
            logs = servers.directory
            with running_api(of_api, port, logs / "api.log"), running_worker(shared, logs / "worker.log"):
                yield rig, temporal_address


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--calendars", type=int, default=1000)
    parser.add_argument("--changes", type=int, default=200)
    parser.add_argument("--providers", type=_providers, default=tuple(Provider), help="comma-separated")
    arguments = parser.parse_args()
    with running_world() as (rig, temporal_address):
        result = measure(
            rig,
            temporal_address,
            calendars=arguments.calendars,
            changes=arguments.changes,
            providers=arguments.providers,
        )
    print(json.dumps(result, indent=2))
    return 0


def _providers(text: str) -> tuple[Provider, ...]:
    return tuple(Provider(part) for part in text.split(","))


if __name__ == "__main__":
    sys.exit(main())
