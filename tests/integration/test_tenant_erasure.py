"""Erasing a tenant, its ledger, and what an old dump of everything is worth afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import undefer
from sqlmodel import Session, select

from meetbot.domain.erasure import ErasedKind
from meetbot.errors import InvalidInput, OperatorRequired, SecretUnreadable, VaultError
from meetbot.storage.erasure_ledger import LedgerEntry
from meetbot.storage.tables import CalendarUser, ConnectAttempt, ErasureLedger, PendingRevocation, Tenant
from meetbot.tenants.api_keys import KeyMode
from meetbot.tenants.create import issue_api_key
from meetbot.tenants.erase import (
    Patience,
    TenantNotEmpty,
    Unfinished,
    destroy_tenant,
    disconnect_all,
    erase_tenant,
    unfinished_of,
)
from meetbot.tenants.erasure_ledger import Replayed, export_ledger, read_ledger, replay_ledger
from meetbot.vault.client import TokenAuth, Vault
from meetbot.vault.sealing import SealedSecret, SecretBinding, TokenOwner, kek_name, refresh_token_binding
from tests.integration.erasing import begin, erase, withdraw
from tests.integration.meetings import connected_with_meeting, dispatched
from tests.rig import Rig
from tests.stack import VaultService

pytestmark = pytest.mark.stack

NO_PATIENCE = Patience(seconds=0)


def tables_of_tenants(session: Session) -> list[str]:
    """Every table with tenants' rows, in an order in which they can be restored."""
    rows = session.execute(
        text(
            "select table_name from information_schema.columns "
            "where column_name = 'tenant_id' and table_schema = 'public' order by 1"
        )
    )
    return ["tenant", *(row[0] for row in rows)]


# Without those that PostgreSQL computes.
STORED_COLUMNS = """
    select quote_ident(column_name) from information_schema.columns
     where table_schema = 'public' and table_name = :table and is_generated = 'NEVER' order by ordinal_position
"""


def dump(rig: Rig) -> dict[str, str]:
    """Return all rows of the tenant, by table, as PostgreSQL's JSON."""
    with rig.read() as session:
        return {
            table: session.execute(text(f"select coalesce(jsonb_agg(t), '[]')::text from {table} t")).scalar_one()
            for table in tables_of_tenants(session)
        }


def restore(rig: Rig, dumped: dict[str, str]) -> None:
    """Put the database back to the dump, the ledger included."""
    with rig.database.transaction(rig.tenant_id) as session:
        session.execute(text("select set_config('app.erasing_tenant', :id, true)"), {"id": rig.tenant_id})
        for table in dumped:
            session.execute(text(f"delete from {table}"))
        for table, rows in dumped.items():
            columns = ", ".join(session.execute(text(STORED_COLUMNS), {"table": table}).scalars())
            session.execute(
                text(
                    f"insert into {table} ({columns}) "
                    f"select {columns} from jsonb_populate_recordset(null::{table}, cast(:rows as jsonb))"
                ),
                {"rows": rows},
            )


def test_an_old_dump_of_everything_opens_nothing(rig: Rig, tmp_path: Path) -> None:
    user, _ = connected_with_meeting(rig)
    rig.sync(user)
    dumped = dump(rig)
    assert json.loads(dumped["calendar_event"])
    erase(rig, user)
    destroy_tenant(rig.database, rig.vault, rig.tenant_id, now=rig.clock())
    export_ledger(rig.database, tmp_path / "ledger.jsonl")
    restore(rig, dumped)
    assert rig.calendar_user(user).wrapped_key
    with pytest.raises(OperatorRequired, match="secret_unreadable"):
        rig.sync(user)
    for sealed, binding in sealed_secrets(rig):
        with pytest.raises(SecretUnreadable):
            rig.vault.open(rig.tenant_id, sealed, binding)
    # The restored database knows of no erasure; the copy of the ledger does.
    assert replay_ledger(rig.database, rig.vault) == Replayed(entries=0, calendar_users=0, tenants=0)
    copy = read_ledger(tmp_path / "ledger.jsonl")
    assert replay_ledger(rig.database, rig.vault, copy) == Replayed(entries=2, calendar_users=1, tenants=1)
    assert {table for table, rows in dump(rig).items() if rows != "[]"} == {"erasure_ledger"}


def sealed_secrets(rig: Rig) -> Iterator[tuple[SealedSecret, SecretBinding]]:
    with rig.read() as session:
        for row in session.exec(select(CalendarUser).options(undefer("*"))):
            sealed = SealedSecret(kek_name(row.tenant_id), row.kek_version, row.wrapped_key, row.refresh_ciphertext)
            yield (
                sealed,
                refresh_token_binding(
                    rig.settings.region,
                    TokenOwner(row.tenant_id, row.id, row.provider, row.subject, row.sealed_version),
                ),
            )


def test_an_erased_user_that_a_restore_brings_back_is_erased_again(rig: Rig, tmp_path: Path) -> None:
    user, _ = connected_with_meeting(rig)
    rig.sync(user)
    dumped = dump(rig)
    # Asked for is enough: a restore may fall into the middle of an erasure.
    begin(rig, user)
    assert export_ledger(rig.database, tmp_path / "ledger.jsonl") == 1
    restore(rig, dumped)
    assert export_ledger(rig.database, tmp_path / "ledger.jsonl") == 1
    copy = read_ledger(tmp_path / "ledger.jsonl")
    assert replay_ledger(rig.database, rig.vault, copy) == Replayed(entries=1, calendar_users=1, tenants=0)
    assert rig.events(user) == []
    assert replay_ledger(rig.database, rig.vault) == Replayed(entries=1, calendar_users=0, tenants=0)


