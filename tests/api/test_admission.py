"""Before a key is looked up: little work, and failing addresses must wait."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.types import Scope

from api.admission import FailureBuckets
from api.json_bounds import MAX_DEPTH, MAX_NODES, fault_of_size
from api.problems import Problem
from meetbot.domain import json_objects
from meetbot.tenants.api_keys import KeyMode, new_api_key
from tests.api.conftest import Front, Tenant

HEAVY = b"[" + b",".join([b"{}"] * 85_000) + b"]"


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the bodies that were parsed."""
    sizes: list[int] = []
    original = json_objects.parse_json

    def counted(text: str, **arguments: Any) -> Any:
        sizes.append(len(text))
        return original(text, **arguments)

    monkeypatch.setattr("api.middleware.parse_json", counted)
    return sizes


@pytest.mark.parametrize("authorization", [None, "Bearer", "Bearer nonsense", "Basic bWU6bWU=", "Bearer mb_live_x_y"])
@pytest.mark.parametrize("path", ["/v1/calendar/connect/google", "/api/v1/webhook-endpoints", "/v1/nothing"])
def test_a_body_without_a_possible_key_is_not_parsed(
    front: Front, parsed: list[int], path: str, authorization: str | None
) -> None:
    headers = {"Content-Type": "application/json"} | ({"Authorization": authorization} if authorization else {})
    answer = front.client.post(path, content=HEAVY, headers=headers)
    assert (answer.status_code, answer.json()["code"], parsed) == (401, "unauthorized", [])


def test_a_report_without_a_possible_signature_is_not_parsed(front: Front, parsed: list[int]) -> None:
    headers = {"Content-Type": "application/json", "x-meetbot-signature": "sha256=no"}
    answer = front.client.post("/v1/backends/meetbot/events", content=HEAVY, headers=headers)
    assert (answer.status_code, answer.json()["code"], parsed) == (401, "invalid_signature", [])


def test_a_body_of_too_many_values_is_refused_unparsed(front: Front, parsed: list[int]) -> None:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {new_api_key(KeyMode.LIVE).text}"}
    answer = front.client.post("/v1/calendar/connect/google", content=HEAVY, headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["code"], parsed) == (422, "too_many_values", [])


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "too_deep"),
        (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), "too_deep"),
        (b"[" * (MAX_DEPTH + 1), "malformed_json"),
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, None),
        (b"[" + b"[]," * (MAX_DEPTH * 2) + b"1]", None),
        (b"[" + b"1," * MAX_NODES + b"1]", "too_many_values"),
        (b'["' + b",[{" * MAX_NODES + b'"]', None),
        (rb'["\"' + b",[{" * MAX_NODES + b'"]', None),
        (b'["' + b"," * (MAX_NODES + 1), "too_many_values"),
    ],
)
def test_nodes_and_depth_are_counted_outside_of_text(body: bytes, fault: str | None) -> None:
    assert fault_of_size(body) == fault


def test_an_address_that_keeps_failing_is_told_to_wait(front: Front, parsed: list[int]) -> None:
    front.with_settings(rate_limit_per_minute=3)
    browser = front.browser()
    browser.headers["Authorization"] = "Bearer nonsense"
    answers = [browser.get("/v1/calendar/users") for _ in range(3)]
    refused = browser.get("/v1/calendar/users")
    assert [answer.status_code for answer in answers] == [401, 401, 401]
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_failures")
    assert int(refused.headers["retry-after"]) >= 1


def test_a_key_that_was_good_is_let_through_a_failing_address(front: Front, tenant: Tenant) -> None:
    front.with_settings(rate_limit_per_minute=50)
    assert tenant.get("/calendar/users").status_code == 200
    for _ in range(51):
        front.client.get("/v1/calendar/users")
    assert front.client.get("/v1/calendar/users").status_code == 429
    assert tenant.get("/calendar/users").status_code == 200


def test_failures_are_forgiven_with_time() -> None:
    now = [0.0]
    buckets = FailureBuckets(clock=lambda: now[0])
    scope = request_from("192.0.2.1")
    for _ in range(60):
        buckets.note(scope, 401, per_minute=60)
    with pytest.raises(Problem):
        buckets.refuse_exhausted(scope, per_minute=60)
    buckets.refuse_exhausted(request_from("192.0.2.2"), per_minute=60)
    now[0] = 1.5
    buckets.refuse_exhausted(scope, per_minute=60)


def test_addresses_of_one_ipv6_network_share_a_bucket() -> None:
    buckets = FailureBuckets(clock=lambda: 0.0)
    buckets.note(request_from("2001:db8::1"), 401, per_minute=1)
    with pytest.raises(Problem):
        buckets.refuse_exhausted(request_from("2001:db8::2"), per_minute=1)


def test_many_addresses_take_bounded_memory() -> None:
    buckets = FailureBuckets(clock=lambda: 0.0)
    for number in range(12_000):
        buckets.note(request_from(f"10.{number >> 8}.{number & 255}.1"), 401, per_minute=1)
    assert len(buckets._buckets) == 10_000


def request_from(address: str) -> Scope:
    return {"type": "http", "path": "/v1/bots", "headers": [], "client": (address, 1), "state": {}}
