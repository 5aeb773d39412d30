"""`meetbot doctor`: ask each part whether it answers, and say what to do if not."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError
from temporalio.service import RPCError

from meetbot.domain.event import Provider
from meetbot.errors import MeetbotError
from meetbot.providers.registry import oauth_client
from meetbot.push.quota import describe_google
from meetbot.settings import Settings, faults_in, load_settings
from meetbot.storage.database import create_database
from meetbot.storage.migrate import pending
from meetbot.temporal.client import connect
from meetbot.vault.client import vault_from_settings
from meetbot.vault.rights import ProcessKind, refuse_unsafe_rights


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known about one part. ``fault`` None means that all is well with it."""

    part: str
    fault: str | None
    next_step: str = ""
    note: str = ""


def run_doctor() -> int:
    """Print a line for each part; exit code 0 if all is well."""
    try:
        settings = load_settings()
    except ValidationError as error:
        sys.stdout.write(f"configuration: {faults_in(error)}\n")
        return 1
    findings = examine(settings)
    for finding in findings:
        sys.stdout.write(f"{'ok  ' if finding.fault is None else 'FAIL'}  {finding.part}{_explained(finding)}\n")
    return 0 if all(finding.fault is None for finding in findings) else 1


def examine(settings: Settings) -> list[Finding]:
    """Ask every part, the embedded ones included if nothing runs yet."""
    return [
        _probe("PostgreSQL", lambda: _check_database(settings), "check DATABASE_URL"),
        _probe("schema", lambda: _check_schema(settings), "run `meetbot db upgrade`"),
        _probe(
            "OpenBao or Vault", lambda: vault_from_settings(settings).check(), "check VAULT_ADDR and its credentials"
        ),
        *(
            [_probe("vault's rights and audit", lambda: _check_vault_rights(settings), "")]
            if settings.is_production
            else []
        ),
        _probe("Temporal", lambda: asyncio.run(_check_temporal(settings)), "check TEMPORAL_ADDRESS"),
        *_examine_embedded(settings),
        *(_probe(f"{provider} OAuth client", _check_client(settings, provider), "") for provider in Provider),
        Finding("push", None, note=_describe_push(settings)),
    ]


def _examine_embedded(settings: Settings) -> list[Finding]:
    """What `meetbot dev` would start here, if nothing runs yet."""
    if settings.is_production:
        return []
    # Imported here: production does without the development stack.
    from meetbot.dev.account import check_account, check_programs
    from meetbot.dev.openbao import openbao_program
    from meetbot.dev.temporal import temporal_program

    checks: dict[str, tuple[str | None, Callable[[], object]]] = {
        "embedded PostgreSQL": (settings.database_url, check_programs),
        "a user for PostgreSQL": (settings.database_url, check_account),
        "embedded OpenBao": (settings.vault_addr, openbao_program),
        "embedded Temporal": (settings.temporal_address, temporal_program),
    }
    return [_probe(part, check, "") for part, (address, check) in checks.items() if address is None]


def _probe(part: str, check: Callable[[], object], next_step: str) -> Finding:
    try:
        check()
    except MeetbotError as error:
        return Finding(part, error.detail, error.next_step or next_step)
    except (SQLAlchemyError, RPCError, RuntimeError, OSError, TimeoutError) as error:
        return Finding(part, type(error).__name__, next_step)
    return Finding(part, None)


def _check_database(settings: Settings) -> None:
    database = create_database(_database_url(settings))
    try:
        database.check(bound_by_policies=settings.is_production)
    finally:
        database.close()


def _check_vault_rights(settings: Settings) -> None:
    # Whose credentials it runs with is not known, so it finds what no process may have.
    refuse_unsafe_rights(vault_from_settings(settings), ProcessKind.WORKER)


def _check_schema(settings: Settings) -> None:
    if pending(_database_url(settings)):
        raise MeetbotError("schema_behind", "the schema is behind this release")


def _database_url(settings: Settings) -> str:
    if settings.database_url is None:
        raise MeetbotError(
            "database_not_configured", "DATABASE_URL is not set", next_step="set it, or start `meetbot dev`"
        )
    return settings.database_url


async def _check_temporal(settings: Settings) -> None:
    async with asyncio.timeout(5):
        await connect(settings.temporal_address)


def _check_client(settings: Settings, provider: Provider) -> Callable[[], None]:
    def check() -> None:
        if oauth_client(settings, provider) is None:
            name = f"MEETBOT_{provider.upper()}_CLIENT_ID"
            raise MeetbotError("provider_not_configured", "not configured", next_step=f"set {name} and its secret")

    return check


def _describe_push(settings: Settings) -> str:
    """Say whether providers report changes, and how far Google's daily threshold reaches."""
    state = "on" if settings.push_is_on else "off, calendars are polled"
    poll = settings.slowest_poll_seconds if settings.push_is_on else settings.sync_interval_seconds
    return f"{state}; {describe_google(poll, with_push=settings.push_is_on)}"


def _explained(finding: Finding) -> str:
    if finding.fault is None:
        return f": {finding.note}" if finding.note else ""
    return f": {finding.fault}" + (f" ({finding.next_step})" if finding.next_step else "")
