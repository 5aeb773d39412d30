"""`meetbot vault`: the tenants' keys, made new while the service runs."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from meetbot.cli.shared import DEFAULT_STATE, AsJson, StateDirectory, open_both
from meetbot.dev.state import VaultRole

vault = typer.Typer(help="The tenants' keys in the key management service.", no_args_is_help=True)

TenantOrAll = Annotated[str | None, typer.Argument(help="The tenant's id, ten_…; without it, all tenants.")]


@vault.command()
def rotate(tenant: TenantOrAll = None, as_json: AsJson = False, state: StateDirectory = DEFAULT_STATE) -> None:
    """Make a new version of the key, which seals from now on, as meetbot-rotator."""
    _take_rotation_step("rotate", tenant, state, as_json=as_json)


@vault.command()
def rewrap(tenant: TenantOrAll = None, as_json: AsJson = False, state: StateDirectory = DEFAULT_STATE) -> None:
    """Move all secrets to the newest version of the key, as meetbot-rotator."""
    _take_rotation_step("rewrap", tenant, state, as_json=as_json)


@vault.command()
def trim(
    tenant: TenantOrAll = None,
    settle: Annotated[float, typer.Option(min=0, help="Seconds to wait after a rotation for what is under way.")] = 60,
    as_json: AsJson = False,
    state: StateDirectory = DEFAULT_STATE,
) -> None:
    """Destroy older versions, so that old copies of the data open no more, as meetbot-trimmer."""
    _take_rotation_step("trim", tenant, state, as_json=as_json, settle=settle)


def _take_rotation_step(name: str, tenant: str | None, state: Path, *, as_json: bool, settle: float = 0) -> NoReturn:
    """Print a report for each tenant; exit with 1 if one of them needs attention."""
    from meetbot.tenants.key_rotation import KeyRotation, RotationStep

    step = RotationStep(name)
    with open_both(state, VaultRole.TRIMMER if step is RotationStep.TRIM else VaultRole.ROTATOR) as (database, keys):
        rotation = KeyRotation(database, keys, settling=timedelta(seconds=settle))
        reports = [asdict(report) for report in rotation.run(step, tenant)]
    if as_json:
        typer.echo(json.dumps({"step": name, "tenants": reports}))
    for report in [] if as_json else reports:
        typer.echo("  ".join(f"{key}={value}" for key, value in report.items() if value is not None))
    incomplete = any(report["failure_code"] is not None or report["unreadable"] for report in reports)
    raise typer.Exit(1 if incomplete else 0)
