"""The schema that migrations make is the one that the code declares.

And no table of a tenant is unprotected.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlmodel import SQLModel, select
from typer.testing import CliRunner

from meetbot.cli import app
from meetbot.dev.environment import free_port
from meetbot.dev.postgres import PostgresServer
from meetbot.errors import MeetbotError
from meetbot.storage.database import create_database, psycopg_url, refuse_unbound_role
from meetbot.storage.housekeeping import delete_expired
from meetbot.storage.migrate import pending, upgrade
from meetbot.storage.tables import ApiKey, CalendarEvent, CalendarUser, Tenant

pytestmark = pytest.mark.stack


@pytest.fixture
def connection(fresh_database: str) -> Iterator[Connection]:
    engine = create_engine(psycopg_url(fresh_database))
    with engine.connect() as opened:
        yield opened
    engine.dispose()


def test_the_migrated_schema_is_the_declared_one(connection: Connection) -> None:
    assert compare_metadata(MigrationContext.configure(connection), SQLModel.metadata) == []


def test_upgrading_twice_changes_nothing(fresh_database: str) -> None:
    upgrade(fresh_database)
    assert not pending(fresh_database)


def test_in_production_the_upgrade_takes_the_databases_address_and_nothing_else(
    fresh_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEETBOT_ENV", "production")
    monkeypatch.setenv("DATABASE_URL", fresh_database)
    answer = CliRunner().invoke(app, ["db", "upgrade", "--state", str(tmp_path)])
    assert (answer.exit_code, answer.stdout) == (0, "the schema is up to date\n")


def test_every_table_of_ours_forces_row_level_security(connection: Connection) -> None:
    rows = connection.execute(
        text(
            "select relname, relrowsecurity and relforcerowsecurity from pg_class "
            "where relkind = 'r' and relnamespace = 'public'::regnamespace and relname <> 'alembic_version'"
        )
    ).all()
    assert {row[0] for row in rows} == set(SQLModel.metadata.tables)
    assert [row[0] for row in rows if not row[1]] == []


def test_the_services_role_can_neither_bypass_the_protection_nor_is_superuser(connection: Connection) -> None:
    role = connection.execute(text("select rolsuper, rolbypassrls from pg_roles where rolname = current_user")).one()
    assert tuple(role) == (False, False)


@pytest.mark.parametrize("table", sorted(SQLModel.metadata.tables))
def test_without_a_tenant_a_table_shows_nothing(connection: Connection, table: str) -> None:
    assert connection.execute(text(f"select count(*) from {table}")).scalar_one() == 0


def test_housekeeping_deletes_only_what_is_past_its_time(fresh_database: str) -> None:
    database = create_database(fresh_database)
    now = datetime.now(UTC)
    with database.transaction("ten_a") as session:
        for number, (deleted, age) in enumerate([(True, 31), (True, 29), (False, 31)]):
            session.add(tombstone(f"evt_{number}", deleted=deleted, updated_at=now - timedelta(days=age)))
    assert delete_expired(database)["calendar_event"] == 1
    with database.transaction("ten_a") as session:
        assert sorted(event.id for event in session.exec(select(CalendarEvent))) == ["evt_1", "evt_2"]
    database.close()


def tombstone(event_id: str, *, deleted: bool, updated_at: datetime) -> CalendarEvent:
    return CalendarEvent(
        tenant_id="ten_a", id=event_id, calendar_user_id="cu_a", calendar_id="primary", provider_event_id=event_id,
        meeting_key="mtg", series_key="ser", title="", all_day=False, status="cancelled", is_organizer=False,
        recurring=False, visibility="default", meeting_platform="none", fingerprint=b"", outcome="skip",
        reason="cancelled", decided_at=updated_at, deleted=deleted, updated_at=updated_at,
    )  # fmt: skip


def test_a_tenant_sees_and_writes_only_its_own_rows(fresh_database: str) -> None:
    database = create_database(fresh_database)
    for tenant_id in ("ten_a", "ten_b"):
        with database.transaction(tenant_id) as session:
            session.add(Tenant(id=tenant_id, name=tenant_id, region="eu"))
            session.add(ApiKey(public_id=f"key_{tenant_id}", tenant_id=tenant_id, mode="test", secret_hash=b"x"))
    with database.transaction("ten_a") as session:
        assert [tenant.id for tenant in session.exec(select(Tenant))] == ["ten_a"]
        assert [key.public_id for key in session.exec(select(ApiKey))] == ["key_ten_a"]
    with pytest.raises(DBAPIError), database.transaction("ten_a") as session:
        session.add(ApiKey(public_id="key_other", tenant_id="ten_b", mode="test", secret_hash=b"x"))
    with database.key_lookup("key_ten_b") as session:
        assert [key.tenant_id for key in session.exec(select(ApiKey))] == ["ten_b"]
        assert session.exec(select(CalendarUser)).all() == []
    database.close()


def test_production_refuses_a_role_to_whom_the_protection_means_nothing(postgres_server: PostgresServer) -> None:
    database = create_database(postgres_server.admin_url)
    try:
        with pytest.raises(MeetbotError, match="database_role_unsafe"):
            refuse_unbound_role(database)
        database.check()
    finally:
        database.close()


def test_a_database_that_was_away_at_start_is_still_refused_later(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(**_: object) -> None:
        raise OperationalError("select 1", {}, Exception("away"))

    database = create_database(postgres_server.admin_url)
    try:
        with monkeypatch.context() as context:
            context.setattr(database, "check", away)
            refuse_unbound_role(database)
        for _ in range(2):
            with pytest.raises(MeetbotError, match="database_role_unsafe"), database.transaction("ten_a"):
                pass
    finally:
        database.close()


def test_production_takes_a_role_that_the_protection_binds(postgres_server: PostgresServer) -> None:
    database = create_database(postgres_server.url)
    try:
        database.check(bound_by_policies=True)
    finally:
        database.close()


def test_a_database_that_is_away_is_no_reason_not_to_start() -> None:
    database = create_database(f"postgresql://meetbot@127.0.0.1:{free_port()}/meetbot")
    try:
        refuse_unbound_role(database)
    finally:
        database.close()
