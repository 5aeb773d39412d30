"""API keys: what they may be given, and when they stop."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import select
from starlette.testclient import TestClient

from api.app import create_app
from meetbot.domain.ids import new_id
from meetbot.storage.idempotency import find_answer
from meetbot.storage.tables import ApiKey
from meetbot.storage.tenants import add_tenant
from meetbot.tenants.api_keys import KeyMode
from meetbot.tenants.create import issue_api_key
from meetbot.tenants.key_changes import KeyRefused, revoke_key
from tests.api.conftest import Front, Tenant, in_hours


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def made(tenant: Tenant, **fields: Any) -> Any:
    body = {"name": "billing", "scopes": ["bots:read", "keys:write"]} | fields
    answer = tenant.post("/api-keys", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def status_of(front: Front, key: str, path: str = "/bots") -> int:
    return int(front.client.get(f"/v1{path}", headers=bearer(key)).status_code)


def at(front: Front, instant: datetime) -> None:
    """Until the end of the test, it is then."""
    front.app.state.services = dataclasses.replace(front.app.state.services, clock=lambda: instant)


def test_a_key_is_shown_once_and_has_only_its_scopes(tenant: Tenant) -> None:
    key = made(tenant, scopes=["bots:read"])
    assert key["api_key"].startswith(f"mb_test_{key['id']}_")
    assert (key["state"], key["created_by"], key["expires_at"]) == ("active", tenant.key.split("_")[2], None)
    listed = tenant.get("/api-keys")
    assert key["api_key"] not in listed.text
    assert [one["name"] for one in listed.json()["data"]] == ["made with the tenant", "billing"]
    assert (status_of(tenant.front, key["api_key"]), status_of(tenant.front, key["api_key"], "/tenant")) == (200, 403)


def test_a_key_cannot_give_a_scope_that_it_has_not(tenant: Tenant) -> None:
    key = made(tenant, scopes=["keys:write", "bots:read"])["api_key"]
    for scopes in (["bots:write"], ["*"], ["bots:read", "tenant:read"]):
        answer = tenant.post("/api-keys", json={"name": "x", "scopes": scopes}, headers=bearer(key))
        assert (answer.status_code, answer.json()["code"]) == (403, "scope_exceeds_key"), answer.text
    assert tenant.post("/api-keys", json={"name": "x", "scopes": ["bots:read"]}, headers=bearer(key)).status_code == 201


def test_a_key_cannot_be_rotated_by_one_that_has_fewer_scopes(tenant: Tenant) -> None:
    key = made(tenant, scopes=["keys:write"])["api_key"]
    answer = tenant.post(f"/api-keys/{tenant.key.split('_')[2]}/rotate", headers=bearer(key))
    assert (answer.status_code, answer.json()["code"]) == (403, "scope_exceeds_key")


def test_no_key_outlives_the_one_that_made_it(tenant: Tenant) -> None:
    soon = in_hours(1)
    maker = made(tenant, expires_at=soon.isoformat())["api_key"]
    child = tenant.post("/api-keys", json={"name": "x", "scopes": ["bots:read"]}, headers=bearer(maker)).json()
    assert datetime.fromisoformat(child["expires_at"]) == soon
    later = {"name": "x", "scopes": ["bots:read"], "expires_at": in_hours(2).isoformat()}
    answer = tenant.post("/api-keys", json=later, headers=bearer(maker))
    assert (answer.status_code, answer.json()["code"]) == (422, "expiry_exceeds_key")


def test_an_expired_key_is_refused(tenant: Tenant) -> None:
    key = made(tenant, expires_at=in_hours(1).isoformat())
    assert status_of(tenant.front, key["api_key"]) == 200
    at(tenant.front, in_hours(2))
    assert status_of(tenant.front, key["api_key"]) == 401
    assert tenant.get("/api-keys").json()["data"][1]["state"] == "expired"


def test_a_revoked_key_stops_at_once_in_every_process(tenant: Tenant) -> None:
    key = made(tenant)
    other_process = create_app(tenant.front.services.settings, tenant.front.services)
    with TestClient(other_process, base_url="http://127.0.0.1:8000") as other:
        assert other.get("/v1/bots", headers=bearer(key["api_key"])).status_code == 200
        assert tenant.request("DELETE", f"/api-keys/{key['id']}").status_code == 204
        assert other.get("/v1/bots", headers=bearer(key["api_key"])).status_code == 401
    assert tenant.request("DELETE", f"/api-keys/{key['id']}").status_code == 204


def test_the_last_key_that_can_make_keys_cannot_be_revoked(tenant: Tenant) -> None:
    own = tenant.key.split("_")[2]
    answer = tenant.request("DELETE", f"/api-keys/{own}")
    assert (answer.status_code, answer.json()["code"]) == (409, "last_key")
    made(tenant, scopes=["bots:read"])
    assert tenant.request("DELETE", f"/api-keys/{own}").status_code == 409
    other = made(tenant, scopes=["keys:write"])
    assert tenant.request("DELETE", f"/api-keys/{own}").status_code == 204
    assert tenant.get("/api-keys").status_code == 401
    assert status_of(tenant.front, other["api_key"], "/api-keys") == 200


def test_two_revocations_at_once_leave_one_key_that_makes_keys(tenant: Tenant) -> None:
    ids = [tenant.key.split("_")[2], made(tenant)["id"]]

    def revoke(key_id: str) -> bool:
        try:
            with tenant.front.database.transaction(tenant.id) as session:
                revoke_key(session, tenant.id, key_id, now=datetime.now(UTC))
        except KeyRefused:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(revoke, ids)) == [False, True]


def test_after_a_rotation_both_keys_work_for_the_overlap(tenant: Tenant) -> None:
    old = made(tenant)
    new = tenant.post(f"/api-keys/{old['id']}/rotate", json={"overlap_hours": 2}).json()
    assert (new["name"], new["scopes"]) == (old["name"], old["scopes"])
    assert [status_of(tenant.front, key["api_key"]) for key in (old, new)] == [200, 200]
    at(tenant.front, in_hours(2.1))
    assert [status_of(tenant.front, key["api_key"]) for key in (old, new)] == [401, 200]


def test_without_an_overlap_the_old_key_stops_at_once(tenant: Tenant) -> None:
    old = made(tenant)
    new = tenant.post(f"/api-keys/{old['id']}/rotate", json={"overlap_hours": 0}).json()
    assert [status_of(tenant.front, key["api_key"]) for key in (old, new)] == [401, 200]
    answer = tenant.post(f"/api-keys/{old['id']}/rotate")
    assert (answer.status_code, answer.json()["code"]) == (409, "key_not_working")


def test_a_repeated_creation_makes_one_key_and_stores_no_secret(tenant: Tenant) -> None:
    asked: dict[str, Any] = {"json": {"name": "x", "scopes": ["bots:read"]}, "headers": {"Idempotency-Key": "one"}}
    first, second = tenant.post("/api-keys", **asked).json(), tenant.post("/api-keys", **asked).json()
    assert first == second
    with tenant.front.database.transaction(tenant.id) as session:
        kept = find_answer(session, tenant.id, "one")
        assert len(session.exec(select(ApiKey)).all()) == 2
    assert kept is not None
    assert first["api_key"].split("_")[3] not in repr(kept)


def test_the_last_use_is_noted_once_in_five_minutes(tenant: Tenant) -> None:
    began = datetime.now(UTC)
    noted = []
    for minutes in (0, 4, 5, 9, 11):
        at(tenant.front, began + timedelta(minutes=minutes))
        noted.append(datetime.fromisoformat(tenant.get("/api-keys").json()["data"][0]["last_used_at"]))
    assert [(one - began) / timedelta(minutes=1) for one in noted] == [0, 0, 5, 5, 11]


def test_a_test_key_sees_no_real_tenant(front: Front) -> None:
    tenant_id = new_id("ten")
    with front.database.transaction(tenant_id) as session:
        add_tenant(session, tenant_id, name="Real", region="eu")
    assert status_of(front, issue_api_key(front.database, tenant_id, KeyMode.LIVE)) == 200
    assert status_of(front, issue_api_key(front.database, tenant_id, KeyMode.TEST)) == 401


def test_at_most_a_hundred_keys_work(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meetbot.tenants.key_changes.MAX_WORKING_KEYS", 2)
    made(tenant)
    answer = tenant.post("/api-keys", json={"name": "x", "scopes": ["bots:read"]})
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_keys")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["bots:delete"]},
        {"name": "x", "scopes": ["bots:read"], "mode": "live"},
        {"name": "x" * 256, "scopes": ["bots:read"]},
        {"name": "a\u0000b", "scopes": ["bots:read"]},
        {"name": "x", "scopes": ["bots:read"], "expires_at": "2020-01-01T00:00:00Z"},
        {"name": "x", "scopes": ["bots:read"], "expires_at": "9999-01-01T00:00:00Z"},
        {"name": "x", "scopes": [["bots:read"]]},
        {"name": "x", "scopes": ["*"] * 50},
    ],
)
def test_what_cannot_be_a_key_is_refused(tenant: Tenant, body: dict[str, Any]) -> None:
    answer = tenant.post("/api-keys", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), answer.text
    assert len(tenant.get("/api-keys").json()["data"]) == 1


@pytest.mark.parametrize("overlap", [-1, 169, 1.5, "2", None])
def test_an_overlap_is_a_whole_number_of_hours(tenant: Tenant, overlap: object) -> None:
    answer = tenant.post(f"/api-keys/{made(tenant)['id']}/rotate", json={"overlap_hours": overlap})
    assert answer.status_code == 422


def test_the_listing_goes_page_by_page(tenant: Tenant, new_tenant: Callable[[], Tenant]) -> None:
    made(new_tenant())
    names = [made(tenant, name=f"key {number}")["name"] for number in range(3)]
    found, cursor = [], None
    while True:
        page = tenant.get("/api-keys", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        found += [one["name"] for one in page["data"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert found == ["made with the tenant", *names]


@pytest.mark.parametrize("path", ["/bots", "/api-keys", "/audit-log", "/usage", "/tenant/retention-runs"])
def test_the_second_prefix_takes_the_same_scopes(tenant: Tenant, path: str) -> None:
    client = tenant.front.client
    for prefix in ("/v1", "/api/v1"):
        assert client.get(prefix + path, headers=tenant.headers).status_code == 200
        assert client.get(prefix + path, headers=bearer(tenant.key_with("rules:read"))).status_code == 403
