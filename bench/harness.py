"""What benchmarks of the whole service share: its real servers, the sandbox in a process of its own, and a meter.

CPU time and not the clock on the wall is what is measured: it stays the same when the machine is busy with other work.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import orjson
from sqlalchemy import Connection, event

from activities.bots import BotActivities
from activities.dispatch import DispatchActivity
from activities.sync import SyncActivities
from activities.wiring import build_services
from meetbot.dev.environment import HOST, free_port
from meetbot.dev.process import spawn, stop, wait_until_ready
from meetbot.storage.database import Database, create_database
from meetbot.storage.migrate import upgrade
from meetbot.tenants.create import create_tenant
from meetbot.vault.client import TokenAuth, Vault
from tests.rig import Clock, Rig, Sandbox, sandbox_settings
from tests.stack import running_postgres, running_vault

_READY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What one piece of work took: milliseconds of CPU time of this process and of the database's backends, and the
    statements and transactions it made. A transaction is a BEGIN and a COMMIT beside its statements."""

    activity_cpu_ms: float
    database_cpu_ms: float
    statements: int
    transactions: int


@dataclass(slots=True)
class Meter:
    """Watches one engine, and the processes that serve its connections."""

    statements: int = 0
    transactions: int = 0
    backends: set[int] = field(default_factory=set)

    def watch(self, database: Database) -> None:
        event.listen(database.engine, "before_cursor_execute", self._executed)
        event.listen(database.engine, "begin", self._begun)

    def measure(self, work: Callable[[], object]) -> Cost:
        statements, transactions = self.statements, self.transactions
        database, here = self._database_seconds(), time.process_time()
        work()
        here, database = time.process_time() - here, self._database_seconds() - database
        return Cost(here * 1000, database * 1000, self.statements - statements, self.transactions - transactions)

    def _database_seconds(self) -> float:
        return sum(map(process_cpu_seconds, self.backends))

    def _executed(self, *_: object) -> None:
        self.statements += 1

    def _begun(self, connection: Connection) -> None:
        self.transactions += 1
        driver: Any = connection.connection.driver_connection
        self.backends.add(driver.info.backend_pid)


def process_cpu_seconds(pid: int) -> float:
    """CPU time that another process has used, to the nanosecond (clock_getcpuclockid(3), as Linux computes it)."""
    return time.clock_gettime((~pid << 3) | 2)


def summary(costs: Sequence[Cost]) -> dict[str, Any]:
    """Medians, and the least activity time: the one that other work on the machine disturbed least."""
    return {
        "activity_cpu_ms": round(statistics.median(cost.activity_cpu_ms for cost in costs), 2),
        "least_activity_cpu_ms": round(min(cost.activity_cpu_ms for cost in costs), 2),
        "database_cpu_ms": round(statistics.median(cost.database_cpu_ms for cost in costs), 2),
        "statements": max(cost.statements for cost in costs),
        "transactions": max(cost.transactions for cost in costs),
        "repetitions": len(costs),
    }


@contextmanager
def running_rig() -> Iterator[Rig]:
    """The rig of the integration tests on servers of its own, in a directory that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="meetbot-bench-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        with (
            running_postgres(directory) as postgres,
            running_vault(directory) as vault,
            running_sandbox(directory) as sandbox_url,
        ):
            upgrade(postgres.url)
            with opened_rig(postgres.url, Vault(vault.address, TokenAuth(vault.root_token)), sandbox_url) as rig:
                yield rig


@contextmanager
def running_sandbox(directory: Path) -> Iterator[str]:
    port = free_port()
    url = f"http://{HOST}:{port}"
    command = [sys.executable, "-m", "sandbox", "--empty", "--port", str(port), "--public-url", url]
    child = spawn("sandbox", command, logs=directory / "logs", directory=Path(__file__).parents[1])
    try:
        wait_until_ready(child, lambda: _answers(url), seconds=_READY_SECONDS)
        yield url
    finally:
        stop(child)


@contextmanager
def opened_rig(database_url: str, vault: Vault, sandbox_url: str) -> Iterator[Rig]:
    settings, clock = sandbox_settings(sandbox_url), Clock()
    database = create_database(database_url)
    services = build_services(settings, database, vault, clock=clock)
    tenant_id, _ = create_tenant(database, vault, "Bench", settings.region)
    with httpx.Client(base_url=sandbox_url, trust_env=False, timeout=120) as http:
        yield Rig(
            settings=settings,
            database=database,
            vault=vault,
            services=services,
            sandbox=Sandbox(http),
            clock=clock,
            tenant_id=tenant_id,
            sync_activities=SyncActivities(services),
            bot_activities=BotActivities(services),
            dispatch_activity=DispatchActivity(services, sleep_until=clock.sleep_until),
        )
    services.close()
    vault.close()
    database.close()


def for_another_tenant(rig: Rig) -> Rig:
    """The same servers for a tenant without any calendar user: the same accounts can be connected once more."""
    tenant_id, _ = create_tenant(rig.database, rig.vault, "Bench", rig.settings.region)
    return replace(rig, tenant_id=tenant_id, plan_digests={})


def machine() -> dict[str, Any]:
    """With ``yardstick_ms``, the CPU time of a fixed piece of work: on a busy machine, whose caches and hyper-threads are
    shared, the same work takes more of it, and so does everything that was measured."""
    return {
        "cores": os.cpu_count(),
        "processor": platform.machine(),
        "python": platform.python_version(),
        "yardstick_ms": round(statistics.median(_yardstick() for _ in range(15)), 2),
    }


def _yardstick() -> float:
    started = time.process_time()
    documents = [{"id": number, "names": [str(number + step) for step in range(20)]} for number in range(2000)]
    orjson.loads(orjson.dumps(documents))
    return (time.process_time() - started) * 1000


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