def test_a_replay_leaves_a_running_erasure_to_its_workflow(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    begin(rig, user)
    assert replay_ledger(rig.database, rig.vault).calendar_users == 0
    assert rig.calendar_user(user).id == user


def test_a_file_that_is_no_ledger_is_refused_with_the_line(tmp_path: Path) -> None:
    good = {"tenant_id": "ten_a", "subject_id": "cu_a", "kind": "calendar_user", "erased_at": "2026-01-01T00:00:00Z"}
    path = tmp_path / "ledger.jsonl"
    path.write_text(f"{json.dumps(good)}\n")
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    assert read_ledger(path) == [LedgerEntry("ten_a", "cu_a", ErasedKind.CALENDAR_USER, moment)]
    bad: list[dict[str, Any]] = [
        good | {"tenant_id": "' or 1=1"},
        good | {"kind": "all"},
        good | {"erased_at": "2026-01-01"},
        good | {"more": 1},
    ]
    for line in (*map(json.dumps, bad), "{", "[]", "\x00"):
        path.write_text(f"{json.dumps(good)}\n{line}\n")
        with pytest.raises(InvalidInput, match="line 2"):
            read_ledger(path)


def test_a_tenant_is_closed_before_it_is_erased(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    issue_api_key(rig.database, rig.tenant_id, KeyMode.LIVE)
    disconnect_all(rig.database, rig.tenant_id, now=rig.clock())
    with rig.read() as session:
        assert session.exec(text("select count(*) from api_key where revoked_at is null")).scalar_one() == 0  # type: ignore[call-overload]
        assert session.exec(select(ConnectAttempt)).all() == []
    assert unfinished_of(rig.database, rig.tenant_id) == Unfinished(erasures=1, live_bots=0)
    erase(rig, user)
    assert not unfinished_of(rig.database, rig.tenant_id)


def test_while_a_bot_lives_the_rows_by_which_it_is_recalled_stay(rig: Rig) -> None:
    user, _, key, _ = dispatched(rig)
    with pytest.raises(TenantNotEmpty):
        erase_tenant(rig.database, rig.vault, rig.tenant_id, clock=rig.clock, patience=NO_PATIENCE)
    erase(rig, user)
    with pytest.raises(TenantNotEmpty, match="0 erasures run and 1 bots live"):
        erase_tenant(rig.database, rig.vault, rig.tenant_id, clock=rig.clock, patience=NO_PATIENCE)
    rig.recall_activity.recall(rig.ref(key))
    counts = erase_tenant(rig.database, rig.vault, rig.tenant_id, clock=rig.clock, patience=NO_PATIENCE)
    assert counts["tenant"] == 1
    (job,) = rig.sandbox.jobs()
    assert job["status"] == "cancelled"


def test_who_insists_erases_a_tenant_with_what_is_left(rig: Rig) -> None:
    user, _, _, _ = dispatched(rig)
    withdraw(rig, begin(rig, user))
    forced = Patience(seconds=0, is_forced=True)
    counts = erase_tenant(rig.database, rig.vault, rig.tenant_id, clock=rig.clock, patience=forced)
    assert (counts["tenant"], counts["calendar_user"], counts["bot"]) == (1, 1, 1)
    with rig.read() as session:
        assert session.exec(select(PendingRevocation)).all() == []


def test_a_tenants_erasure_that_broke_off_before_its_key_is_taken_up_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: str) -> None:
        raise VaultError("vault_unavailable", "down")

    with monkeypatch.context() as patched:
        patched.setattr(rig.vault, "destroy_tenant_key", broken)
        with pytest.raises(VaultError):
            erase_tenant(rig.database, rig.vault, rig.tenant_id, clock=rig.clock, patience=NO_PATIENCE)
    rig.vault.new_data_key(rig.tenant_id)
    erase_tenant(rig.database, rig.vault, rig.tenant_id, clock=rig.clock, patience=NO_PATIENCE)
    with pytest.raises(VaultError, match="vault_refused"):
        rig.vault.new_data_key(rig.tenant_id)


def test_an_unknown_tenant_is_refused(rig: Rig) -> None:
    with pytest.raises(InvalidInput, match="tenant_unknown"):
        erase_tenant(rig.database, rig.vault, "ten_nobody", clock=rig.clock, patience=NO_PATIENCE)


def test_the_eraser_erases_and_nobody_else_deletes_a_row(rig: Rig, vault_service: VaultService) -> None:
    def erased_with(token: str) -> None:
        with closing(Vault(vault_service.address, TokenAuth(token))) as vault:
            erase_tenant(rig.database, vault, rig.tenant_id, clock=rig.clock, patience=NO_PATIENCE)

    tokens = vault_service.tokens
    for token in (tokens.api_token, tokens.worker_token, tokens.provisioner_token):
        with pytest.raises(VaultError, match="vault_denied"):
            erased_with(token)
        with rig.read() as session:
            assert session.get(Tenant, rig.tenant_id) is not None
    erased_with(tokens.eraser_token)
    with rig.read() as session:
        assert session.get(Tenant, rig.tenant_id) is None
        assert [row.kind for row in session.exec(select(ErasureLedger))] == [ErasedKind.TENANT]


def test_a_tenants_erasure_names_every_table(rig: Rig) -> None:
    with rig.read() as session:
        tables = session.execute(
            text(
                "select table_name from information_schema.columns where column_name = 'tenant_id' and table_schema = 'public'"
            )
        )
        expected = {row[0] for row in tables} - {"erasure_ledger"}
    counts = destroy_tenant(rig.database, rig.vault, rig.tenant_id, now=rig.clock())
    assert set(counts) == expected | {"tenant"}
