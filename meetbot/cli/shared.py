"""What the commands share: the stack's variables, connections, how a failure is said."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from meetbot.dev.state import VaultRole, load_running_environment

if TYPE_CHECKING:
    from meetbot.settings import Settings
    from meetbot.storage.database import Database
    from meetbot.vault.client import Vault

StateDirectory = Annotated[Path, typer.Option("--state", help="Where the development stack keeps its data.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON only.")]
DEFAULT_STATE = Path(".meetbot")


def use_running_stack(state: Path, role: VaultRole = VaultRole.PROVISIONER) -> None:
    """Fill variables that are not set with those of a running development stack."""
    for name, value in (load_running_environment(state, role) or {}).items():
        os.environ.setdefault(name, value)


@contextlib.contextmanager
def open_database(state: Path) -> Iterator[Database]:
    """Open the configured database, or the running stack's."""
    # Imported here and below: slow to load, and most commands do without.
    from meetbot.settings import load_database_settings
    from meetbot.storage.database import create_database

    use_running_stack(state)
    url = load_database_settings().database_url
    if url is None:
        fail("no database: start `meetbot dev` in another terminal, or set DATABASE_URL")
    with contextlib.closing(create_database(url)) as database:
        yield database


@contextlib.contextmanager
def open_both(state: Path, role: VaultRole) -> Iterator[tuple[Database, Vault]]:
    """Open the database and the vault; in a running stack, the vault as this role."""
    from meetbot.storage.database import create_database
    from meetbot.vault.client import vault_from_settings

    settings = settings_with_database(state, role)
    with (
        contextlib.closing(create_database(str(settings.database_url))) as database,
        contextlib.closing(vault_from_settings(settings)) as vault,
    ):
        yield database, vault


def settings_with_database(state: Path, role: VaultRole = VaultRole.PROVISIONER) -> Settings:
    """Return the settings, or fail if they name no database and no stack runs."""
    from meetbot.settings import load_settings

    use_running_stack(state, role)
    settings = load_settings()
    if settings.database_url is None:
        fail("no database: start `meetbot dev` in another terminal, or set DATABASE_URL and VAULT_ADDR")
    return settings


def print_rows(rows: Sequence[Mapping[str, Any]], *, as_json: bool, single: bool = False) -> None:
    """Print rows as JSON (a list, or the one object), or as a line of `name=value` each."""
    if as_json:
        typer.echo(json.dumps(rows[0] if single else list(rows)))
        return
    for row in rows:
        typer.echo("  ".join(f"{name}={_shown(value)}" for name, value in row.items() if value is not None))


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def fail(message: str, *, exit_code: int = 2) -> NoReturn:
    """Say what is wrong on standard error and exit."""
    say(message)
    raise typer.Exit(exit_code)


def say(message: str) -> None:
    """Print one line on standard error."""
    typer.echo(f"meetbot: {message}", err=True)
