"""The routes of keys, audit, retention and usage, sent what nobody should send."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Tenant

BODIED = [
    ("POST", "/api-keys"),
    ("POST", "/api-keys/x/rotate"),
    ("PATCH", "/tenant"),
]
DEEP = b'{"name":' * 2000 + b"1" + b"}" * 2000
HUGE = b'{"name": "' + b"x" * 300_000 + b'"}'


@pytest.mark.parametrize(("method", "path"), BODIED)
@pytest.mark.parametrize(
    ("content", "statuses"),
    [
        (DEEP, {422}),
        (HUGE, {413}),
        (b"[]", {422}),
        (b"{", {400}),
        (b"\xff", {400}),
        (b'{"name": "a\\u0000b"}', {422}),
        (b'{"nobody": 1}', {422}),
        (b'{"overlap_hours": 99999999999999999999, "name": 1}', {422}),
    ],
)
def test_a_body_that_cannot_be_used_changes_nothing(
    tenant: Tenant, method: str, path: str, content: bytes, statuses: set[int]
) -> None:
    answer = tenant.request(method, path, content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code in statuses, answer.headers["content-type"]) == (True, "application/problem+json")
    assert tenant.get("/audit-log").json()["data"] == []


@pytest.mark.parametrize("key_id", ["x", "a" * 5000, "%00", "%F0%9F%94%91", "..%2F..", "'; drop table api_key; --"])
@pytest.mark.parametrize("action", ["rotate", "revoke"])
def test_an_id_that_is_none_is_not_found(tenant: Tenant, key_id: str, action: str) -> None:
    call: Any = ("POST", f"/api-keys/{key_id}/rotate") if action == "rotate" else ("DELETE", f"/api-keys/{key_id}")
    answer = tenant.request(*call)
    assert answer.status_code in (400, 404, 405, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/audit-log", "/audit-log/verify", "/audit-log/decryptions", "/usage"])
def test_the_reading_routes_take_no_unknown_parameter(tenant: Tenant, path: str) -> None:
    assert tenant.get(f"{path}?nobody=1").status_code == 422
    assert tenant.get(f"{path}?nobody=%00").status_code == 400
