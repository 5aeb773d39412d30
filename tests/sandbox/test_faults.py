from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.sandbox.driver import Driver

ADA = "ada@acme.test"
EVENTS = "/calendars/primary/events"


@pytest.fixture
def token(sandbox: Driver) -> str:
    return str(sandbox.connect("google", ADA)["access_token"])


def _fault(sandbox: Driver, action: dict[str, Any], **rule: Any) -> None:
    rule.setdefault("match", {"path": "/google/calendar/"})
    sandbox.control("POST", "/faults", {"action": action, **rule})


def test_a_fault_acts_as_often_as_asked(sandbox: Driver, token: str) -> None:
    _fault(sandbox, {"status": 503}, times=2)
    assert [sandbox.google(token, EVENTS).status_code for _ in range(3)] == [503, 503, 200]


def test_a_fault_can_wait_for_a_later_request(sandbox: Driver, token: str) -> None:
    _fault(sandbox, {"status": 500}, skip=1, times=1)
    assert [sandbox.google(token, EVENTS).status_code for _ in range(3)] == [200, 500, 200]


def test_a_reason_comes_in_the_providers_own_shape(sandbox: Driver, token: str) -> None:
    _fault(sandbox, {"status": 403, "reason": "rateLimitExceeded"}, times=1)
    _fault(sandbox, {"status": 429, "reason": "ApplicationThrottled", "headers": {"Retry-After": "7"}},
           match={"path": "/microsoft/v1.0"})  # fmt: skip
    _fault(sandbox, {"status": 400, "reason": "invalid_grant"}, match={"path": "/google/token"})
    google = sandbox.google(token, EVENTS)
    graph = sandbox.graph("any", "/me/calendars")
    login = sandbox.refresh("google", "any")
    assert google.json()["error"]["errors"][0] == {
        "domain": "usageLimits",
        "reason": "rateLimitExceeded",
        "message": "Injected: rateLimitExceeded",
    }
    assert (graph.json()["error"]["code"], graph.headers["retry-after"]) == ("ApplicationThrottled", "7")
    assert login.json()["error"] == "invalid_grant"


def test_a_fault_can_meet_one_account_only(sandbox: Driver, token: str) -> None:
    sandbox.account("carl@customer.test")
    carls = sandbox.connect("google", "carl@customer.test")["access_token"]
    _fault(sandbox, {"status": 500}, match={"account": "carl@customer.test"})
    assert (sandbox.google(token, EVENTS).status_code, sandbox.google(carls, EVENTS).status_code) == (200, 500)


def test_a_fault_can_meet_one_page_only(sandbox: Driver, token: str) -> None:
    sandbox.event(ADA)
    sandbox.event(ADA)
    _fault(sandbox, {"status": 500}, match={"query_regex": "pageToken="})
    first = sandbox.google(token, EVENTS, maxResults=1)
    second = sandbox.google(token, EVENTS, maxResults=1, pageToken=first.json()["nextPageToken"])
    assert (first.status_code, second.status_code) == (200, 500)


def test_an_empty_page_still_has_a_next_one(sandbox: Driver, token: str) -> None:
    sandbox.event(ADA)
    _fault(sandbox, {"empty_page": True}, times=1)
    empty = sandbox.google_events(token)
    full = sandbox.google_events(token, pageToken=empty["nextPageToken"])
    assert (empty["items"], len(full["items"])) == ([], 1)
    assert "nextSyncToken" in full


def test_a_fault_can_answer_with_html_instead_of_json(sandbox: Driver, token: str) -> None:
    _fault(sandbox, {"status": 502, "html": "<h1>Bad Gateway</h1>"})
    answer = sandbox.google(token, EVENTS)
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text == "<h1>Bad Gateway</h1>"


def test_a_fault_can_drop_the_connection(sandbox: Driver, token: str) -> None:
    _fault(sandbox, {"drop": True}, times=1)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        sandbox.google(token, EVENTS)
    assert sandbox.google(token, EVENTS).status_code == 200


def test_a_fault_can_truncate_the_answer(sandbox: Driver, token: str) -> None:
    _fault(sandbox, {"truncate": True}, times=1)
    with pytest.raises(httpx.RemoteProtocolError, match="peer closed connection"):
        sandbox.google(token, EVENTS)


def test_a_fault_can_delay_the_answer(sandbox: Driver, token: str) -> None:
    _fault(sandbox, {"delay_ms": 2000}, times=1)
    with pytest.raises(httpx.ReadTimeout):
        sandbox.http.get(f"{sandbox.base}/google/calendar/v3{EVENTS}", timeout=0.1)


@pytest.mark.parametrize("action", [{"drop": True}, {"status": 500}])
def test_an_answer_lost_after_the_work_leaves_the_job_in_place(sandbox: Driver, action: dict[str, Any]) -> None:
    _fault(sandbox, action, match={"method": "post", "path": "/backend/"}, when="after", times=1)
    try:
        assert sandbox.job("bot_a.1").status_code == 500
    except httpx.TransportError:
        assert action == {"drop": True}
    assert len(sandbox.control("GET", "/backend/jobs")) == 1
    assert sandbox.job("bot_a.1").status_code == 200


def test_an_answer_refused_before_the_work_leaves_nothing(sandbox: Driver) -> None:
    _fault(sandbox, {"status": 500}, match={"path": "/backend/"}, times=1)
    assert sandbox.job("bot_a.1").status_code == 500
    assert sandbox.control("GET", "/backend/jobs") == []


def test_faults_are_listed_with_their_hits_and_cleared(sandbox: Driver, token: str) -> None:
    _fault(sandbox, {"status": 500})
    sandbox.google(token, EVENTS)
    (listed,) = sandbox.control("GET", "/faults")
    sandbox.control("DELETE", "/faults")
    assert (listed["hits"], sandbox.google(token, EVENTS).status_code) == (1, 200)


def test_a_wrong_expression_is_refused(sandbox: Driver) -> None:
    rule = {"match": {"path_regex": "("}, "action": {"status": 500}}
    assert sandbox.http.post(f"{sandbox.base}/control/faults", json=rule).status_code == 422


def test_requests_are_remembered_without_tokens(sandbox: Driver, token: str) -> None:
    sandbox.control("DELETE", "/requests")
    sandbox.google(token, EVENTS, timeMin="2026-01-05T00:00:00Z", access_token=token)
    sandbox.google("ya29.unknown", EVENTS)
    known, unknown = sandbox.control("GET", "/requests", path="/google/")
    assert (known["account"], known["status"], unknown["account"], unknown["status"]) == (ADA, 200, None, 401)
    assert known["query"] == {"timeMin": "2026-01-05T00:00:00Z", "access_token": "…"}
    assert token not in sandbox.http.get(f"{sandbox.base}/control/requests").text
    path = f"/google/calendar/v3{EVENTS}"
    assert sandbox.control("GET", "/requests/counts") == {f"GET {path} 200": 1, f"GET {path} 401": 1}


def test_a_body_beyond_the_limit_is_refused(sandbox: Driver) -> None:
    answer = sandbox.job(metadata={"k": "x" * 300_000})
    assert answer.status_code == 413
