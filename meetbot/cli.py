"""The `meetbot` command. Each subcommand calls the module that does the work."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, NoReturn, TextIO

import typer

from meetbot.errors import MeetbotError

if TYPE_CHECKING:
    from meetbot.storage.database import Database
    from meetbot.vault.client import Vault

app = typer.Typer(
    help="Calendar in, recording bots out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
tenants = typer.Typer(help="Tenants: our customers.", no_args_is_help=True)
keys = typer.Typer(help="API keys of a tenant.", no_args_is_help=True)
erasures = typer.Typer(help="The ledger of what was erased.", no_args_is_help=True)
db = typer.Typer(help="The database's schema.", no_args_is_help=True)
rules = typer.Typer(help="Recording rules.", no_args_is_help=True)
app.add_typer(tenants, name="tenants")
app.add_typer(erasures, name="erasures")
app.add_typer(keys, name="keys")
app.add_typer(db, name="db")
app.add_typer(rules, name="rules")

StateDirectory = Annotated[Path, typer.Option("--state", help="Where the development stack keeps its data.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON only.")]
_DEFAULT_STATE = Path(".meetbot")
_MAX_RULES_BYTES = 1 << 20


@app.command()
def dev(state: StateDirectory = _DEFAULT_STATE) -> None:
    """Run the whole service here: Temporal, OpenBao, PostgreSQL, sandbox, worker, API."""
    from meetbot.dev.command import prepare_demo_tenant, run_dev

    raise typer.Exit(run_dev(state, prepare_demo_tenant))


@app.command()
def doctor(state: StateDirectory = _DEFAULT_STATE) -> None:
    """Check that everything the service needs is there and answers."""
    from meetbot.doctor import run_doctor

    _use_running_stack(state)
    exit_code = run_doctor()
    sys.stdout.flush()
    # Temporal's client leaves threads behind that may still call into an interpreter on its way out.
    os._exit(exit_code)


@app.command()
def links() -> None:
    """Find the meeting link of each event: JSON lines {"provider", "event"} in, JSON lines out."""
    from meetbot.links import cli

    _answer_lines(cli.run)


@rules.command()
def evaluate(
    rules_file: Annotated[Path | None, typer.Argument(help="A rule set as JSON, as PUT …/rules takes it.")] = None,
    rules_option: Annotated[Path | None, typer.Option("--rules", "-r", help="The same, as an option.")] = None,
) -> None:
    """Decide on events: JSON lines in, decisions out.

    A line is an object with "event", "owner_email", "internal_domains" and "now".

    The event has the shape of the API's event resource; with "provider" in the line, that provider's own.
    """
    from meetbot.domain.event import Provider
    from meetbot.providers.google.events import normalise_google
    from meetbot.providers.microsoft.events import normalise_microsoft
    from meetbot.rules import cli

    normalisers = {Provider.GOOGLE: normalise_google, Provider.MICROSOFT: normalise_microsoft}
    path = rules_file or rules_option
    if path is None:
        _fail("say which rule set: meetbot rules evaluate RULES.json < events.jsonl")
    _answer_lines(functools.partial(cli.run, _read_rules(path), normalisers=normalisers))


@tenants.command("create")
def create(
    name: str,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False,
    test: Annotated[bool, typer.Option("--test", help="Make a test key (mb_test_…) instead of a live one.")] = False,
    state: StateDirectory = _DEFAULT_STATE,
) -> None:
    """Make a tenant and its first API key, which is shown only here."""
    from meetbot.settings import load_settings
    from meetbot.storage.database import create_database
    from meetbot.tenants.api_keys import KeyMode
    from meetbot.tenants.create import create_tenant
    from meetbot.vault.client import vault_from_settings

    _use_running_stack(state)
    try:
        settings = load_settings()
        if settings.database_url is None:
            _fail("no database: start `meetbot dev` in another terminal, or set DATABASE_URL and VAULT_ADDR")
        database = create_database(settings.database_url)
        vault = vault_from_settings(settings)
        mode = KeyMode.TEST if test else KeyMode.LIVE
        tenant_id, api_key = create_tenant(database, vault, name, settings.region, mode)
    except MeetbotError as error:
        _fail(f"{error} {error.next_step}".strip())
    if as_json:
        typer.echo(json.dumps({"tenant_id": tenant_id, "api_key": api_key}))
    else:
        typer.echo(f"tenant   {tenant_id}\nAPI key  {api_key}   (shown only here)")


@tenants.command("erase")
def erase(
    tenant: Annotated[str, typer.Argument(help="The tenant's id, ten_….")],
    yes: Annotated[bool, typer.Option("--yes", help="Erase for good: nothing brings it back.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Go on though bots or grants are left.")] = False,
    wait_seconds: Annotated[float, typer.Option("--wait", min=0, help="For bots and grants, in seconds.")] = 300.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False,
    state: StateDirectory = _DEFAULT_STATE,
) -> None:
    """Erase a tenant with everything of it; its key is destroyed last.

    VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID, must be the eraser's. Workers must be running.
    """
    from meetbot.clock import utc_now
    from meetbot.tenants.erase import Patience, erase_tenant

    if not yes:
        _fail("this cannot be undone: say --yes")
    with _erasers_connections(state) as (database, vault):
        counts = erase_tenant(database, vault, tenant, clock=utc_now, patience=Patience(wait_seconds, force))
    if as_json:
        typer.echo(json.dumps({"tenant_id": tenant, "deleted": counts, "key": "destroyed"}))
    else:
        rows = "\n".join(f"  {table:<20} {count}" for table, count in counts.items() if count)
        typer.echo(f"{tenant} is erased, its key destroyed. Deleted rows:\n{rows}")


@erasures.command()
def export(
    file: Annotated[Path, typer.Argument(help="The ledger's copy; entries that only it has stay.")],
    state: StateDirectory = _DEFAULT_STATE,
) -> None:
    """Copy the ledger of erasures to a file, which a restore of the database does not touch."""
    from meetbot.tenants.erasure_ledger import export_ledger

    with _erasers_connections(state) as (database, _), _usable(file):
        count = export_ledger(database, file)
    typer.echo(f"{file} has {count} entries")


@erasures.command()
def replay(
    file: Annotated[Path | None, typer.Argument(help="The ledger's copy, as exported.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Erase again: nothing brings it back.")] = False,
    state: StateDirectory = _DEFAULT_STATE,
) -> None:
    """Erase again what a restore has brought back, before API and workers start."""
    from meetbot.tenants.erasure_ledger import read_ledger, replay_ledger

    if not yes:
        _fail("this cannot be undone: say --yes")
    copy = []
    if file is not None:
        with _usable(file):
            copy = read_ledger(file)
    with _erasers_connections(state) as (database, vault):
        done = replay_ledger(database, vault, copy)
    typer.echo(f"{done.entries} entries: erased {done.calendar_users} calendar users and {done.tenants} tenants again")


@tenants.command("list")
def list_tenants(as_json: AsJson = False, state: StateDirectory = _DEFAULT_STATE) -> None:
    """List all tenants."""
    from meetbot.tenants import key_commands

    with _open_database(state) as database:
        _print_rows(key_commands.tenants(database), as_json=as_json)


@keys.command("create")
def create_key(
    tenant_id: str,
    name: Annotated[str, typer.Option("--name", help="What the key is for.")],
    scope: Annotated[list[str] | None, typer.Option("--scope", help="Such as bots:read; may be repeated.")] = None,
    expires_at: Annotated[str | None, typer.Option("--expires-at", help="RFC 3339, with its offset.")] = None,
    as_json: AsJson = False,
    state: StateDirectory = _DEFAULT_STATE,
) -> None:
    """Make an API key, which is shown only here. Without --scope it may do everything."""
    from meetbot.tenants import key_commands

    with _open_database(state) as database:
        made = key_commands.create(database, tenant_id, name, scope or ["*"], expires_at)
    _print_rows([made], as_json=as_json, single=True)


@keys.command("list")
def list_keys(tenant_id: str, as_json: AsJson = False, state: StateDirectory = _DEFAULT_STATE) -> None:
    """List a tenant's API keys, without their secrets."""
    from meetbot.tenants import key_commands

    with _open_database(state) as database:
        _print_rows(key_commands.keys(database, tenant_id), as_json=as_json)


