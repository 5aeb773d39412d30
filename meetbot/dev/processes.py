"""Child processes: each in its own group, with its output in a log file, and ended within bounded time."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from meetbot.dev.account import Identity
from meetbot.dev.errors import PartFailed

_LAUNCHER = Path(__file__).with_name("launch.py")
_POLL_SECONDS = 0.05
_TAIL_BYTES = 4_000
_TAIL_LINES = 20
_KEPT_LOG_BYTES = 20_000_000

KeepGoing = Callable[[], None]
"""Called in every waiting loop; raises `StopRequested` once somebody wants the stack to stop."""


@dataclass(frozen=True, slots=True)
class Child:
    """A running program of ours. ``stop_signal`` is the one it takes as a polite request to end."""

    name: str
    process: subprocess.Popen[bytes]
    log_file: Path
    stop_signal: signal.Signals
    log_start: int = 0

    @property
    def pid(self) -> int:
        return self.process.pid


def spawn(
    name: str,
    command: Sequence[str | Path],
    *,
    logs: Path,
    environment: Mapping[str, str] | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
    run_as: Identity | None = None,
    directory: Path | None = None,
    is_told: bool = False,
) -> Child:
    """Start a program; one that ``is_told`` something has a standard input for `tell`. ``environment`` is added to our own.

    Call it from a thread that outlives the child: Linux sends the death signal when the spawning *thread* ends.
    """
    logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    log_file = logs / f"{name}.log"
    _keep_bounded(log_file)
    log_start = log_file.stat().st_size if log_file.exists() else 0
    with log_file.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - a fixed program, no shell
            launch_command(command, death_signal=stop_signal, run_as=run_as),
            stdin=subprocess.PIPE if is_told else subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            cwd=directory,
            start_new_session=True,
        )
    return Child(name, process, log_file, stop_signal, log_start)


def tell(child: Child, line: str) -> None:
    """Write one line to the child's standard input and end it. A child that has died meanwhile is found out elsewhere."""
    if child.process.stdin is None:
        raise ValueError(f"{child.name} was started without a standard input")
    with contextlib.suppress(BrokenPipeError), child.process.stdin as stdin:
        stdin.write(f"{line}\n".encode())


def launch_command(
    command: Sequence[str | Path],
    *,
    death_signal: signal.Signals = signal.SIGTERM,
    run_as: Identity | None = None,
) -> list[str]:
    """The command that turns into ``command`` after `launch.py` did its part. The program is an absolute path."""
    identity = run_as or Identity(0, 0)
    parent = [str(os.getpid()), str(int(death_signal)), str(identity.uid), str(identity.gid)]
    return [sys.executable, "-I", "-S", str(_LAUNCHER), *parent, "--", *(str(part) for part in command)]


def stop(*children: Child, seconds: float = 10.0, hurry: Callable[[], bool] = lambda: False) -> None:
    """Ask all politely, wait for ``seconds`` or until somebody is in a ``hurry``, then kill what is left of them."""
    for child in children:
        if child.process.poll() is None:
            child.process.send_signal(child.stop_signal)
    deadline = time.monotonic() + seconds
    while any(child.process.poll() is None for child in children) and time.monotonic() < deadline and not hurry():
        time.sleep(_POLL_SECONDS)
    for child in children:
        kill_group(child.pid)
        child.process.wait(timeout=seconds)


def kill_group(leader: int) -> None:
    """Kill a child's whole process group, if there is anybody left in it."""
    # macOS says EPERM where only a zombie is left.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def wait_until_ready(
    child: Child, is_ready: Callable[[], bool], *, seconds: float, keep_going: KeepGoing = lambda: None
) -> None:
    """Poll until ``is_ready``. Raises `PartFailed` when the child ends first or the time is up."""
    deadline = time.monotonic() + seconds
    while not is_ready():
        keep_going()
        raise_if_ended(child)
        if time.monotonic() > deadline:
            raise failed(child, "part_not_ready", f"{child.name} was not ready within {seconds:.0f} s")
        time.sleep(_POLL_SECONDS)


def raise_if_ended(child: Child) -> None:
    code = child.process.poll()
    if code is not None:
        raise failed(child, "part_ended", f"{child.name} ended by itself with {_described(code)}")


def failed(child: Child, code: str, detail: str) -> PartFailed:
    return PartFailed(code, detail, child.log_file, log_tail(child.log_file, since=child.log_start))


def log_tail(log_file: Path, *, since: int = 0) -> str:
    """The last lines of a log, at most 20, and none from before the byte ``since``."""
    if not log_file.exists():
        return ""
    with log_file.open("rb") as log:
        log.seek(max(since, log_file.stat().st_size - _TAIL_BYTES))
        text = log.read(_TAIL_BYTES).decode("utf-8", "replace")
    return "\n".join(text.splitlines()[-_TAIL_LINES:])


def _keep_bounded(log_file: Path) -> None:
    """Logs go on over restarts; one that has grown large starts anew, with the old one kept beside it."""
    if log_file.exists() and log_file.stat().st_size > _KEPT_LOG_BYTES:
        log_file.replace(log_file.with_suffix(".log.1"))


def _described(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
