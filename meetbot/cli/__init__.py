"""The `meetbot` command. Each subcommand calls the module that does the work."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, BinaryIO, NoReturn, TextIO

import typer

from meetbot.cli.shared import DEFAULT_STATE, StateDirectory, fail, say, use_running_stack
from meetbot.cli.tenant_commands import erasures, keys, tenants
from meetbot.cli.vault_commands import vault
from meetbot.errors import MeetbotError

app = typer.Typer(
    help="Calendar in, recording bots out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
db = typer.Typer(help="The database's schema.", no_args_is_help=True)
rules = typer.Typer(help="Recording rules.", no_args_is_help=True)
app.add_typer(tenants, name="tenants")
app.add_typer(keys, name="keys")
app.add_typer(erasures, name="erasures")
app.add_typer(vault, name="vault")
app.add_typer(db, name="db")
app.add_typer(rules, name="rules")

_MAX_RULES_BYTES = 1 << 20


@app.command()
def dev(state: StateDirectory = DEFAULT_STATE) -> None:
    """Run the whole service here: Temporal, OpenBao, PostgreSQL, sandbox, worker, API."""
    from meetbot.dev.command import prepare_demo_tenant, run_dev

    raise typer.Exit(run_dev(state, prepare_demo_tenant))


@app.command()
def doctor(state: StateDirectory = DEFAULT_STATE) -> None:
    """Check that everything the service needs is there and answers."""
    from meetbot.doctor import run_doctor

    use_running_stack(state)
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
        fail("say which rule set: meetbot rules evaluate RULES.json < events.jsonl")
    _answer_lines(functools.partial(cli.run, _read_rules(path), normalisers=normalisers))


@db.command()
def upgrade(state: StateDirectory = DEFAULT_STATE) -> None:
    """Bring the schema of DATABASE_URL to this release."""
    from meetbot.settings import load_database_settings
    from meetbot.storage.migrate import upgrade as run

    use_running_stack(state)
    settings = load_database_settings()
    if settings.database_url is None:
        fail("DATABASE_URL is not set")
    run(settings.database_url, owner_alone=not settings.is_production)
    typer.echo("the schema is up to date")


@db.command()
def roles() -> None:
    """Print what a superuser runs once for each server: our logins, still without passwords."""
    from meetbot.storage.roles import creation

    for statement in creation():
        typer.echo(f"{statement};")


def main() -> None:
    """Run a command. What the operator can mend is one line on standard error, not a traceback."""
    try:
        app()
    except Exception as error:
        explanation = _explained(error)
        if explanation is None:
            raise
        say(explanation)
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
        fail("standard input and output must be open", exit_code=1)
    try:
        exit_code = run(sys.stdin.buffer, _write_line)
        sys.stdout.flush()
    except OSError as error:
        # What is left in the buffer must not fail once more when Python flushes it at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise typer.Exit(1) from None
        fail(f"cannot read or write: {error.strerror}", exit_code=1)
    raise typer.Exit(exit_code)


def _write_line(line: str) -> None:
    sys.stdout.write(line if line.endswith("\n") else line + "\n")


def _read_rules(path: Path) -> object:
    from meetbot.domain.json_objects import parse_json

    try:
        if path.stat().st_size > _MAX_RULES_BYTES:
            fail(f"{path} is larger than {_MAX_RULES_BYTES} bytes")
        document: object = parse_json(path.read_text("utf-8-sig"))
    except json.JSONDecodeError as error:
        fail(f"{path} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}")
    except UnicodeDecodeError as error:
        fail(f"cannot read {path}: byte {error.start + 1} is not UTF-8")
    except (OSError, ValueError, RecursionError) as error:
        fail(f"cannot read {path}: {type(error).__name__}")
    return document
