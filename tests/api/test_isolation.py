"""Every route for every kind of caller.

None may pass without a key, none may reach into another tenant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from api.app import create_app
from meetbot.settings import Settings
from tests.api.conftest import Front, Tenant

# What a browser, a provider, a backend or a load balancer opens; each is protected by other means.
OPEN = {
    ("get", "/v1/calendar/authorize/{ticket}"),
    ("get", "/v1/calendar/reconnect/{token}"),
    ("get", "/v1/calendar/callback/{provider}"),
    ("get", "/v1/calendar/admin-consent/{token}"),
    ("get", "/v1/calendar/continue/{token}"),
    ("post", "/v1/backends/meetbot/events"),
    ("post", "/v1/notifications/google"),
    ("post", "/v1/notifications/microsoft"),
    ("post", "/v1/notifications/microsoft/lifecycle"),
    ("get", "/healthz"),
}
BODIES: dict[str, Any] = {
    "/v1/calendar/connect/{provider}": {"customer_user_id": "c"},
    "/v1/calendar/users/{calendar_user_id}": {"attributes": {"a": "b"}},
    "/v1/calendar/users/{calendar_user_id}/calendars": {"mode": "primary"},
    "/v1/calendar/users/{calendar_user_id}/events/{event_id}/override": {"recording": "record"},
    "/v1/calendar/users/{calendar_user_id}/rules": {"rules": []},
    "/v1/calendar/users/{calendar_user_id}/rules/simulate": {"rules": []},
    "/v1/calendar/users/{calendar_user_id}/rules/rollback": {"version": 1},
    "/v1/calendar/rules/{layer}": {"rules": []},
    "/v1/calendar/rules/{layer}/rollback": {"version": 1},
    "/v1/calendar/rules/{layer}/simulate": {"rules": []},
    "/v1/webhook-endpoints": {"url": "https://example.com/h"},
    "/v1/webhook-endpoints/{endpoint_id}": {"url": "https://example.com/h"},
    "/v1/webhook-endpoints/{endpoint_id}/replay": {},
    "/v1/tenant": {"name": "Other"},
    "/v1/oauth-apps/{provider}": {"client_id": "own-client", "client_secret": "own-secret"},
    "/v1/api-keys": {"name": "x", "scopes": ["bots:read"]},
}


def _operations() -> list[tuple[str, str]]:
    paths = create_app(Settings()).openapi()["paths"]
    return [(method, path) for path, methods in paths.items() for method in methods]


OPERATIONS = _operations()
GUARDED = [operation for operation in OPERATIONS if operation not in OPEN]
IDS = ("calendar_user_id", "event_id", "bot_id", "endpoint_id", "delivery_id", "erasure_id", "key_id")
OWNED = [(method, path) for method, path in GUARDED if any("{" + name + "}" in path for name in IDS)]


def call(front: Front, method: str, path: str, headers: dict[str, str], ids: dict[str, str]) -> Any:
    body = BODIES.get(path) if method in ("post", "put", "patch") else None
    names = {"provider": "google", "layer": "default", "ticket": "x", "token": "x"} | ids
    filled = path
    for name, value in names.items():
        filled = filled.replace("{" + name + "}", value)
    assert "{" not in filled, "give the new path parameter a value"
    return front.client.request(method.upper(), filled, headers=headers, json=body)


def test_the_list_of_open_routes_is_complete() -> None:
    assert set(OPERATIONS) >= OPEN


@pytest.mark.parametrize(("method", "path"), GUARDED)
@pytest.mark.parametrize("prefix", ["", "/api"])
def test_no_route_answers_without_a_good_key(front: Front, method: str, path: str, prefix: str) -> None:
    ids = dict.fromkeys(IDS, "x")
    for headers in ({}, {"Authorization": f"Bearer mb_live_{'a' * 16}_{'b' * 52}"}):
        answer = call(front, method, prefix + path, headers, ids)
        # Under the second prefix bodies are not looked up, which must not matter either.
        assert answer.status_code == 401, answer.text


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_no_route_answers_a_key_without_scopes(tenant: Tenant, method: str, path: str) -> None:
    ids = dict.fromkeys(IDS, "x")
    answer = call(tenant.front, method, path, {"Authorization": f"Bearer {tenant.key_with()}"}, ids)
    assert answer.status_code == 403, answer.text


@pytest.mark.parametrize(("method", "path"), OWNED)
def test_another_tenants_id_is_404_and_nothing_of_it_changes(
    new_tenant: Callable[[], Tenant], method: str, path: str
) -> None:
    owner, stranger = new_tenant(), new_tenant()
    ids = _things_of(owner)
    before = _look(owner, ids)
    answer = call(owner.front, method, path, stranger.headers, ids)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json"), answer.text
    assert _look(owner, ids) == before


@pytest.mark.parametrize("path", ["/calendar/users", "/bots", "/webhook-endpoints"])
def test_no_listing_shows_another_tenants_rows(new_tenant: Callable[[], Tenant], path: str) -> None:
    owner, stranger = new_tenant(), new_tenant()
    _things_of(owner)
    assert len(owner.get(path).json()["data"]) == 1
    assert stranger.get(path).json()["data"] == []


def _things_of(tenant: Tenant) -> dict[str, str]:
    user = tenant.add_user(state="active")
    event = tenant.add_event(user)
    bot = tenant.add_bot(event.meeting_key)
    endpoint = tenant.post("/webhook-endpoints", json={"url": "https://example.com/h"}).json()
    tenant.post(f"/webhook-endpoints/{endpoint['id']}/test")
    log = tenant.get(f"/webhook-endpoints/{endpoint['id']}/deliveries").json()["data"]
    return {
        "calendar_user_id": user.id,
        "event_id": event.id,
        "bot_id": bot.id,
        "endpoint_id": endpoint["id"],
        "erasure_id": tenant.delete(f"/calendar/users/{tenant.add_user(state='active').id}").json()["erasure_id"],
        "delivery_id": log[0]["id"] if log else "dlv_x",
        "key_id": tenant.post("/api-keys", json=BODIES["/v1/api-keys"]).json()["id"],
    }


def _look(tenant: Tenant, ids: dict[str, str]) -> list[Any]:
    user = f"/calendar/users/{ids['calendar_user_id']}"
    (key,) = (key for key in tenant.get("/api-keys").json()["data"] if key["id"] == ids["key_id"])
    return [key] + [
        {**tenant.get(path).json(), "sync_lag_seconds": None}
        for path in (
            user,
            f"{user}/events/{ids['event_id']}",
            f"{user}/rules",
            f"/bots/{ids['bot_id']}",
            f"/webhook-endpoints/{ids['endpoint_id']}",
            f"/webhook-deliveries/{ids['delivery_id']}",
            f"/erasures/{ids['erasure_id']}",
        )
    ]
