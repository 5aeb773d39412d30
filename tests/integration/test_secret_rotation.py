"""Rotating a webhook secret in the database, by a role that may not read the others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import undefer

from meetbot.storage import webhook_endpoints
from meetbot.storage.database import Database
from meetbot.storage.roles import Role
from meetbot.storage.tables import WebhookEndpoint
from meetbot.vault.sealing import DataKey, kek_name, seal_with
from meetbot.webhooks.endpoint_secrets import OVERLAP, StoredSecret, secret_binding, stored_secret, valid_secrets

pytestmark = pytest.mark.stack

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
KEY = DataKey(bytes(32), "vault:v3:abc", kek_name("tnt_1"), 3)


def stored(plain: bytes) -> StoredSecret:
    return stored_secret(seal_with(KEY, plain, secret_binding("eu", "tnt_1", "whe_1")), NOW)


class Endpoint:
    """An endpoint with one secret, whose secrets the api rotates."""

    def __init__(self, owner: Database, api: Database) -> None:
        self._owner, self._api = owner, api
        self.first = stored(b"1")
        with owner.transaction("tnt_1") as session:
            session.add(WebhookEndpoint(tenant_id="tnt_1", id="whe_1", url="https://a.test", secrets=[self.first]))

    def rotate(self, at: datetime = NOW) -> StoredSecret:
        newest = stored(b"2")
        with self._api.transaction("tnt_1") as session:
            endpoint = webhook_endpoints.find(session, "tnt_1", "whe_1", lock=True)
            assert endpoint is not None
            webhook_endpoints.rotate_secret(session, endpoint, newest, overlap=OVERLAP, now=at)
        return newest

    def secrets(self) -> list[StoredSecret]:
        with self._owner.transaction("tnt_1") as session:
            return session.get_one(WebhookEndpoint, ("tnt_1", "whe_1"), options=[undefer("*")]).secrets

    def valid(self, hours: float) -> list[str]:
        return [secret["ciphertext"] for secret in valid_secrets(self.secrets(), NOW + timedelta(hours=hours))]


@pytest.fixture
def endpoint(login: Callable[[Role | None], Database]) -> Endpoint:
    return Endpoint(login(None), login(Role.API))


def test_after_a_rotation_both_are_valid_for_a_day_and_the_newest_is_first(endpoint: Endpoint) -> None:
    newest = endpoint.rotate()
    assert endpoint.valid(23.999) == [newest["ciphertext"], endpoint.first["ciphertext"]]
    assert endpoint.valid(24) == [newest["ciphertext"]]


def test_a_second_rotation_does_not_lengthen_the_life_of_the_first_secret(endpoint: Endpoint) -> None:
    endpoint.rotate()
    endpoint.rotate(NOW + timedelta(hours=12))
    assert [len(endpoint.valid(hours)) for hours in (12, 24, 36)] == [3, 2, 1]


def test_an_expired_secret_is_dropped_at_the_next_rotation(endpoint: Endpoint) -> None:
    endpoint.rotate()
    endpoint.rotate(NOW + timedelta(hours=25))
    assert len(endpoint.secrets()) == 2


def test_however_often_it_is_rotated_the_row_stays_small(endpoint: Endpoint) -> None:
    for _ in range(10):
        endpoint.rotate()
    assert len(endpoint.secrets()) == 5
