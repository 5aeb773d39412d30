"""Child processes: each in a group of its own, watched together, ended within bounded time.

What can go wrong with them, and the signals that ask us to stop, are here as well.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from types import FrameType

from meetbot.errors import MeetbotError

_LAUNCHER = Path(__file__).with_name("launch.py")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_POLL_SECONDS = 0.05
_WATCH_SECONDS = 0.2
# Longer than the worker gives its activities to finish.
_STOP_SECONDS = 25.0
_TAIL_BYTES = 4_000
_TAIL_LINES = 20
_KEPT_LOG_BYTES = 20_000_000

KeepGoing = Callable[[], None]
"""Called in every waiting loop; raises `StopRequested` once the stack is asked to stop."""


class DevStackError(MeetbotError):
    """Base: the development stack cannot start, or cannot go on."""


class AlreadyRunning(DevStackError):
    """Another `meetbot dev` holds this state directory."""


class StopRequested(DevStackError):
    """Ctrl-C or another signal asked us to stop in order. No fault."""


class PartFailed(DevStackError):
    """One part did not start, or ended by itself. ``log_file`` holds its own words."""

    def __init__(self, code: str, detail: str, log_file: Path, log_tail: str) -> None:
        super().__init__(code, detail, next_step=f"see {log_file}")
        self.log_file = log_file
        self.log_tail = log_tail


class Interrupt:
    """Signals received, as a flag that every waiting loop looks at.

    A second signal means: at once.
    """

    def __init__(self) -> None:
        self._requests = 0

    def request(self, _signal: int, _frame: FrameType | None) -> None:
        """Note a signal; the handler of all of them."""
        self._requests += 1

    def keep_going(self) -> None:
        """Raise `StopRequested` once a signal has come."""
        if self._requests:
            raise StopRequested("stop_requested", "asked to stop")

    def hurry(self) -> bool:
        """Whether a second signal has come."""
        return self._requests > 1


@contextmanager
def listening_for_signals() -> Iterator[Interrupt]:
    """Take over the signals that end a program, in the main thread, until the block ends."""
    interrupt = Interrupt()
    earlier = {number: signal.signal(number, interrupt.request) for number in _SIGNALS}
    try:
        yield interrupt
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


@dataclass(frozen=True, slots=True)
class ProcessUser:
    """The user and group a child runs as, if not our own."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Child:
    """A running program. ``stop_signal`` is the one it takes as a polite request to end."""

    name: str
    process: subprocess.Popen[bytes]
    log_file: Path
    stop_signal: signal.Signals
    log_start: int = 0

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its group."""
        return self.process.pid


class Tier(IntEnum):
    """Which children need which: the product needs the services. Those of one tier end together."""

    SERVICES = 1
    PRODUCT = 2


class Children:
    """The children of one `meetbot dev`. ``record`` is told of all of them after every change."""

    def __init__(self, interrupt: Interrupt, record: Callable[[Iterable[Child]], None]) -> None:
        self._interrupt = interrupt
        self._record = record
        self._tiers: dict[Tier, list[Child]] = {tier: [] for tier in Tier}

    def add(self, child: Child, tier: Tier) -> Child:
        """Watch this child too, and end it with the others."""
        self._tiers[tier].append(child)
        self._record(self._all())
        return child

    def keep_going(self) -> None:
        """Raise `StopRequested` after a signal, or `PartFailed` if a child ended by itself."""
        self._interrupt.keep_going()
        for child in self._all():
            raise_if_ended(child)

    def watch(self) -> None:
        """Wait until `StopRequested` or `PartFailed` is raised; never return."""
        while True:
            self.keep_going()
            time.sleep(_WATCH_SECONDS)

    def end(self) -> None:
        """End all of them, those of the last tier first."""
        for tier in reversed(Tier):
            stop(*self._tiers[tier], seconds=_STOP_SECONDS, hurry=self._interrupt.hurry)
            self._tiers[tier].clear()
        self._record(())

    def _all(self) -> list[Child]:
        return [child for children in self._tiers.values() for child in children]


def package_directory(package: str) -> Path:
    """The folder of an installed package, without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise _not_installed(package.replace("_", "-"))
    return Path(spec.origin).parent


