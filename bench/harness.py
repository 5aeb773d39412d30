"""Servers, a sandbox in a process of its own, and a meter, for benchmarks of the service.

CPU time is measured and not elapsed time: it stays the same when the machine is busy with other work.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import orjson
from sqlalchemy import Connection, event

from meetbot.dev.environment import HOST, free_port
from meetbot.dev.postgres import PostgresServer
from meetbot.dev.process import spawn, stop, wait_until_ready
from meetbot.storage.database import Database
from meetbot.storage.migrate import upgrade
from meetbot.tenants.create import create_tenant
from tests.rig import Rig, open_rig
from tests.stack import VaultService, running_postgres, running_vault

_READY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What one piece of work cost.

    Milliseconds of CPU time of this process and of the database's backends, and the statements and transactions it made. A
    transaction is a BEGIN and a COMMIT besides its statements.
    """

    activity_cpu_ms: float
    database_cpu_ms: float
    statements: int
    transactions: int


@dataclass(slots=True)
class Meter:
    """Counts the statements of a database and the CPU time of the processes that serve it."""

    statements: int = 0
    transactions: int = 0
    backends: set[int] = field(default_factory=set)

    def watch(self, database: Database) -> None:
        """Begin to count what goes to this database."""
        event.listen(database.engine, "before_cursor_execute", self._executed)
        event.listen(database.engine, "begin", self._begun)

    def measure(self, work: Callable[[], object]) -> Cost:
        """Do the work and return what it cost."""
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
    """Return the CPU time of another process in seconds, to the nanosecond.

    The clock's id is computed as in clock_getcpuclockid(3) on Linux.
    """
    return time.clock_gettime((~pid << 3) | 2)


def summary(costs: Sequence[Cost]) -> dict[str, Any]:
    """Return medians, and the lowest activity time: the one that other work disturbed least."""
    return {
        "activity_cpu_ms": round(statistics.median(cost.activity_cpu_ms for cost in costs), 2),
        "least_activity_cpu_ms": round(min(cost.activity_cpu_ms for cost in costs), 2),
        "database_cpu_ms": round(statistics.median(cost.database_cpu_ms for cost in costs), 2),
        "statements": max(cost.statements for cost in costs),
        "transactions": max(cost.transactions for cost in costs),
        "repetitions": len(costs),
    }


@dataclass(frozen=True, slots=True)
class Servers:
    """PostgreSQL with the schema, OpenBao and the sandbox, with their files in one directory."""

    directory: Path
    postgres: PostgresServer
    vault: VaultService
    sandbox_url: str

    def rig(self, *, worker_url: str | None = None) -> AbstractContextManager[Rig]:
        """Open a rig on them."""
        vault = self.vault
        return open_rig(self.postgres.url, vault.address, vault.root_token, self.sandbox_url, worker_url=worker_url)


@contextmanager
def running_rig() -> Iterator[Rig]:
    """Start servers in a temporary directory and open a rig on them."""
    with running_servers() as servers, servers.rig() as rig:
        yield rig


@contextmanager
def running_servers() -> Iterator[Servers]:
    """Start servers in a temporary directory."""
    with tempfile.TemporaryDirectory(prefix="meetbot-bench-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        with (
            running_postgres(directory) as postgres,
            running_vault(directory) as vault,
            running_sandbox(directory) as sandbox_url,
        ):
            upgrade(postgres.url)
            yield Servers(directory, postgres, vault, sandbox_url)


@contextmanager
def running_sandbox(directory: Path) -> Iterator[str]:
    """Start an empty sandbox as a process and yield its address."""
    port = free_port()
    url = f"http://{HOST}:{port}"
    command = [sys.executable, "-m", "sandbox", "--empty", "--port", str(port), "--public-url", url]
    child = spawn("sandbox", command, logs=directory / "logs", directory=Path(__file__).parents[1])
    try:
        wait_until_ready(child, lambda: _answers(url), seconds=_READY_SECONDS)
        yield url
    finally:
        stop(child)


def for_another_tenant(rig: Rig) -> Rig:
    """Return a rig on the same servers for a new tenant without calendar users.

    The same accounts can be connected once more.
    """
    tenant_id, _ = create_tenant(rig.database, rig.vault, "Bench", rig.settings.region)
    return replace(rig, tenant_id=tenant_id, plan_digests={})


def machine() -> dict[str, Any]:
    """Describe this machine, with the CPU time of a fixed piece of work as ``yardstick_ms``.

    On a busy machine, where caches and hyper-threads are shared, the same work takes more CPU time, and so does everything
    that was measured.
    """
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
