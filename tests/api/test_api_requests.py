"""The log of answered requests that a tenant can read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api import request_log
from api.request_log import RequestLog
from meetbot.storage.api_requests import AnsweredRequest, add_requests
from tests.api.conftest import Tenant
from tests.api.test_retention import delete


def logged(tenant: Tenant, **query: Any) -> list[dict[str, Any]]:
    tenant.front.app.state.request_log.flush()
    answer = tenant.get("/api-requests", params=query)
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()["data"]
    return rows


def request_at(at: datetime, number: int = 0) -> AnsweredRequest:
    return AnsweredRequest(at, f"r{number}", "key_1", "GET", "/bots", 200, None, 5)


def add(tenant: Tenant, *requests: AnsweredRequest) -> None:
    with tenant.front.database.transaction(tenant.id) as session:
        add_requests(session, tenant.id, requests)


def test_a_request_is_logged_by_its_route_with_the_problems_code(tenant: Tenant) -> None:
    good, bad = tenant.get("/bots"), tenant.get("/bots/bot_secret", params={"x": "hidden"})
    second, first = logged(tenant)
    assert (first["method"], first["route"], first["status"], first["code"]) == ("GET", "/bots", 200, None)
    assert first["request_id"] == good.headers["x-request-id"]
    assert first["key_id"] in tenant.key
    assert (second["route"], second["status"], second["code"]) == ("/bots/{bot_id}", 404, "bot_not_found")
    assert second["request_id"] == bad.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("GET", "/bots/bot_x", None, "bot_not_found"),
        ("PUT", "/calendar/rules/default", {"rules": 7}, "invalid_input"),
        ("GET", "/bots?cursor=x", None, "invalid_cursor"),
    ],
)
def test_each_kind_of_problem_leaves_its_code(tenant: Tenant, method: str, path: str, body: Any, code: str) -> None:
    answer = tenant.request(method, path, json=body)
    (row,) = logged(tenant)
    assert (row["status"], row["code"]) == (answer.status_code, answer.json()["code"])
    assert row["code"] == code


def test_what_a_request_holds_is_not_kept(tenant: Tenant) -> None:
    tenant.put(
        "/calendar/rules/default", json={"rules": [{"name": "Secret", "action": "skip", "when": {"always": True}}]}
    )
    tenant.get("/calendar/events", params={"q": "Secret"})
    assert len(logged(tenant)) == 2
    assert "Secret" not in str(logged(tenant))


def test_filters_narrow_the_log(tenant: Tenant) -> None:
    tenant.get("/bots")
    wrong = tenant.get("/bots/bot_x")
    assert [row["status"] for row in logged(tenant, failed=True)] == [404]
    assert [row["status"] for row in logged(tenant, code="bot_not_found")] == [404]
    assert [row["status"] for row in logged(tenant, request_id=wrong.headers["x-request-id"])] == [404]
    assert [row["route"] for row in logged(tenant, failed=False, route="/bots")] == ["/bots"]
    assert logged(tenant, status=503) == logged(tenant, key_id="nobody") == []
    assert logged(tenant, to="2026-01-01T00:00:00Z") == []


def test_the_log_is_read_in_pages(tenant: Tenant) -> None:
    now = datetime.now(UTC)
    add(tenant, *(request_at(now - timedelta(seconds=number), number) for number in range(3)))
    query = {"limit": 2, "route": "/bots"}
    first = tenant.get("/api-requests", params=query).json()
    rest = tenant.get("/api-requests", params=query | {"cursor": first["next_cursor"]}).json()
    assert [row["request_id"] for row in first["data"] + rest["data"]] == ["r0", "r1", "r2"]


def test_a_request_without_a_working_key_is_nobodys(tenant: Tenant) -> None:
    tenant.get("/bots", headers={"Authorization": f"Bearer {tenant.key[:-1]}x"})
    assert logged(tenant) == []


def test_another_tenants_requests_are_not_shown(new_tenant: Callable[[], Tenant]) -> None:
    owner, stranger = new_tenant(), new_tenant()
    owner.get("/bots")
    assert logged(stranger) == []


def test_the_log_needs_the_scope_of_the_audit_log(tenant: Tenant) -> None:
    headers = {"Authorization": f"Bearer {tenant.key_with('tenant:read', 'bots:read')}"}
    assert tenant.get("/api-requests", headers=headers).status_code == 403


def test_requests_are_kept_for_a_week(tenant: Tenant) -> None:
    now = datetime.now(UTC)
    add(tenant, request_at(now - timedelta(days=8), 1), request_at(now - timedelta(days=6), 2))
    assert delete(tenant) == {"api_requests": 1}


def test_nothing_is_written_for_a_tenant_that_is_gone(tenant: Tenant) -> None:
    log = RequestLog(tenant.front.database)
    log.note("ten_gone", request_at(datetime.now(UTC)))
    log.stop()
    with tenant.front.database.transaction("ten_gone") as session:
        assert session.connection().exec_driver_sql("select count(*) from api_request").scalar_one() == 0


def test_a_flood_of_requests_fills_neither_memory_nor_the_table(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_log, "MAX_WAITING", 5)
    monkeypatch.setattr(request_log, "MAX_AT_ONCE", 3)
    log, now = RequestLog(tenant.front.database, period=3600), datetime.now(UTC)
    for number in range(9):
        log.note(tenant.id, request_at(now, number))
    log.stop()
    assert len(logged(tenant)) == 3


def test_a_database_that_fails_stops_no_request(tenant: Tenant) -> None:
    class Broken:
        def transaction(self, tenant_id: str) -> Any:
            raise RuntimeError("away")

    log = RequestLog(Broken())  # type: ignore[arg-type]
    log.note(tenant.id, request_at(datetime.now(UTC)))
    log.stop()
    log.note(tenant.id, request_at(datetime.now(UTC)))