def runnable(program: Path, distribution: str) -> Path:
    """The program itself. Raise `DevStackError` if it is missing or may not be run."""
    if not program.exists():
        raise _not_installed(distribution)
    # Also False on a file system that runs no programs.
    if not os.access(program, os.X_OK):
        raise DevStackError(
            "embedded_part_not_executable",
            f"{program} may not be run: its folder is mounted noexec, or its permissions do not let you",
            next_step="install into a folder from which programs may be run, or set the address of a server of your own",
        )
    return program


def spawn(
    name: str,
    command: Sequence[str | Path],
    *,
    logs: Path,
    environment: Mapping[str, str] | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
    run_as: ProcessUser | None = None,
    directory: Path | None = None,
) -> Child:
    """Start a program that logs to ``logs``. ``environment`` is added to our own.

    Call it from a thread that outlives the child: Linux sends the death signal when the spawning *thread* ends.
    """
    logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    log_file = logs / f"{name}.log"
    _keep_bounded(log_file)
    log_start = log_file.stat().st_size if log_file.exists() else 0
    with log_file.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - a fixed program, no shell
            launch_command(command, death_signal=stop_signal, run_as=run_as),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            cwd=directory,
            start_new_session=True,
        )
    return Child(name, process, log_file, stop_signal, log_start)


def launch_command(
    command: Sequence[str | Path],
    *,
    death_signal: signal.Signals = signal.SIGTERM,
    run_as: ProcessUser | None = None,
) -> list[str]:
    """The command that turns into ``command`` by way of `launch.py`.

    The program is an absolute path.
    """
    identity = run_as or ProcessUser(0, 0)
    parent = [str(os.getpid()), str(int(death_signal)), str(identity.uid), str(identity.gid)]
    return [sys.executable, "-I", "-S", str(_LAUNCHER), *parent, "--", *(str(part) for part in command)]


def stop(*children: Child, seconds: float = 10.0, hurry: Callable[[], bool] = lambda: False) -> None:
    """Ask all to end, and kill what is left after ``seconds``, or once ``hurry`` says so."""
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
    """Kill what is left of a child's process group."""
    # macOS says EPERM if only a zombie is left.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def wait_until_ready(
    child: Child, is_ready: Callable[[], bool], *, seconds: float, keep_going: KeepGoing = lambda: None
) -> None:
    """Wait for ``is_ready``. Raise `PartFailed` if the child ends first or the time is up."""
    deadline = time.monotonic() + seconds
    while not is_ready():
        keep_going()
        raise_if_ended(child)
        if time.monotonic() > deadline:
            raise failed(child, "part_not_ready", f"{child.name} was not ready within {seconds:.0f} s")
        time.sleep(_POLL_SECONDS)


def raise_if_ended(child: Child) -> None:
    """Raise `PartFailed` if the child is not running any more."""
    code = child.process.poll()
    if code is not None:
        raise failed(child, "part_ended", f"{child.name} ended by itself with {_described(code)}")


def failed(child: Child, code: str, detail: str) -> PartFailed:
    """The error for a child, with the end of its log."""
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
    """Open a log for appending, so that it goes on over restarts.

    One that has grown large starts anew, with the old one kept beside it.
    """
    if log_file.exists() and log_file.stat().st_size > _KEPT_LOG_BYTES:
        log_file.replace(log_file.with_suffix(".log.1"))


def _described(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _not_installed(distribution: str) -> DevStackError:
    return DevStackError(
        "embedded_part_missing",
        f"{distribution} is not installed for this Python and platform",
        next_step="install meetbot-calendar[embedded], or set the address of a server of your own",
    )