@keys.command("rotate")
def rotate_key(
    tenant_id: str,
    key_id: str,
    overlap_hours: Annotated[int, typer.Option("--overlap-hours", help="How long the old key still works.")] = 24,
    as_json: AsJson = False,
    state: StateDirectory = _DEFAULT_STATE,
) -> None:
    """Replace an API key by a new one, which is shown only here."""
    from meetbot.tenants import key_commands

    with _open_database(state) as database:
        made = key_commands.rotate(database, tenant_id, key_id, overlap_hours)
    _print_rows([made], as_json=as_json, single=True)


@keys.command("revoke")
def revoke_key(tenant_id: str, key_id: str, as_json: AsJson = False, state: StateDirectory = _DEFAULT_STATE) -> None:
    """Revoke an API key at once, the tenant's last one too."""
    from meetbot.tenants import key_commands

    with _open_database(state) as database:
        revoked = key_commands.revoke(database, tenant_id, key_id)
    _print_rows([revoked], as_json=as_json, single=True)


@db.command()
def upgrade(state: StateDirectory = _DEFAULT_STATE) -> None:
    """Bring the schema of DATABASE_URL to this release."""
    from meetbot.settings import load_database_url
    from meetbot.storage.migrate import upgrade as run

    _use_running_stack(state)
    url = load_database_url()
    if url is None:
        _fail("DATABASE_URL is not set")
    run(url)
    typer.echo("the schema is up to date")


