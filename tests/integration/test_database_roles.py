"""Each login tries what it must not: by its own connection, not by a change of role."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg import errors, sql
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlmodel import select

from activities.background.retention import run_due
from meetbot.dev.postgres import PostgresServer
from meetbot.errors import ConfigurationError
from meetbot.storage.database import Database, refuse_unbound_role
from meetbot.storage.erasures import RunningErasure, begin_erasure, running_erasures
from meetbot.storage.grants import TABLES
from meetbot.storage.housekeeping import delete_expired
from meetbot.storage.migrate import pending, upgrade
from meetbot.storage.roles import Role
from meetbot.storage.tables import CalendarUser, Tenant, WebhookDelivery, WebhookEndpoint
from tests.stack import url_as

pytestmark = pytest.mark.stack

Login = Callable[[Role | None], Database]
SEALED = [(table, column) for table, grants in TABLES.items() for column in grants.sealed]
HIDDEN = [(table, column) for table, grants in TABLES.items() for column in (*grants.sealed, *grants.hidden)]


@pytest.fixture
def two_tenants(login: Login) -> None:
    for tenant_id in ("ten_a", "ten_b"):
        with login(None).transaction(tenant_id) as session:
            session.add(Tenant(id=tenant_id, name=tenant_id, region="eu"))
            session.add(WebhookEndpoint(tenant_id=tenant_id, id="whe_1", url="https://a.test", secrets=[{"a": 1}]))
            session.add(
                WebhookDelivery(tenant_id=tenant_id, id="dlv_1", endpoint_id="whe_1", event_type="a.b", data={})
            )
            session.add(
                CalendarUser(
                    tenant_id=tenant_id, id="cu_1", provider="google", subject="s", customer_user_id="c", email="a@b.test",
                    state="active", state_changed_at=datetime.now(UTC), kek_version=1, wrapped_key="vault:v1:AA",
                    refresh_ciphertext=secrets.token_bytes(8),
                )
            )  # fmt: skip


@pytest.fixture
def connect(postgres_server: PostgresServer, fresh_database: str) -> Callable[[Role], psycopg.Connection]:
    def open_connection(role: Role) -> psycopg.Connection:
        return psycopg.connect(url_as(postgres_server, fresh_database, role), autocommit=True)

    return open_connection


Connect = Callable[[Role], psycopg.Connection]


@pytest.mark.parametrize("role", Role)
def test_no_login_is_above_row_level_security_or_makes_roles(connect: Connect, role: Role) -> None:
    with connect(role) as connection:
        found = connection.execute(
            "select rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication"
            " from pg_roles where rolname = current_user"
        ).fetchone()
    assert found == (role, False, False, False, False, False)


@pytest.mark.usefixtures("two_tenants")
@pytest.mark.parametrize("role", [Role.API, Role.WORKER, Role.DBA])
@pytest.mark.parametrize(
    "setting", ["app.relay", "app.housekeeping", "app.api_key_id", "app.external_id", "row_security"]
)
def test_no_setting_shows_a_login_the_rows_of_all_tenants(connect: Connect, role: Role, setting: str) -> None:
    with connect(role) as connection:
        connection.execute("select set_config(%s, 'on', false)", (setting,))
        for table in ("calendar_user", "bot", "webhook_delivery"):
            statement = sql.SQL("select count(tenant_id) from {}").format(sql.Identifier(table))
            assert connection.execute(statement).fetchone() == (0,)


@pytest.mark.usefixtures("two_tenants")
@pytest.mark.parametrize("role", [Role.API, Role.WORKER, Role.DBA])
def test_a_login_sees_the_tenant_of_its_transaction_alone(login: Login, role: Role) -> None:
    with login(role).transaction("ten_a") as session:
        assert session.execute(text("select tenant_id from calendar_user")).scalars().all() == ["ten_a"]


@pytest.mark.usefixtures("two_tenants")
@pytest.mark.parametrize(("table", "column"), SEALED)
@pytest.mark.parametrize("role", [Role.API, Role.RELAY, Role.DBA])
def test_only_the_worker_reads_a_sealed_column(connect: Connect, role: Role, table: str, column: str) -> None:
    with connect(role) as connection:
        refused(connection, f"select {column} from {table}")
        refused(connection, f"select * from {table}")
        refused(connection, f"copy {table} to stdout")
        refused(connection, f"delete from {table} where {column} is not null")
        refused(connection, f"update {table} set tenant_id = tenant_id returning {column}")


@pytest.mark.parametrize(("table", "column"), HIDDEN)
def test_a_dba_reads_neither_secrets_nor_contents(connect: Connect, table: str, column: str) -> None:
    with connect(Role.DBA) as connection:
        refused(connection, f"select {column} from {table}")


@pytest.mark.parametrize("table", sorted(TABLES))
def test_a_dba_changes_nothing(connect: Connect, table: str) -> None:
    with connect(Role.DBA) as connection:
        refused(connection, f"delete from {table}")
        refused(connection, f"insert into {table} default values")
        refused(connection, f"update {table} set {TABLES[table].tenant_column} = 'x'")


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(
    "statement",
    [
        "alter table calendar_user disable row level security",
        "alter table calendar_user no force row level security",
        "drop policy tenant on calendar_user",
        "truncate calendar_user",
        "create table mine (id int)",
        "comment on table calendar_user is 'mine'",
        "set role meetbot",
        "set session authorization meetbot",
        (
            "create or replace function public.rotate_webhook_secret(text, text, jsonb, timestamptz, interval, integer)"
            " returns void language sql as 'select'"
        ),
        "select pg_read_file('/etc/passwd')",
    ],
)
def test_no_login_of_a_process_changes_the_protection(connect: Connect, role: Role, statement: str) -> None:
    with connect(role) as connection:
        refused(connection, statement)


@pytest.mark.parametrize("taken", Role)
@pytest.mark.parametrize("role", Role)
def test_only_the_worker_may_take_another_role_the_relays(connect: Connect, role: Role, taken: Role) -> None:
    with connect(role) as connection:
        statement = f"set role {taken}"
        if taken in (role, Role.RELAY) and role in (taken, Role.WORKER):
            connection.execute(statement.encode())
        else:
            refused(connection, statement)


@pytest.mark.usefixtures("two_tenants")
def test_the_api_cannot_open_the_relays_transaction(login: Login) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"), login(Role.API).relay():
        pass
    with pytest.raises(ProgrammingError, match="permission denied"):
        delete_expired(login(Role.API))


@pytest.mark.usefixtures("two_tenants")
@pytest.mark.parametrize("role", [Role.WORKER, Role.RELAY])
def test_the_relay_sees_what_waits_of_all_tenants_and_nothing_of_its_words(login: Login, role: Role) -> None:
    with login(role).relay() as session:
        assert len(session.execute(text("select id from webhook_delivery where relayed_at is null")).all()) == 2
        assert len(session.execute(text("select id from calendar_user")).all()) == 2
    for statement in (
        "select data from webhook_delivery",
        "select email from calendar_user",
        "select name from tenant",
    ):
        with pytest.raises(ProgrammingError, match="permission denied"), login(role).relay() as session:
            session.execute(text(statement))


@pytest.mark.usefixtures("two_tenants")
def test_after_the_relays_transaction_the_worker_is_itself_again(login: Login) -> None:
    database = login(Role.WORKER)
    with database.relay():
        pass
    with database.transaction("ten_a") as session:
        assert session.execute(text("select current_user")).scalar_one() == Role.WORKER
        assert len(session.exec(select(CalendarUser)).all()) == 1


@pytest.mark.usefixtures("two_tenants")
@pytest.mark.parametrize("role", [Role.WORKER, Role.RELAY])
def test_housekeeping_deletes_by_the_relays_role(login: Login, role: Role) -> None:
    with login(None).transaction("ten_a") as session:
        session.execute(
            text(
                "insert into idempotency_record (tenant_id, key, fingerprint, created_at)"
                " values ('ten_a', 'k', 'x', now() - interval '25 hours')"
            )
        )
    assert delete_expired(login(role))["idempotency_record"] == 1


@pytest.mark.usefixtures("two_tenants")
@pytest.mark.parametrize("role", [Role.WORKER, Role.RELAY])
def test_recovery_finds_running_erasures_by_the_relays_role(login: Login, role: Role) -> None:
    with login(Role.API).transaction("ten_a") as session:
        erasure = begin_erasure(session, "ten_a", "cu_1", now=datetime.now(UTC))
    assert erasure is not None
    with login(role).relay() as session:
        assert running_erasures(session, most=10) == [RunningErasure("ten_a", erasure.id, "cu_1")]


@pytest.mark.usefixtures("two_tenants")
def test_retention_runs_by_the_workers_login(login: Login) -> None:
    with login(None).transaction("ten_a") as session:
        session.execute(text("update webhook_delivery set state = 'dead', created_at = now() - interval '31 days'"))
    assert run_due(login(Role.WORKER), lambda: datetime.now(UTC)) == 2
    with login(None).transaction("ten_a") as session:
        assert session.execute(text("select count(*) from webhook_delivery")).scalar_one() == 0


@pytest.mark.usefixtures("two_tenants")
def test_a_secret_of_another_tenant_is_not_rotated(login: Login) -> None:
    with login(Role.API).transaction("ten_a") as session:
        session.execute(text("select rotate_webhook_secret('ten_b', 'whe_1', '{}', now(), interval '1 hour', 5)"))
    with login(None).transaction("ten_b") as session:
        assert session.execute(text("select secrets from webhook_endpoint")).scalar_one() == [{"a": 1}]


@pytest.mark.parametrize("role", [None, Role.WORKER, Role.RELAY, Role.DBA])
def test_in_production_the_api_refuses_every_login_but_its_own(login: Login, role: Role | None) -> None:
    with pytest.raises(ConfigurationError, match="database_login_wrong"):
        refuse_unbound_role(login(role), Role.API)


def test_in_production_the_api_takes_its_own_login(login: Login) -> None:
    refuse_unbound_role(login(Role.API), Role.API)
    with login(Role.API).transaction("ten_a"):
        pass


def test_whatever_the_list_does_not_name_is_taken_away_by_an_upgrade(
    login: Login, fresh_database: str, connect: Connect
) -> None:
    with login(None).engine.begin() as connection:
        connection.execute(text("grant select on calendar_user to meetbot_api, public"))
        connection.execute(text("create policy wide on calendar_user using (true)"))
        connection.execute(text("comment on table alembic_version is 'grants of an earlier release'"))
    assert pending(fresh_database)
    upgrade(fresh_database)
    assert not pending(fresh_database)
    with connect(Role.API) as api:
        refused(api, "select refresh_ciphertext from calendar_user")
        assert api.execute("select policyname from pg_policies where policyname = 'wide'").fetchall() == []


def test_a_table_without_an_entry_is_closed_to_everybody(login: Login, fresh_database: str, connect: Connect) -> None:
    with login(None).engine.begin() as connection:
        connection.execute(text("create table forgotten (tenant_id text); grant all on forgotten to public"))
        connection.execute(text("insert into forgotten values ('ten_a')"))
        connection.execute(text("comment on table alembic_version is 'grants of an earlier release'"))
    upgrade(fresh_database)
    with connect(Role.WORKER) as worker:
        refused(worker, "select * from forgotten")
    with login(None).transaction("ten_a") as session:
        assert session.execute(text("select * from forgotten")).all() == []


def refused(connection: psycopg.Connection, statement: str) -> None:
    with pytest.raises((errors.InsufficientPrivilege, errors.InvalidColumnReference)):
        connection.execute(statement.encode())
