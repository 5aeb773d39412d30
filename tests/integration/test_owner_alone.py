"""A developer's own PostgreSQL, with one login that owns its database and none of our roles."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from psycopg import sql

from meetbot.errors import ConfigurationError
from meetbot.storage.database import create_database
from meetbot.storage.migrate import pending, upgrade
from meetbot.storage.roles import Role, creation
from meetbot.storage.tables import Tenant, WebhookDelivery, WebhookEndpoint
from tests.stack import running_postgres

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The owner's and the superuser's address."""
    with running_postgres(tmp_path_factory.mktemp("own")) as server:
        with psycopg.connect(server.admin_url, autocommit=True) as connection:
            for role in Role:
                connection.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))
        yield server.url, server.admin_url


def test_the_owner_stands_in_for_the_roles_that_the_server_lacks(server_url: tuple[str, str]) -> None:
    url, admin_url = server_url
    with pytest.raises(ConfigurationError, match="meetbot_relay"):
        upgrade(url)
    upgrade(url, owner_alone=True)
    assert not pending(url)
    with closing(create_database(url)) as database:
        for tenant in ("ten_1", "ten_2"):
            with database.transaction(tenant) as session:
                session.add(Tenant(id=tenant, name="Acme", region="eu"))
                session.add(WebhookEndpoint(tenant_id=tenant, id="whe_1", url="https://a.test"))
                session.add(
                    WebhookDelivery(tenant_id=tenant, id="dlv_1", endpoint_id="whe_1", event_type="a.b", data={})
                )
        with database.transaction("ten_1") as session:
            seen = session.connection().exec_driver_sql("select tenant_id from webhook_delivery").scalars().all()
        with database.relay() as session:
            waiting = session.connection().exec_driver_sql("select tenant_id from webhook_delivery").scalars().all()
    assert (seen, sorted(waiting)) == (["ten_1"], ["ten_1", "ten_2"])

    with psycopg.connect(admin_url, autocommit=True) as connection:
        for statement in creation():
            if "CREATE ROLE meetbot " not in statement:
                connection.execute(statement.encode())
    assert pending(url)
    upgrade(url)
    assert not pending(url)
