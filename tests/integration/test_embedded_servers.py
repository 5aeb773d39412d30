"""The embedded PostgreSQL, Temporal and OpenBao, each by itself."""

from __future__ import annotations

from pathlib import Path

import httpx
import psycopg
import pytest

from meetbot.dev.environment import free_port, is_listening
from meetbot.dev.postgres import PostgresServer
from meetbot.dev.process import stop
from meetbot.dev.temporal import SEARCH_ATTRIBUTES, TemporalPorts, make_temporal_ready, start_temporal
from meetbot.settings import Settings
from tests.stack import VaultService, build_template, copied_database

pytestmark = pytest.mark.stack


def test_the_applications_role_cannot_bypass_row_level_security(postgres_server: PostgresServer) -> None:
    with psycopg.connect(postgres_server.url) as connection:
        role = connection.execute(
            "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
    assert role == (False, False, False, False)


def test_the_database_asks_for_the_password(postgres_server: PostgresServer) -> None:
    parts = psycopg.conninfo.conninfo_to_dict(postgres_server.url)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(
            host=str(parts["host"]), port=str(parts["port"]), user="meetbot", password="wrong", dbname="meetbot"
        )


def test_each_copied_database_starts_with_only_the_template(postgres_server: PostgresServer) -> None:
    def upgrade(database_url: str) -> None:
        with psycopg.connect(database_url) as connection:
            connection.execute("CREATE TABLE rows (id int)")

    template = build_template(postgres_server, upgrade, name="template_of_this_test")
    for _ in range(2):
        with copied_database(postgres_server, template) as url, psycopg.connect(url) as connection:
            assert connection.execute("SELECT count(*) FROM rows").fetchone() == (0,)
            connection.execute("INSERT INTO rows VALUES (1)")


def test_temporal_knows_our_search_attributes_and_keeps_them_over_a_restart(tmp_path: Path) -> None:
    for _ in range(2):
        ports = TemporalPorts(grpc=free_port(), http=free_port(), metrics=free_port())
        server = start_temporal(tmp_path / "temporal.db", logs=tmp_path / "logs", ports=ports)
        try:
            make_temporal_ready(server)
            answer = httpx.get(f"{server.http_address}/api/v1/namespaces/default/search-attributes", trust_env=False)
            assert set(SEARCH_ATTRIBUTES) <= set(answer.json()["customAttributes"])
            assert server.address == f"127.0.0.1:{ports.grpc}"
            assert is_listening(ports.grpc)
            assert (tmp_path / "temporal.db-wal").exists(), "it does not write ahead into a log"
        finally:
            stop(server.child)


def test_the_settings_can_open_the_vault_of_the_stack(
    vault_service: VaultService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_ADDR", vault_service.address)
    monkeypatch.setenv("VAULT_TOKEN", vault_service.tokens.api_token)
    from meetbot.vault.client import vault_from_settings

    vault = vault_from_settings(Settings())
    vault.check()
    vault.close()
