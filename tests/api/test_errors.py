"""Whatever is sent, the answer is a problem with a stable code, and never a 500."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from api.app import create_app
from api.problems import MEDIA_TYPE
from meetbot.errors import MeetbotError
from meetbot.settings import Settings
from tests.api.conftest import Front, Tenant

Connect = dict[str, Any]
URL = "/calendar/connect/google"


def assert_problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (status, MEDIA_TYPE), answer.text
    problem: dict[str, Any] = answer.json()
    assert set(problem) - {"base_url"} == {"type", "title", "status", "code", "detail", "errors"}
    assert (problem["status"], problem["code"]) == (status, code)
    return problem


@pytest.mark.parametrize(
    "body", ["{", "nonsense", '{"a": NaN}', "[" * 5000, '{"a": "\\ud800', b"\xff\xfe{", b'{"a": "\xff"}']
)
def test_malformed_json_is_400(tenant: Tenant, body: str | bytes) -> None:
    answer = tenant.post(URL, content=body, headers={"Content-Type": "application/json"})
    assert_problem(answer, 400, "malformed_json")


@pytest.mark.parametrize(
    ("body", "path", "code"),
    [
        ({}, "customer_user_id", "required"),
        ({"customer_user_id": "c", "colour": 1}, "colour", "unknown_field"),
        ({"customer_user_id": 7}, "customer_user_id", "string_type"),
        ({"customer_user_id": ""}, "customer_user_id", "string_too_short"),
        ({"customer_user_id": "c" * 256}, "customer_user_id", "string_too_long"),
        ({"customer_user_id": "a\nb"}, "customer_user_id", "invalid_text"),
        ({"customer_user_id": "a\x00b"}, "customer_user_id", "invalid_text"),
        ({"customer_user_id": "c", "attributes": {"a": 2**64}}, "attributes.a", "number_out_of_range"),
        ({"customer_user_id": "c", "attributes": {"a": {"deep": 1}}}, "attributes", "invalid_attribute"),
        ({"customer_user_id": "c", "attributes": {"1": "x"}}, "attributes", "invalid_attribute_name"),
        ({"customer_user_id": "c", "attributes": {"a\x00": "x"}}, "attributes", "invalid_text"),
        ([], "", "model_attributes_type"),
    ],
)
def test_what_cannot_be_used_is_422_with_place_and_code(tenant: Tenant, body: Any, path: str, code: str) -> None:
    problem = assert_problem(tenant.post(URL, json=body), 422, "invalid_input")
    assert (problem["errors"][0]["path"], problem["errors"][0]["code"]) == (path, code)


def routes_without_a_body() -> list[tuple[str, str]]:
    """Every way to change something that takes no body, with identifiers filled in."""
    found = []
    for path, operations in create_app(Settings()).openapi()["paths"].items():
        for method, operation in operations.items():
            if method in ("post", "put", "patch", "delete") and "requestBody" not in operation:
                found.append((method.upper(), re.sub(r"\{[^}]+\}", "x", path).removeprefix("/v1")))
    return found


@pytest.mark.parametrize(("method", "path"), routes_without_a_body())
@pytest.mark.parametrize(
    ("body", "place", "code"), [({"unknown": 1}, "unknown", "unknown_field"), ([], "", "no_body"), ("x", "", "no_body")]
)
def test_a_body_is_422_if_the_route_takes_none(
    tenant: Tenant, method: str, path: str, body: Any, place: str, code: str
) -> None:
    problem = assert_problem(tenant.request(method, path, json=body), 422, "invalid_input")
    assert (problem["errors"][0]["path"], problem["errors"][0]["code"]) == (place, code)


@pytest.mark.parametrize("body", [b"", b" ", b"{}", b"null"])
def test_an_empty_body_is_let_through_if_the_route_takes_none(tenant: Tenant, body: bytes) -> None:
    user = tenant.add_user()
    headers = {"Content-Type": "application/json"}
    assert tenant.post(f"/calendar/users/{user.id}/sync", content=body, headers=headers).status_code == 202


def test_a_missing_scope_is_reported_before_faults_of_the_body(front: Front) -> None:
    assert_problem(front.client.post("/v1/calendar/users/x/sync", json={"unknown": 1}), 401, "unauthorized")


def test_half_a_surrogate_pair_is_422(tenant: Tenant) -> None:
    answer = tenant.post(
        URL,
        content='{"customer_user_id": "c", "attributes": {"a": "\\ud800"}}',
        headers={"Content-Type": "application/json"},
    )
    assert_problem(answer, 422, "invalid_input")


def test_an_error_never_repeats_what_was_sent(tenant: Tenant) -> None:
    answer = tenant.post(URL, json={"customer_user_id": ["canary-4711"], "login_hint": {"canary-4712": 1}})
    assert "canary" not in answer.text


def test_a_body_that_is_not_declared_as_json_is_415(tenant: Tenant) -> None:
    answer = tenant.post(URL, content="a=b", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert_problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("path", ["/bots/a%00b", "/bots?state=a%00b", "/calendar/authorize/%00"])
def test_nul_in_a_url_is_400(tenant: Tenant, path: str) -> None:
    assert_problem(tenant.get(path), 400, "malformed_url")


def test_a_body_over_256_kb_is_413(tenant: Tenant) -> None:
    answer = tenant.post(URL, json={"customer_user_id": "c" * (256 * 1024)})
    assert_problem(answer, 413, "body_too_large")


def test_a_body_of_unstated_length_is_counted(tenant: Tenant) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(300):
            yield b" " * 1024

    answer = tenant.post(URL, content=chunks(), headers={"Content-Type": "application/json"})
    assert_problem(answer, 413, "body_too_large")


def test_a_body_of_exactly_256_kb_is_read(tenant: Tenant) -> None:
    body = b'{"customer_user_id": "c"}'.ljust(256 * 1024)
    assert tenant.post(URL, content=body, headers={"Content-Type": "application/json"}).status_code == 201


@pytest.mark.parametrize("path", ["/v1/nothing", "/nothing", "/v1/calendar/users/x/y/z", "/static/nothing.js"])
def test_an_unknown_path_is_a_404_problem(front: Front, path: str) -> None:
    assert_problem(front.client.get(path), 404, "not_found")


def test_a_wrong_method_is_a_405_problem(front: Front) -> None:
    answer = front.client.delete("/v1/bots")
    assert_problem(answer, 405, "method_not_allowed")
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize(
    "header",
    [None, "Basic abc", "Bearer", "Bearer nonsense", f"Bearer mb_live_{'a' * 16}_{'a' * 52}", "Bearer mb_live_\u00e4"],
)
def test_no_or_a_bad_key_is_401_and_says_how(front: Front, header: str | None) -> None:
    answer = front.client.get("/v1/bots", headers={b"Authorization": header.encode()} if header else None)
    assert_problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_key_with_one_letter_changed_is_401(tenant: Tenant) -> None:
    wrong = tenant.key[:-1] + ("a" if tenant.key[-1] != "a" else "b")
    answer = tenant.front.client.get("/v1/bots", headers={"Authorization": f"Bearer {wrong}"})
    assert_problem(answer, 401, "unauthorized")


def test_a_missing_scope_is_403(tenant: Tenant) -> None:
    headers = {"Authorization": f"Bearer {tenant.key_with('bots:read')}"}
    client = tenant.front.client
    assert client.get("/v1/bots", headers=headers).status_code == 200
    assert_problem(client.get("/v1/calendar/users", headers=headers), 403, "missing_scope")


def test_a_tenant_of_another_region_is_421(tenant: Tenant) -> None:
    tenant.front.with_settings(region="us")
    assert_problem(tenant.get("/bots"), 421, "wrong_region")


def test_too_many_requests_are_429_and_say_when_to_come_back(tenant: Tenant) -> None:
    tenant.front.with_settings(rate_limit_per_minute=3)
    allowed = [tenant.get("/bots") for _ in range(3)]
    assert [answer.status_code for answer in allowed] == [200, 200, 200]
    assert [answer.headers["ratelimit-remaining"] for answer in allowed] == ["2", "1", "0"]
    answer = tenant.get("/bots")
    assert_problem(answer, 429, "rate_limited")
    assert 1 <= int(answer.headers["retry-after"]) <= 20
    assert answer.headers["ratelimit-limit"] == "3"


def test_one_keys_limit_is_not_anothers(tenant: Tenant, new_tenant: Callable[[], Tenant]) -> None:
    tenant.front.with_settings(rate_limit_per_minute=1)
    assert [tenant.get("/bots").status_code for _ in range(2)] == [200, 429]
    assert new_tenant().get("/bots").status_code == 200


@pytest.mark.parametrize("cursor", ["x", "", "AAAA", "a" * 3000, "\u00e4", "W10"])
def test_a_made_up_cursor_is_refused(tenant: Tenant, cursor: str) -> None:
    assert tenant.get("/bots", params={"cursor": cursor}).status_code in (400, 422)


@pytest.mark.parametrize("query", ["limit=0", "limit=251", "limit=x", "limit=1e3", "colour=1", "state=nonsense"])
def test_unknown_and_unusable_parameters_are_422(tenant: Tenant, query: str) -> None:
    assert_problem(tenant.get(f"/bots?{query}"), 422, "invalid_input")


def test_every_answer_carries_the_safe_headers(tenant: Tenant) -> None:
    headers = tenant.get("/bots").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["x-request-id"]


def test_an_unforeseen_fault_is_a_500_problem_that_tells_nothing(tenant: Tenant, capsys: Any, monkeypatch: Any) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ValueError("canary: a secret at hand")

    monkeypatch.setattr("api.routers.bots.list_bots", fail)
    answer = tenant.get("/bots")
    assert_problem(answer, 500, "internal_error")
    assert "canary" not in answer.text + capsys.readouterr().out


def test_a_vault_that_is_away_is_503(tenant: Tenant) -> None:
    tenant.front.vault.is_up = False
    answer = tenant.post("/webhook-endpoints", json={"url": "https://example.com/h"})
    assert_problem(answer, 503, "vault_unavailable")
    assert answer.headers["retry-after"]


def test_an_error_of_the_library_keeps_its_code(tenant: Tenant, monkeypatch: Any) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise MeetbotError("backend_away", "it does not answer")

    monkeypatch.setattr("api.routers.bots.list_bots", fail)
    assert_problem(tenant.get("/bots"), 503, "backend_away")


def test_the_log_holds_neither_tickets_nor_queries(tenant: Tenant, capsys: Any) -> None:
    tenant.front.client.get("/v1/calendar/authorize/canary-ticket")
    tenant.front.client.get("/v1/calendar/callback/google?state=canary-state&code=canary-code")
    logged = capsys.readouterr().out
    assert "/calendar/authorize/{ticket}" in logged
    assert "canary" not in logged


def test_a_duplicate_key_is_refused(tenant: Tenant) -> None:
    body = '{"customer_user_id": "a", "attributes": {"team": "x", "team": "y"}}'
    answer = tenant.post(URL, content=body, headers={"Content-Type": "application/json"})
    problem = assert_problem(answer, 422, "invalid_input")
    assert [(fault["path"], fault["code"]) for fault in problem["errors"]] == [("attributes.team", "duplicate_key")]
