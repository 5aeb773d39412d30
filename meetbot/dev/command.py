"""`meetbot dev`: run the development stack until it is stopped, and say what to look at."""

from __future__ import annotations

import functools
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from pydantic import ValidationError

from meetbot.dev import state
from meetbot.dev.environment import SANDBOXED, stands_in_for
from meetbot.dev.process import (
    Children,
    DevStackError,
    Interrupt,
    PartFailed,
    StopRequested,
    listening_for_signals,
)
from meetbot.dev.stack import DemoTenant, DevEnvironment, Prepare, RunningStack, start_stack
from meetbot.errors import MeetbotError
from meetbot.settings import Environment, Settings, faults_in
from meetbot.tenants.api_keys import public_id_in

if TYPE_CHECKING:
    from meetbot.storage.database import Database

# Any meeting put into a connected sandbox calendar gets a bot, before its owner has learnt the rules.
DEMO_RULES = {
    "rules": [
        {"name": "customers", "action": "record", "when": {"attendee_domains": {"any_of": ["customer.test"]}}},
        {"name": "internal meetings", "action": "record", "when": {"internal": True}},
    ]
}


def run_dev(state_directory: Path, prepare: Prepare) -> int:
    """Run until a signal comes (exit code 0) or a part fails (1).

    ``prepare`` makes the demo tenant.
    """
    try:
        settings = _development_settings()
        directory = _usable(state_directory.absolute())
        with listening_for_signals() as interrupt, state.exclusive(directory):
            _run(settings, directory, prepare, interrupt)
    except StopRequested:
        print("\nEverything has stopped.", flush=True)
        return 0
    except MeetbotError as error:
        _report(error)
        return 1
    return 0


def welcome(stack: RunningStack, *, seconds: float) -> str:
    """The page of addresses that a newcomer reads first."""
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


def prepare_demo_tenant(environment: DevEnvironment) -> DemoTenant:
    """Make the demo tenant, or find the one of an earlier start with the same key."""
    remembered = environment.state_directory / "demo.json"
    known = state.read_json(remembered) or {}
    if known and _key_is_known(environment.addresses.database_url, known["api_key"]):
        return DemoTenant(known["tenant_id"], known["api_key"])
    return _make_demo_tenant(environment, remembered, known.get("api_key"))


def _run(settings: Settings, directory: Path, prepare: Prepare, interrupt: Interrupt) -> None:
    began = time.monotonic()
    state.forget_running(directory)
    for name in state.end_orphans(directory):
        print(f"ended {name}, left over from an earlier run", flush=True)
    print(f"Starting {', '.join(_parts(settings))} and the API ...", flush=True)
    children = Children(interrupt, functools.partial(state.record_children, directory))
    try:
        stack = start_stack(settings, directory, prepare, children)
        print(welcome(stack, seconds=time.monotonic() - began), flush=True)
        children.watch()
    finally:
        children.end()
        state.forget_running(directory)


def _parts(settings: Settings) -> list[str]:
    """The parts that are started besides the API."""
    ours = {
        "Temporal": settings.temporal_address is None,
        "OpenBao": settings.vault_addr is None,
        "PostgreSQL": settings.database_url is None,
        "the sandbox": bool(stands_in_for(settings)),
        "the worker": True,
    }
    return [part for part, is_started in ours.items() if is_started]


def _sandbox_line(stack: RunningStack) -> dict[str, str]:
    """Name what the sandbox stands in for, if some accounts are real.

    Meetings made in it for the others are never seen.
    """
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
        directory = state.private_directory(state_directory)
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


def _make_demo_tenant(environment: DevEnvironment, remembered: Path, known_key: str | None) -> DemoTenant:
    # Imported here: slow to load, and the servers boot meanwhile.
    from meetbot.storage.database import create_database
    from meetbot.tenants.create import ensure_demo_tenant
    from meetbot.vault.client import TokenAuth, Vault, vault_from_settings

    settings = Settings()
    database = create_database(environment.addresses.database_url)
    tokens = environment.vault_tokens
    vault = (
        Vault(environment.addresses.vault_address, TokenAuth(tokens.provisioner_token))
        if tokens is not None
        else vault_from_settings(settings)
    )
    try:
        tenant_id, api_key = ensure_demo_tenant(database, vault, settings.region, known_key)
        _give_rules(database, tenant_id)
    finally:
        vault.close()
        database.close()
    state.write_private_json(remembered, {"tenant_id": tenant_id, "api_key": api_key})
    return DemoTenant(tenant_id, api_key)


def _key_is_known(database_url: str, api_key: str) -> bool:
    """Whether the key is in force.

    Asked with the driver alone, because SQLAlchemy takes a second to load. The key itself was written down by us, so its
    public part tells.
    """
    public_id = public_id_in(api_key)
    if public_id is None:
        return False
    try:
        with psycopg.connect(database_url, connect_timeout=5) as connection:
            connection.execute("select set_config('app.api_key_id', %s, true)", (public_id,))
            found = connection.execute("select 1 from api_key where revoked_at is null").fetchone()
    except psycopg.Error:
        return False
    return found is not None


def _give_rules(database: Database, tenant_id: str) -> None:
    """Give the tenant its first rules. Any later ones stay as they are."""
    from meetbot.rules.policy import TENANT_OWNER
    from meetbot.storage.rule_sets import add_version, list_versions

    with database.transaction(tenant_id) as session:
        if not list_versions(session, tenant_id, TENANT_OWNER, "default", before=None, limit=1):
            add_version(session, tenant_id, TENANT_OWNER, "default", body=DEMO_RULES, created_by="demo")
