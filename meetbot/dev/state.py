"""The state directory of a development stack (``.meetbot``), and how other commands find it.

postgres/ openbao/ temporal/   the servers' data
sandbox.json                   the sandbox's calendars, accounts and bots
demo.json                      the demo tenant and its API key
secrets.json                   what the sandbox's bot backend shares with us
dev.json                       addresses, tokens and environment of the running stack
children.json lock logs/
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meetbot.dev.environment import SandboxSecrets
from meetbot.dev.process import AlreadyRunning, Child, kill_group, package_directory

if TYPE_CHECKING:
    import psutil

DEFAULT_STATE_DIRECTORY = Path(".meetbot")
_RUNNING = "dev.json"
_SECRETS = "secrets.json"
_CHILDREN = "children.json"
_LOCK = "lock"
_GRACE_SECONDS = 15.0


def private_directory(path: Path) -> Path:
    """Make the directory if it is missing, for its owner alone."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def write_private(path: Path, content: bytes) -> None:
    """Replace the file as a whole, for its owner alone: no crash leaves half of it."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def write_private_json(path: Path, content: Any) -> None:
    """Replace the file by this content as JSON, for its owner alone."""
    write_private(path, json.dumps(content, indent=2, sort_keys=True).encode())


def read_json(path: Path) -> Any:
    """The file's content, or None if there is no such file."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None


@contextmanager
def exclusive(state_directory: Path) -> Iterator[None]:
    """Hold the state directory, or raise `AlreadyRunning` at once.

    The kernel drops the lock with its process, so none is ever left behind.
    """
    descriptor = os.open(state_directory / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _try_lock(descriptor):
            holder = os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
            raise AlreadyRunning(
                "already_running",
                f"meetbot dev is already running in {state_directory} (process {holder})",
                next_step="use that one, stop it, or give this one another state directory",
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def is_held(state_directory: Path) -> bool:
    """Whether a `meetbot dev` runs in this state directory at this moment."""
    try:
        descriptor = os.open(state_directory / _LOCK, os.O_RDWR)
    except OSError:
        return False
    try:
        return not _try_lock(descriptor)
    finally:
        os.close(descriptor)


class VaultRole(StrEnum):
    """As whom another command uses the stack's vault: none of them opens anything."""

    PROVISIONER = "provisioner"
    ROTATOR = "rotator"
    TRIMMER = "trimmer"
    ERASER = "eraser"


def load_running_environment(
    state_directory: Path = DEFAULT_STATE_DIRECTORY, role: VaultRole = VaultRole.PROVISIONER
) -> dict[str, str] | None:
    """The variables with which another command reaches the running stack; None if none runs.

    Its VAULT_TOKEN is that of the role, unless the user brought a Vault: then it is the user's own.
    """
    if not is_held(state_directory):
        return None
    running = read_json(state_directory / _RUNNING)
    if running is None:
        return None
    environment = {str(name): str(value) for name, value in running["environment"].items()}
    token = (running.get("vault_tokens") or {}).get(f"{role}_token")
    return environment if token is None else environment | {"VAULT_TOKEN": str(token)}


def write_running(state_directory: Path, running: dict[str, Any]) -> None:
    """Describe the running stack to other commands."""
    write_private_json(state_directory / _RUNNING, running)


def forget_running(state_directory: Path) -> None:
    """Remove the description of a stack that runs no more."""
    (state_directory / _RUNNING).unlink(missing_ok=True)


def sandbox_secrets(state_directory: Path) -> SandboxSecrets:
    """The same secrets at every start: reports on their way while we restart must still verify."""
    path = state_directory / _SECRETS
    known = read_json(path)
    if known is None:
        known = {"api_key": secrets.token_urlsafe(24), "webhook_secret": secrets.token_urlsafe(32)}
        write_private_json(path, known)
    return SandboxSecrets(api_key=str(known["api_key"]), webhook_secret=str(known["webhook_secret"]))


def record_children(state_directory: Path, children: Iterable[Child]) -> None:
    """Write down which children are running, for `end_orphans`."""
    running = [
        {"name": child.name, "pid": child.pid, "created": created, "signal": int(child.stop_signal)}
        for child in children
        if (created := _creation_time(child.pid)) is not None
    ]
    write_private_json(state_directory / _CHILDREN, running)


def end_orphans(state_directory: Path) -> list[str]:
    """End the children that outlived an earlier, killed `meetbot dev`. Returns their names.

    On Linux they end by themselves soon after it; elsewhere they are not told. Either way the next start must wait
    until they are gone, since two servers on one data directory would ruin it. A process is touched only if its id
    and its moment of creation are those we wrote down, so that an id used again harms no other program.
    """
    package_directory("psutil")
    import psutil  # Here, since other commands read the state without the libraries of the development stack.

    recorded = read_json(state_directory / _CHILDREN) or []
    orphans = [entry for entry in recorded if _creation_time(entry["pid"]) == entry["created"]]
    processes = [_asked_to_end(entry["pid"], entry["signal"]) for entry in orphans]
    still_there = [process for process in processes if process is not None]
    _, stubborn = psutil.wait_procs(still_there, timeout=_GRACE_SECONDS)
    for process in stubborn:
        kill_group(process.pid)
    psutil.wait_procs(stubborn, timeout=_GRACE_SECONDS)
    write_private_json(state_directory / _CHILDREN, [])
    return sorted(str(entry["name"]) for entry in orphans)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _creation_time(pid: int) -> float | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None


def _asked_to_end(pid: int, signal_number: int) -> psutil.Process | None:
    import psutil

    try:
        process = psutil.Process(pid)
        process.send_signal(signal_number)
    except psutil.NoSuchProcess:
        return None
    return process
