"""Programs of the stack as production runs them, for benches, and the CPU time of each."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.harness import process_cpu_seconds
from meetbot.dev.environment import free_port
from meetbot.dev.process import stop
from meetbot.dev.temporal import TemporalPorts, make_temporal_ready, start_temporal


@dataclass(frozen=True, slots=True)
class RunningTemporal:
    """A Temporal server on a file, as `meetbot dev` runs it."""

    address: str
    pid: int


@contextmanager
def running_durable_temporal(directory: Path) -> Iterator[RunningTemporal]:
    """Start a Temporal server that keeps its state in a file."""
    ports = TemporalPorts(grpc=free_port(), http=free_port(), metrics=free_port())
    server = start_temporal(directory / "temporal" / "temporal.db", logs=directory / "logs", ports=ports)
    try:
        make_temporal_ready(server)
        yield RunningTemporal(server.address, server.child.process.pid)
    finally:
        server.child.process.send_signal(signal.SIGKILL)
        stop(server.child)


class CpuTimes:
    """The CPU seconds of processes by name, and of PostgreSQL with all its backends."""

    def __init__(self, pids: Mapping[str, int], postgres: int) -> None:
        self._pids = dict(pids)
        self._postgres = postgres
        self._ended: dict[int, float] = {}
        self._family: set[int] = set()

    def read(self) -> dict[str, float]:
        """Return the CPU seconds that each has used so far; those of an ended process stay."""
        return {**{name: self._used(pid) for name, pid in self._pids.items()}, "postgres": self._postgres_used()}

    def _used(self, pid: int) -> float:
        with contextlib.suppress(OSError):
            self._ended[pid] = process_cpu_seconds(pid)
        return self._ended.get(pid, 0.0)

    def _postgres_used(self) -> float:
        with contextlib.suppress(psutil.NoSuchProcess):
            family = [self._postgres, *(child.pid for child in psutil.Process(self._postgres).children(recursive=True))]
            for pid in family:
                self._used(pid)
            self._family.update(family)
        return sum(self._ended.get(pid, 0.0) for pid in self._family)
