"""Measure what one sync of one calendar user costs, and print it as JSON.

Measured are the CPU time of the activity and of the database, and the SQL statements.

    python -m bench.sync [--events 50,200,2000] [--providers google,microsoft]

Three cases: the first sync of a fresh calendar user, token refresh included; one where nothing changed; one where a
single event changed. Providers are the sandbox, in a process of its own; PostgreSQL and OpenBao are the real ones.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.calendars import ATTRIBUTES, OWNER_DOMAIN, RULES, calendar
from bench.harness import Cost, Meter, for_another_tenant, machine, running_rig, summary
from meetbot.domain.event import Provider
from tests.rig import Rig

_WARMING_EVENTS = 20


@dataclass(frozen=True, slots=True)
class Repetitions:
    """How often each case is measured."""

    first: int = 3
    unchanged: int = 30
    one_changed: int = 5


def measure(
    rig: Rig, sizes: Sequence[int], providers: Sequence[Provider], repetitions: Repetitions
) -> list[dict[str, Any]]:
    """Return the costs of all cases, one JSON object for each provider, size and case."""
    meter = Meter()
    meter.watch(rig.services.database)
    for provider in providers:
        # Connects, compiles the rules and prepares the statements, as a worker has done soon after its start.
        measure_calendar(rig, meter, provider, _WARMING_EVENTS, Repetitions(2, 6, 2))
    # As the worker does: what start-up left is not searched for garbage again and again.
    gc.collect()
    gc.freeze()
    return [measure_calendar(rig, meter, provider, size, repetitions) for provider in providers for size in sizes]


def measure_calendar(rig: Rig, meter: Meter, provider: Provider, size: int, repetitions: Repetitions) -> dict[str, Any]:
    """The three cases for one calendar of ``size`` events.

    The sandbox forgets all earlier calendars.
    """
    rig.sandbox.post("/control/reset", {"seed": False})
    account = rig.sandbox.account(f"owner@{OWNER_DOMAIN}", provider)
    keys = _fill(rig, account, calendar(provider, size, rig.clock()))
    first = [_first_sync(rig, meter, provider, account, size) for _ in range(repetitions.first)]
    rig, user = _connected(rig, provider, account)
    _sync(rig, user, changes=size)
    unchanged = [meter.measure(lambda: _sync(rig, user, changes=0)) for _ in range(repetitions.unchanged)]
    changed = [_after_change(rig, meter, user, key) for key in keys[-repetitions.one_changed :]]
    cases = {"first": first, "unchanged": unchanged, "one_changed": changed}
    return {
        "provider": provider.value,
        "events": size,
        "recorded": _recorded(rig, user),
        **{name: summary(costs) for name, costs in cases.items()},
    }


def _fill(rig: Rig, account: str, bodies: Sequence[dict[str, Any]]) -> list[str]:
    answer = rig.sandbox.http.post(f"/control/accounts/{account}/events/bulk", json=bodies)
    answer.raise_for_status()
    return list(answer.json()["keys"])


def _connected(rig: Rig, provider: Provider, account: str) -> tuple[Rig, str]:
    """A calendar user that nobody has synced yet, in a tenant of its own."""
    rig = for_another_tenant(rig)
    # A large calendar has more meetings a day than a tenant's default lets have a bot.
    rig.set_tenant(max_bots_per_day=1000)
    return rig, rig.connect(account, provider, rules=RULES, attributes=ATTRIBUTES)


def _first_sync(rig: Rig, meter: Meter, provider: Provider, account: str, size: int) -> Cost:
    rig, user = _connected(rig, provider, account)
    return meter.measure(lambda: _sync(rig, user, changes=size))


def _after_change(rig: Rig, meter: Meter, user: str, key: str) -> Cost:
    rig.sandbox.change({"key": key}, title="Another title")
    return meter.measure(lambda: _sync(rig, user, changes=1))


def _sync(rig: Rig, user: str, *, changes: int) -> None:
    result = rig.sync(user)
    if result.changed != changes:
        raise RuntimeError(f"{changes} changed events were expected, {result.changed} were seen")


def _recorded(rig: Rig, user: str) -> int:
    return sum(event.outcome == "record" for event in rig.events(user))


def main() -> None:
    """Measure what the command line asks for, and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=_sizes, default=(50, 200, 2000), help="comma-separated numbers of events")
    parser.add_argument("--providers", type=_providers, default=tuple(Provider), help="comma-separated")
    arguments = parser.parse_args()
    with running_rig() as rig:
        results = measure(rig, arguments.events, arguments.providers, Repetitions())
    json.dump({"machine": machine(), "unit": "milliseconds of CPU time", "results": results}, sys.stdout, indent=2)
    sys.stdout.write("\n")


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _providers(text: str) -> tuple[Provider, ...]:
    return tuple(Provider(part) for part in text.split(","))


if __name__ == "__main__":
    main()