def main() -> None:
    """Run a command. What the operator can mend is one line on standard error, not a traceback."""
    try:
        app()
    except Exception as error:
        explanation = _explained(error)
        if explanation is None:
            raise
        _say(explanation)
        sys.exit(2)


def _explained(error: Exception) -> str | None:
    # Imported here: slow to load, and most commands do without.
    from pydantic import ValidationError
    from sqlalchemy.exc import SQLAlchemyError

    from meetbot.settings import faults_in

    if isinstance(error, ValidationError):
        return faults_in(error)
    if isinstance(error, MeetbotError):
        return f"{error.detail} [{error.code}] {error.next_step}".rstrip()
    if isinstance(error, SQLAlchemyError):
        return f"the database does not answer ({type(error).__name__}): check DATABASE_URL"
    return None


def _answer_lines(run: Callable[[BinaryIO, Callable[[str], object]], int]) -> NoReturn:
    """Run from standard input to standard output; exit with 1 if one of them cannot be used."""
    # Python leaves None if the shell has closed a stream; the types do not say so.
    streams: tuple[TextIO | None, TextIO | None] = (sys.stdin, sys.stdout)
    if None in streams:
        _fail("standard input and output must be open", exit_code=1)
    try:
        exit_code = run(sys.stdin.buffer, _write_line)
        sys.stdout.flush()
    except OSError as error:
        # What is left in the buffer must not fail once more when Python flushes it at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise typer.Exit(1) from None
        _fail(f"cannot read or write: {error.strerror}", exit_code=1)
    raise typer.Exit(exit_code)


def _write_line(line: str) -> None:
    sys.stdout.write(line if line.endswith("\n") else line + "\n")


def _read_rules(path: Path) -> object:
    from meetbot.domain.json_objects import parse_json

    try:
        if path.stat().st_size > _MAX_RULES_BYTES:
            _fail(f"{path} is larger than {_MAX_RULES_BYTES} bytes")
        document: object = parse_json(path.read_text("utf-8-sig"))
    except json.JSONDecodeError as error:
        _fail(f"{path} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}")
    except UnicodeDecodeError as error:
        _fail(f"cannot read {path}: byte {error.start + 1} is not UTF-8")
    except (OSError, ValueError, RecursionError) as error:
        _fail(f"cannot read {path}: {type(error).__name__}")
    return document


def _use_running_stack(state: Path, *, as_eraser: bool = False) -> None:
    """Fill variables that are not set with the addresses of a running development stack."""
    from meetbot.dev.state import VaultRole, load_running_environment

    role = VaultRole.ERASER if as_eraser else VaultRole.PROVISIONER
    for name, value in (load_running_environment(state, role) or {}).items():
        os.environ.setdefault(name, value)


@contextlib.contextmanager
def _erasers_connections(state: Path) -> Iterator[tuple[Database, Vault]]:
    from meetbot.settings import load_settings
    from meetbot.storage.database import create_database
    from meetbot.vault.client import vault_from_settings

    _use_running_stack(state, as_eraser=True)
    settings = load_settings()
    if settings.database_url is None:
        _fail("no database: start `meetbot dev` in another terminal, or set DATABASE_URL and VAULT_ADDR")
    with (
        contextlib.closing(create_database(settings.database_url)) as database,
        contextlib.closing(vault_from_settings(settings)) as vault,
    ):
        yield database, vault


@contextlib.contextmanager
def _usable(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        _fail(f"cannot use {file}: {error.strerror}")


@contextlib.contextmanager
def _open_database(state: Path) -> Iterator[Database]:
    from meetbot.settings import load_database_url
    from meetbot.storage.database import create_database

    _use_running_stack(state)
    url = load_database_url()
    if url is None:
        _fail("no database: start `meetbot dev` in another terminal, or set DATABASE_URL")
    database = create_database(url)
    try:
        yield database
    finally:
        database.close()


def _print_rows(rows: Sequence[Mapping[str, Any]], *, as_json: bool, single: bool = False) -> None:
    """Print rows as JSON (a list, or the one object), or as a line of `name=value` each."""
    if as_json:
        typer.echo(json.dumps(rows[0] if single else list(rows)))
        return
    for row in rows:
        typer.echo("  ".join(f"{name}={_shown(value)}" for name, value in row.items() if value is not None))


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _fail(message: str, *, exit_code: int = 2) -> NoReturn:
    _say(message)
    raise typer.Exit(exit_code)


def _say(message: str) -> None:
    typer.echo(f"meetbot: {message}", err=True)
