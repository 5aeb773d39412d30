"""The list of grants is complete: each table has an entry, and each sealed column is in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import LargeBinary, Table
from sqlalchemy.orm import Mapper
from sqlmodel import SQLModel

from meetbot.storage import tables
from meetbot.storage.grants import TABLES
from meetbot.storage.roles import RELAYING, Role, creation

_SECRET_NAME = re.compile(r"wrapped|cipher|sealed(?!_version)|secret|password|token(?!_version)")
_OURS = dict(SQLModel.metadata.tables)
# Binary columns that keep nothing secret.
_OPEN = {
    ("calendar_event", "fingerprint"),
    ("idempotency_record", "fingerprint"),
    ("audit_entry", "previous_hash"),
    ("audit_entry", "hash"),
    ("audit_chain", "head_hash"),
    ("audit_chain", "anchor_hash"),
}


def test_every_table_has_an_entry_and_every_entry_a_table() -> None:
    assert set(TABLES) == set(_OURS), "add the table to meetbot/storage/grants.py"


@pytest.mark.parametrize("name", sorted(_OURS))
def test_every_secret_column_is_named_as_sealed_or_hidden(name: str) -> None:
    named = {*TABLES[name].sealed, *TABLES[name].hidden}
    assert [column for column in suspicious(_OURS[name]) if column not in named] == []


@pytest.mark.parametrize("name", sorted(_OURS))
def test_an_entry_names_only_columns_that_exist(name: str) -> None:
    grants, columns = TABLES[name], set(_OURS[name].columns.keys())
    relay = f"{grants.relay.select} {grants.relay.update}".split() if grants.relay else []
    assert {*grants.sealed, *grants.hidden, *relay, grants.tenant_column} <= columns


@pytest.mark.parametrize("name", sorted(_OURS))
def test_an_entry_names_only_verbs(name: str) -> None:
    verbs = {*TABLES[name].api.split(), *TABLES[name].worker.split()}
    assert verbs <= {"select", "insert", "update", "delete"}


def test_a_sealed_column_is_not_loaded_with_its_row() -> None:
    mappers = {str(mapper.local_table): mapper for mapper in all_mappers()}
    loaded = [
        (table, column)
        for table, grants in TABLES.items()
        for column in grants.sealed
        if "select" in grants.api and not mappers[table].column_attrs[column].deferred
    ]
    assert loaded == [], "map it with deferred(), or the api cannot read the row"


def test_the_deploy_script_makes_the_roles_that_the_code_knows() -> None:
    script = Path("deploy/postgres/roles.sh").read_text()
    for statement in creation():
        assert statement in script


def test_only_owner_and_worker_may_become_the_relay() -> None:
    assert RELAYING == ("meetbot", Role.WORKER)


def suspicious(table: Table) -> list[str]:
    return [
        column.name
        for column in table.columns
        if (isinstance(column.type, LargeBinary) or _SECRET_NAME.search(column.name))
        and (table.name, column.name) not in _OPEN
        and column.name != "tokens"
    ]


def all_mappers() -> list[Mapper[object]]:
    return [getattr(tables, name).__mapper__ for name in tables.__all__]
