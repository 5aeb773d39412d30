"""Children that outlived a supervisor which was killed outright.

On Linux they end by themselves soon after it; elsewhere nobody tells them. Either way the next start must wait
until they are gone, since two servers on one data directory would ruin it. A process is only touched where both its
id and its moment of creation are those we wrote down, so that an id used again harms nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import psutil

from meetbot.dev.files import read_json, write_private_json
from meetbot.dev.processes import Child, kill_group

_RECORD = "children.json"
_GRACE_SECONDS = 15.0


def record_children(state_directory: Path, children: Iterable[Child]) -> None:
    """Write down who is running, after every start of a child."""
    running = [
        {"name": child.name, "pid": child.pid, "created": created, "signal": int(child.stop_signal)}
        for child in children
        if (created := _creation_time(child.pid)) is not None
    ]
    write_private_json(state_directory / _RECORD, running)


def end_leftovers(state_directory: Path) -> list[str]:
    """End what an earlier supervisor left, politely for 15 seconds at most. Returns their names."""
    recorded = read_json(state_directory / _RECORD) or []
    leftovers = [entry for entry in recorded if _creation_time(entry["pid"]) == entry["created"]]
    processes = [_asked_to_end(entry["pid"], entry["signal"]) for entry in leftovers]
    still_there = [process for process in processes if process is not None]
    _, stubborn = psutil.wait_procs(still_there, timeout=_GRACE_SECONDS)
    for process in stubborn:
        kill_group(process.pid)
    psutil.wait_procs(stubborn, timeout=_GRACE_SECONDS)
    write_private_json(state_directory / _RECORD, [])
    return sorted(str(entry["name"]) for entry in leftovers)


def _creation_time(pid: int) -> float | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None


def _asked_to_end(pid: int, signal_number: int) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
        process.send_signal(signal_number)
    except psutil.NoSuchProcess:
        return None
    return process
