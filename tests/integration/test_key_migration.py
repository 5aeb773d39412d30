"""A database of before gets what keys and tenants have now."""

from __future__ import annotations

import pytest
from alembic import command
from sqlalchemy import text

from meetbot.storage.database import create_database
from meetbot.storage.migrate import _config, upgrade

pytestmark = pytest.mark.stack


def test_tenants_with_a_test_key_are_of_mode_test_and_their_keys_go_on_working(fresh_database: str) -> None:
    database = create_database(fresh_database)
    with database.transaction("") as session:
        session.execute(text("drop schema public cascade"))
        session.execute(text("create schema public"))
    command.upgrade(_config(fresh_database), "0003")
    for tenant_id, mode in (("ten_a", "test"), ("ten_b", "live")):
        with database.transaction(tenant_id) as session:
            session.execute(
                text(
                    "insert into tenant (id, name, region, revoked_grace_hours, bot_display_name) "
                    "values (:id, 'x', 'eu', 24, 'x')"
                ),
                {"id": tenant_id},
            )
            session.execute(
                text("insert into api_key (public_id, tenant_id, mode, secret_hash) values (:id, :id, :mode, 'x')"),
                {"id": tenant_id, "mode": mode},
            )
    upgrade(fresh_database)
    with database.tenant_directory() as session:
        rows = session.execute(text("select id, mode, max_bots_per_day, audit_days from tenant order by id")).all()
    database.close()
    assert [tuple(row) for row in rows] == [("ten_a", "test", 50, 365), ("ten_b", "live", 50, 365)]
