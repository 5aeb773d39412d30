"""``meetbot dev``: run the development stack until somebody stops it, and say what there is to see."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from pydantic import ValidationError

from meetbot.dev import lock, state
from meetbot.dev.errors import DevStackError, PartFailed, StopRequested
from meetbot.dev.family import family
from meetbot.dev.files import private_directory
from meetbot.dev.interrupt import Interrupt, listening_for_signals
from meetbot.dev.leftovers import end_leftovers
from meetbot.dev.supervisor import Prepare, RunningStack, start_stack
from meetbot.dev.wiring import SANDBOXED, stands_in_for
from meetbot.errors import MeetbotError
from meetbot.settings import Environment, Settings, faults_in


def run_dev(state_directory: Path, prepare: Prepare) -> int:
    """Run until a signal comes (exit code 0) or a part fails (1). ``prepare`` makes the demo tenant."""
    try:
        settings = _development_settings()
        directory = _usable(state_directory.absolute())
        with listening_for_signals() as interrupt, lock.exclusive(directory):
            _run(settings, directory, prepare, interrupt)
    except StopRequested:
        print("\nEverything has stopped.", flush=True)
        return 0
    except MeetbotError as error:
        _report(error)
        return 1
    return 0


def _run(settings: Settings, directory: Path, prepare: Prepare, interrupt: Interrupt) -> None:
    began = time.monotonic()
    state.forget_running(directory)
    for name in end_leftovers(directory):
        print(f"ended {name}, left over from an earlier run", flush=True)
    print(f"Starting {', '.join(_parts(settings))} and the API ...", flush=True)
    try:
        with family(directory, interrupt) as children:
            stack = start_stack(settings, directory, prepare, children)
            print(welcome(stack, seconds=time.monotonic() - began), flush=True)
            children.watch()
    finally:
        state.forget_running(directory)


def _parts(settings: Settings) -> list[str]:
    """What is started besides the API."""
    ours = {
        "Temporal": settings.temporal_address is None,
        "OpenBao": settings.vault_addr is None,
        "PostgreSQL": settings.database_url is None,
        "the sandbox": bool(stands_in_for(settings)),
        "the worker": True,
    }
    return [part for part, is_started in ours.items() if is_started]


def welcome(stack: RunningStack, *, seconds: float) -> str:
    """The page of addresses that the newcomer reads first."""
    addresses, tenant = stack.environment.addresses, stack.demo_tenant
    public_url = addresses.public_url.rstrip("/")
    lines = {
        # The fragment signs the newcomer in: it stays in the browser and reaches no server's log.
        "Console": f"{public_url}/console#key={tenant.api_key}",
        "API docs": f"{public_url}/docs",
        "Temporal UI": addresses.temporal_ui_url or f"your own, at {addresses.temporal_address}",
        **_sandbox_line(stack),
        "Demo tenant": tenant.tenant_id,
        "API key": tenant.api_key,
        "Logs": f"{stack.environment.state_directory / 'logs'}/",
    }
    table = "\n".join(f"  {name:<18}{value}" for name, value in lines.items())
    return (
        f"\nmeetbot is ready ({seconds:.1f} s). Ctrl-C stops everything.\n\n{table}\n\n"
        f"Try this, and open the authorization_url it answers with:\n\n"
        f"  curl -s {public_url}/v1/calendar/connect/google -H 'Authorization: Bearer {tenant.api_key}'"
        f" -H 'Content-Type: application/json' -d '{{\"customer_user_id\": \"alice\"}}'\n"
    )


def _sandbox_line(stack: RunningStack) -> dict[str, str]:
    """Where the user has brought some of the real ones, says which not: a meeting made elsewhere would be made in vain."""
    if not stack.sandboxed:
        return {}
    address = f"{stack.environment.addresses.sandbox_url}/"
    everything = len(stack.sandboxed) == len(SANDBOXED)
    return {
        "Sandbox calendar": address if everything else f"{address}   (stands in for {' and '.join(stack.sandboxed)})"
    }


def _development_settings() -> Settings:
    try:
        settings = Settings()
    except ValidationError as error:
        raise DevStackError(
            "bad_configuration", faults_in(error), next_step="correct or unset these variables"
        ) from None
    if settings.env is not Environment.DEVELOPMENT:
        raise DevStackError(
            "not_for_production",
            "meetbot dev runs a development stack",
            next_step="unset MEETBOT_ENV, or run the API and the worker themselves",
        )
    return settings


def _usable(state_directory: Path) -> Path:
    try:
        directory = private_directory(state_directory)
        (directory / "logs").mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise DevStackError(
            "state_directory_unusable",
            f"{state_directory} cannot be written to ({error.strerror})",
            next_step="give another directory (meetbot dev --state), or make this one yours",
        ) from error
    return directory


def _report(error: MeetbotError) -> None:
    print(f"\nmeetbot dev: {error.detail} [{error.code}]", file=sys.stderr)
    if isinstance(error, PartFailed) and error.log_tail:
        indented = "\n".join(f"  | {line}" for line in error.log_tail.splitlines())
        print(f"The end of {error.log_file}:\n{indented}", file=sys.stderr)
    elif error.next_step:
        print(f"Next: {error.next_step}", file=sys.stderr)
