"""The commands `meetbot tenants`, `meetbot keys` and `meetbot erasures`."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from meetbot.cli.shared import (
    DEFAULT_STATE,
    AsJson,
    StateDirectory,
    fail,
    open_both,
    open_database,
    print_rows,
    settings_with_database,
)
from meetbot.dev.state import VaultRole
from meetbot.errors import MeetbotError

tenants = typer.Typer(help="Tenants: our customers.", no_args_is_help=True)
keys = typer.Typer(help="API keys of a tenant.", no_args_is_help=True)
erasures = typer.Typer(help="The ledger of what was erased.", no_args_is_help=True)


@tenants.command("create")
def create(
    name: str,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False,
    test: Annotated[bool, typer.Option("--test", help="Make a test key (mb_test_…) instead of a live one.")] = False,
    region: Annotated[
        str | None,
        typer.Option("--region", help="eu or us: of another region than ours, only a pointer is stored here."),
    ] = None,
    base_url: Annotated[str | None, typer.Option("--base-url", help="Our address in that other region.")] = None,
    tenant_id: Annotated[
        str | None, typer.Option("--tenant-id", help="Make at home the tenant of a pointer; its API key on stdin.")
    ] = None,
    state: StateDirectory = DEFAULT_STATE,
) -> None:
    """Make a tenant and its first API key, which is shown only here."""
    from meetbot.storage.database import create_database
    from meetbot.tenants.api_keys import KeyMode
    from meetbot.tenants.create import create_tenant
    from meetbot.tenants.regions import adopt_tenant, point_elsewhere, region_named
    from meetbot.vault.client import vault_from_settings

    settings = settings_with_database(state)
    try:
        database = create_database(str(settings.database_url))
        mode = KeyMode.TEST if test else KeyMode.LIVE
        home = region_named(region) if region is not None else settings.region
        if home is not settings.region:
            tenant_id, api_key = point_elsewhere(database, home, base_url, mode)
        elif tenant_id is not None:
            api_key = sys.stdin.readline().strip()
            vault = vault_from_settings(settings)
            adopt_tenant(database, vault, name, settings.region, tenant_id=tenant_id, api_key=api_key)
        else:
            tenant_id, api_key = create_tenant(database, vault_from_settings(settings), name, settings.region, mode)
    except MeetbotError as error:
        fail(f"{error} {error.next_step}".strip())
    if as_json:
        typer.echo(json.dumps({"tenant_id": tenant_id, "api_key": api_key}))
    else:
        typer.echo(f"tenant   {tenant_id}\nAPI key  {api_key}   (shown only here)")


@tenants.command("list")
def list_tenants(as_json: AsJson = False, state: StateDirectory = DEFAULT_STATE) -> None:
    """List all tenants."""
    from meetbot.tenants import key_commands

    with open_database(state) as database:
        print_rows(key_commands.tenants(database), as_json=as_json)


@tenants.command("erase")
def erase(
    tenant: Annotated[str, typer.Argument(help="The tenant's id, ten_….")],
    yes: Annotated[bool, typer.Option("--yes", help="Erase for good: nothing brings it back.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Go on though bots or grants are left.")] = False,
    wait_seconds: Annotated[float, typer.Option("--wait", min=0, help="For bots and grants, in seconds.")] = 300.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False,
    state: StateDirectory = DEFAULT_STATE,
) -> None:
    """Erase a tenant with everything of it; its key is destroyed last.

    VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID, must be the eraser's. Workers must be running.
    """
    from meetbot.clock import utc_now
    from meetbot.tenants.erase import Patience, erase_tenant

    if not yes:
        fail("this cannot be undone: say --yes")
    with open_both(state, VaultRole.ERASER) as (database, vault):
        counts = erase_tenant(database, vault, tenant, clock=utc_now, patience=Patience(wait_seconds, force))
    if as_json:
        typer.echo(json.dumps({"tenant_id": tenant, "deleted": counts, "key": "destroyed"}))
    else:
        rows = "\n".join(f"  {table:<20} {count}" for table, count in counts.items() if count)
        typer.echo(f"{tenant} is erased, its key destroyed. Deleted rows:\n{rows}")


@erasures.command()
def export(
    file: Annotated[Path, typer.Argument(help="The ledger's copy; entries that only it has stay.")],
    state: StateDirectory = DEFAULT_STATE,
) -> None:
    """Copy the ledger of erasures to a file, which a restore of the database does not touch."""
    from meetbot.tenants.erasure_ledger import export_ledger

    with open_both(state, VaultRole.ERASER) as (database, _), _usable(file):
        count = export_ledger(database, file)
    typer.echo(f"{file} has {count} entries")


@erasures.command()
def replay(
    file: Annotated[Path | None, typer.Argument(help="The ledger's copy, as exported.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Erase again: nothing brings it back.")] = False,
    state: StateDirectory = DEFAULT_STATE,
) -> None:
    """Erase again what a restore has brought back, before API and workers start."""
    from meetbot.tenants.erasure_ledger import read_ledger, replay_ledger

    if not yes:
        fail("this cannot be undone: say --yes")
    copy = []
    if file is not None:
        with _usable(file):
            copy = read_ledger(file)
    with open_both(state, VaultRole.ERASER) as (database, vault):
        done = replay_ledger(database, vault, copy)
    typer.echo(f"{done.entries} entries: erased {done.calendar_users} calendar users and {done.tenants} tenants again")


@keys.command("create")
def create_key(
    tenant_id: str,
    name: Annotated[str, typer.Option("--name", help="What the key is for.")],
    scope: Annotated[list[str] | None, typer.Option("--scope", help="Such as bots:read; may be repeated.")] = None,
    expires_at: Annotated[str | None, typer.Option("--expires-at", help="RFC 3339, with its offset.")] = None,
    as_json: AsJson = False,
    state: StateDirectory = DEFAULT_STATE,
) -> None:
    """Make an API key, which is shown only here. Without --scope it may do everything."""
    from meetbot.tenants import key_commands

    with open_database(state) as database:
        made = key_commands.create(database, tenant_id, name, scope or ["*"], expires_at)
    print_rows([made], as_json=as_json, single=True)


@keys.command("list")
def list_keys(tenant_id: str, as_json: AsJson = False, state: StateDirectory = DEFAULT_STATE) -> None:
    """List a tenant's API keys, without their secrets."""
    from meetbot.tenants import key_commands

    with open_database(state) as database:
        print_rows(key_commands.keys(database, tenant_id), as_json=as_json)


@keys.command("rotate")
def rotate_key(
    tenant_id: str,
    key_id: str,
    overlap_hours: Annotated[int, typer.Option("--overlap-hours", help="How long the old key still works.")] = 24,
    as_json: AsJson = False,
    state: StateDirectory = DEFAULT_STATE,
) -> None:
    """Replace an API key by a new one, which is shown only here."""
    from meetbot.tenants import key_commands

    with open_database(state) as database:
        made = key_commands.rotate(database, tenant_id, key_id, overlap_hours)
    print_rows([made], as_json=as_json, single=True)


@keys.command("revoke")
def revoke_key(tenant_id: str, key_id: str, as_json: AsJson = False, state: StateDirectory = DEFAULT_STATE) -> None:
    """Revoke an API key at once, the tenant's last one too."""
    from meetbot.tenants import key_commands

    with open_database(state) as database:
        revoked = key_commands.revoke(database, tenant_id, key_id)
    print_rows([revoked], as_json=as_json, single=True)


@contextlib.contextmanager
def _usable(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        fail(f"cannot use {file}: {error.strerror}")
