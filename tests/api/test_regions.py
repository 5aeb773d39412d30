"""A tenant of another region: told where it lives, and nothing of it is stored here."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest
from sqlalchemy import text

from meetbot.domain.ids import new_id
from meetbot.errors import InvalidInput
from meetbot.settings import Region
from meetbot.storage.grants import TABLES
from meetbot.tenants.api_keys import KeyMode, new_api_key
from meetbot.tenants.regions import adopt_tenant, point_elsewhere, region_named
from meetbot.vault.client import Vault
from tests.api.conftest import Front
from tests.api.test_errors import assert_problem


def test_a_421_names_the_base_url_of_the_tenants_region(front: Front) -> None:
    _, key = point_elsewhere(front.database, Region.US, "https://us.calendar.test")
    answer = front.client.get("/v1/bots", headers={"Authorization": f"Bearer {key}"})
    assert_problem(answer, 421, "wrong_region")
    assert answer.json()["base_url"] == "https://us.calendar.test"


def test_without_a_known_address_it_is_ours_with_the_regions_name(front: Front) -> None:
    front.with_settings(public_url="https://eu.calendar.test/calendar")
    _, key = point_elsewhere(front.database, Region.US, None)
    answer = front.client.get("/v1/bots", headers={"Authorization": f"Bearer {key}"})
    assert answer.json()["base_url"] == "https://us.calendar.test/calendar"


def test_of_a_tenant_of_another_region_nothing_is_stored_here(front: Front) -> None:
    front.with_settings(rate_limit_per_minute=3)
    tenant_id, key = point_elsewhere(front.database, Region.US, "https://us.calendar.test")
    for method, path, body in (
        ("POST", "/calendar/connect/google", {"customer_user_id": "alice"}),
        ("PATCH", "/tenant", {"name": "Acme"}),
        ("POST", "/webhook-endpoints", {"url": "https://customer.test/hook"}),
        ("PUT", "/calendar/rules/default", {"rules": []}),
    ):
        headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "once"}
        answer = front.client.request(method, f"/v1{path}", json=body, headers=headers)
        assert_problem(answer, 421, "wrong_region")
    with front.database.transaction(tenant_id) as session:
        rows = {table: session.execute(text(f"select count(*) from {table}")).scalar_one() for table in TABLES}
        assert {table for table, count in rows.items() if count} == {"tenant", "api_key"}
        assert session.execute(text("select name from tenant")).scalar_one() == ""


def test_a_tenant_of_a_pointer_is_made_at_home_with_the_same_key(front: Front) -> None:
    tenant_id, key = new_id("ten"), new_api_key(KeyMode.LIVE).text
    vault = cast(Vault, SimpleNamespace(create_tenant_key=lambda _: None))
    adopt_tenant(front.database, vault, "Acme", Region.EU, tenant_id=tenant_id, api_key=key)
    answer = front.client.get("/v1/tenant", headers={"Authorization": f"Bearer {key}"})
    assert (answer.status_code, answer.json()["id"], answer.json()["name"]) == (200, tenant_id, "Acme")


@pytest.mark.parametrize(("tenant_id", "key"), [("ten_x", "mb_live_x"), ("../x", ""), ("ten_" + "a" * 26, "mb_live_x")])
def test_no_tenant_is_made_of_a_strange_id_or_key(front: Front, tenant_id: str, key: str) -> None:
    with pytest.raises(InvalidInput, match="invalid_tenant"):
        adopt_tenant(front.database, cast(Vault, None), "Acme", Region.EU, tenant_id=tenant_id, api_key=key)


def test_an_unknown_region_is_refused() -> None:
    with pytest.raises(InvalidInput, match="invalid_region"):
        region_named("mars")
