"""The operator's commands for tenants and keys, on a real PostgreSQL."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from meetbot.cli import app
from meetbot.errors import InvalidInput
from meetbot.storage.database import create_database
from meetbot.storage.tenants import add_tenant
from meetbot.tenants.api_keys import KeyMode
from meetbot.tenants.create import issue_api_key

pytestmark = pytest.mark.stack


@pytest.fixture
def tenant_id(fresh_database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DATABASE_URL", fresh_database)
    database = create_database(fresh_database)
    for name in ("ten_a", "ten_b"):
        with database.transaction(name) as session:
            add_tenant(session, name, name=name, region="eu")
        issue_api_key(database, name, KeyMode.LIVE)
    database.close()
    return "ten_a"


def run(tmp_path: Path, *arguments: str) -> Any:
    answer = CliRunner().invoke(app, [*arguments, "--json", "--state", str(tmp_path)], catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return json.loads(answer.stdout)


def test_tenants_are_listed_with_region_and_mode(tmp_path: Path, tenant_id: str) -> None:
    found = run(tmp_path, "tenants", "list")
    assert [(one["id"], one["region"], one["mode"]) for one in found] == [
        (tenant_id, "eu", "live"),
        ("ten_b", "eu", "live"),
    ]


def test_a_key_is_created_listed_rotated_and_revoked(tmp_path: Path, tenant_id: str) -> None:
    made = run(tmp_path, "keys", "create", tenant_id, "--name", "ci", "--scope", "bots:read")
    assert made["api_key"].startswith("mb_live_")
    assert (made["created_by"], made["scopes"]) == ("operator", ["bots:read"])
    new = run(tmp_path, "keys", "rotate", tenant_id, made["id"], "--overlap-hours", "1")
    assert (new["name"], new["api_key"] != made["api_key"]) == ("ci", True)
    assert run(tmp_path, "keys", "revoke", tenant_id, new["id"])["state"] == "revoked"
    listed = run(tmp_path, "keys", "list", tenant_id)
    assert [one["state"] for one in listed] == ["active", "active", "revoked"]
    assert "api_key" not in listed[1]


@pytest.mark.parametrize(
    "arguments",
    [
        ("keys", "list", "ten_none"),
        ("keys", "create", "ten_none", "--name", "x"),
        ("keys", "create", "ten_a", "--name", "x", "--scope", "bots:eat"),
        ("keys", "create", "ten_a", "--name", " "),
        ("keys", "create", "ten_a", "--name", "x", "--expires-at", "tomorrow"),
        ("keys", "rotate", "ten_a", "none"),
        ("keys", "rotate", "ten_a", "none", "--overlap-hours", "999"),
        ("keys", "revoke", "ten_a", "none"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path: Path, tenant_id: str, arguments: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput):
        CliRunner().invoke(app, [*arguments, "--state", str(tmp_path)], catch_exceptions=False)
