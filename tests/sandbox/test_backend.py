from __future__ import annotations

import hashlib
import hmac
import json
import queue
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.sandbox.driver import API_KEY, WEBHOOK_SECRET, Driver
from tests.serving import serving

ALL_STATES = ["queued", "joining", "in_call", "recording", "finalizing", "completed"]


@dataclass
class Receiver:
    """Receives webhooks. ``answers`` are the statuses it gives first; then 204."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    received: queue.Queue[tuple[dict[str, str], bytes]] = field(default_factory=queue.Queue)

    async def take(self, request: Request) -> Response:
        self.received.put((dict(request.headers), await request.body()))
        return Response(status_code=self.answers.pop(0) if self.answers else 204)

    def next(self) -> tuple[dict[str, str], bytes]:
        return self.received.get(timeout=10)

    def envelopes(self, count: int) -> list[dict[str, Any]]:
        return [json.loads(self.next()[1]) for _ in range(count)]


@pytest.fixture(scope="module")
def _serving() -> Iterator[Receiver]:
    receiver = Receiver()
    app = Starlette(routes=[Route("/hook", receiver.take, methods=["POST"])])
    with serving(app) as url:
        receiver.url = f"{url}/hook"
        yield receiver


@pytest.fixture
def receiver(_serving: Receiver) -> Receiver:
    _serving.answers.clear()
    while not _serving.received.empty():
        _serving.received.get_nowait()
    return _serving


def _hooks(receiver: Receiver) -> dict[str, str]:
    return {"onStatusChange": receiver.url, "onFinalize": receiver.url}


def _past(sandbox: Driver, seconds: float) -> None:
    sandbox.control("POST", "/clock", {"advance_seconds": seconds})


def test_a_wrong_key_is_refused(sandbox: Driver) -> None:
    assert sandbox.job(key="wrong").status_code == 401
    assert sandbox.http.get(f"{sandbox.base}/backend/api/v1/jobs/job_1").status_code == 401


def test_the_same_external_id_is_the_same_job(sandbox: Driver) -> None:
    first = sandbox.job("bot_a.1", displayName="First")
    second = sandbox.job("bot_a.1", displayName="Second", joinAt="2027-01-01T00:00:00Z")
    other = sandbox.job("bot_a.2")
    assert [answer.status_code for answer in (first, second, other)] == [201, 200, 201]
    assert second.json() == first.json()
    assert len(sandbox.control("GET", "/backend/jobs")) == 2


def test_a_job_answers_what_it_was_given(sandbox: Driver) -> None:
    url = "https://zoom.us/j/1?pwd=a%2Fb"
    job = sandbox.job("bot_a.1", meetingUrl=url, displayName="Scribe", metadata={"k": "v"}).json()
    assert (job["externalId"], job["meetingUrl"], job["displayName"], job["metadata"], job["status"]) == (
        "bot_a.1",
        url,
        "Scribe",
        {"k": "v"},
        "queued",
    )


@pytest.mark.parametrize(
    "body", [{"meetingUrl": "ftp://x"}, {"joinAt": "2026-01-05T09:00:00"}, {"surprise": 1}, {"webhooks": {"onX": "y"}}]
)
def test_a_wrong_request_is_refused(sandbox: Driver, body: dict[str, Any]) -> None:
    assert sandbox.job(**body).status_code == 422


def test_a_job_waits_for_its_time_and_then_runs_to_its_end(sandbox: Driver) -> None:
    job_id = sandbox.job(joinAt="2026-01-05T08:00:10Z").json()["id"]
    seen = [sandbox.job_status(job_id)["status"]]
    for seconds in (10, 3, 3, 12, 3):
        _past(sandbox, seconds)
        seen.append(sandbox.job_status(job_id)["status"])
    assert seen == ALL_STATES
    assert sandbox.job_status(job_id)["recordedSeconds"] == 12


def test_a_join_time_in_the_past_means_now(sandbox: Driver) -> None:
    assert sandbox.job(joinAt="2026-01-01T00:00:00Z").json()["status"] == "joining"


def test_the_pace_can_be_changed(sandbox: Driver) -> None:
    sandbox.control("POST", "/backend/pace", {"joining": 0, "in_call": 0, "recording": 0, "finalizing": 0})
    assert sandbox.job(joinAt="2026-01-01T00:00:00Z").json()["status"] == "completed"


def test_a_job_that_has_not_joined_is_cancelled_and_stays_so(sandbox: Driver) -> None:
    job_id = sandbox.job().json()["id"]
    url, headers = f"{sandbox.base}/backend/api/v1/jobs/{job_id}", {"Authorization": f"Bearer {API_KEY}"}
    first, second = sandbox.http.delete(url, headers=headers), sandbox.http.delete(url, headers=headers)
    _past(sandbox, 7200)
    assert (first.json()["status"], second.json()["status"]) == ("cancelled", "cancelled")
    assert sandbox.job_status(job_id)["status"] == "cancelled"


def test_a_cancelled_bot_in_the_meeting_leaves_and_keeps_its_recording(sandbox: Driver) -> None:
    job_id = sandbox.job(joinAt="2026-01-05T08:00:00Z").json()["id"]
    _past(sandbox, 11)
    url, headers = f"{sandbox.base}/backend/api/v1/jobs/{job_id}", {"Authorization": f"Bearer {API_KEY}"}
    assert sandbox.http.delete(url, headers=headers).json()["status"] == "finalizing"
    _past(sandbox, 3)
    job = sandbox.job_status(job_id)
    assert (job["status"], job["recordedSeconds"]) == ("completed", 5)


def test_an_unknown_job_is_not_found(sandbox: Driver) -> None:
    headers = {"Authorization": f"Bearer {API_KEY}"}
    assert sandbox.http.get(f"{sandbox.base}/backend/api/v1/jobs/job_0", headers=headers).status_code == 404
    assert sandbox.http.delete(f"{sandbox.base}/backend/api/v1/jobs/job_0", headers=headers).status_code == 404


def test_every_state_is_reported_in_order_then_the_end(sandbox: Driver, receiver: Receiver) -> None:
    sandbox.job("bot_a.1", joinAt="2026-01-05T08:00:00Z", webhooks=_hooks(receiver), metadata={"k": "v"})
    _past(sandbox, 60)
    reports = receiver.envelopes(7)
    assert [each["data"]["status"] for each in reports] == [*ALL_STATES, "completed"]
    assert [each["event"] for each in reports] == ["job.status_changed"] * 6 + ["job.finalized"]
    assert {each["data"]["externalId"] for each in reports} == {"bot_a.1"}
    assert reports[-1]["data"]["recordedSeconds"] == 12
    assert reports[-1]["data"]["metadata"] == {"k": "v"}
    assert reports[3]["emittedAt"] == "2026-01-05T08:00:06.000Z"


def test_a_failure_is_reported_with_its_code(sandbox: Driver, receiver: Receiver) -> None:
    job_id = sandbox.job(webhooks={"onFinalize": receiver.url}).json()["id"]
    sandbox.control("POST", f"/backend/jobs/{job_id}/fail", {"failure_code": "lobby_timeout"})
    (reports,) = receiver.envelopes(1)
    assert (reports["event"], reports["data"]["status"]) == ("job.failed", "failed")
    assert reports["data"]["failure_code"] == "lobby_timeout"
    assert sandbox.job_status(job_id)["failure_code"] == "lobby_timeout"


def test_a_job_can_be_advanced_by_hand(sandbox: Driver) -> None:
    job_id = sandbox.job().json()["id"]
    reached = [sandbox.control("POST", f"/backend/jobs/{job_id}/advance")["status"] for _ in range(6)]
    assert reached == [*ALL_STATES[1:], "completed"]


def test_reports_are_signed_over_the_raw_body(sandbox: Driver, receiver: Receiver) -> None:
    sandbox.job(webhooks={"onStatusChange": receiver.url}, displayName="Schreiber für Köln")
    headers, body = receiver.next()
    expected = hmac.new(WEBHOOK_SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert headers["x-meetbot-signature"] == f"sha256={expected}"
    assert headers["x-meetbot-webhook-version"] == "2"
    envelope = json.loads(body)
    assert set(envelope) == {"deliveryId", "event", "emittedAt", "attempt", "version", "data"}
    assert (envelope["version"], envelope["attempt"]) == (2, 1)


def test_a_refused_report_is_sent_again_under_the_same_id(sandbox: Driver, receiver: Receiver) -> None:
    receiver.answers = [500, 302]
    sandbox.job(webhooks={"onStatusChange": receiver.url})
    reports = receiver.envelopes(3)
    sandbox.control("POST", "/backend/settle")
    (delivery,) = sandbox.control("GET", "/backend/deliveries")
    assert [each["attempt"] for each in reports] == [1, 2, 3]
    assert len({each["deliveryId"] for each in reports}) == 1
    assert delivery["state"] == "delivered"
    assert [attempt["status"] for attempt in delivery["attempts"]] == [500, 302, 204]


def test_settle_waits_until_what_is_due_was_sent(sandbox: Driver, receiver: Receiver) -> None:
    sandbox.job(joinAt="2026-01-05T08:00:00Z", webhooks=_hooks(receiver))
    _past(sandbox, 60)
    sandbox.control("POST", "/backend/settle")
    assert receiver.received.qsize() == 7
