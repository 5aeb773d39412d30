"""The meetbot backend's client: what it sends, and what it makes of each answer."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from meetbot.backends.base import BackendBot, BotRequest
from meetbot.backends.meetbot import MeetbotBackend
from meetbot.domain.bot_state import BotState
from meetbot.errors import BackendRefused, BackendUnavailable
from meetbot.outbound.deadline import Deadline
from meetbot.outbound.exchange import Answer, Call
from meetbot.outbound.failures import OutboundFailed
from meetbot.outbound.lane import Lane

REQUEST = BotRequest(
    external_id="bot_a.1",
    meeting_url="https://zoom.us/j/123456789",
    join_at=datetime(2026, 1, 5, 8, 58, 30, tzinfo=UTC),
    display_name="Notetaker",
    metadata={"bot_id": "bot_a"},
)
Handler = Callable[[httpx.Request], httpx.Response]


class ScriptedLane(Lane):
    """The asynchronous way out, answered by the handler.

    What the real one does to bytes is tested in `tests/unit/outbound`.
    """

    def __init__(self, handler: Handler) -> None:
        super().__init__(connections=1, accept_gzip=False, trust=ssl.create_default_context())
        self._handler = handler

    async def exchange(self, call: Call, *, deadline: Deadline, limit: int) -> Answer:
        try:
            said = self._handler(httpx.Request(call.method, call.url, headers=dict(call.headers), content=call.content))
        except httpx.ConnectError:
            raise OutboundFailed("connection_failed", "nobody listens", unsent=True) from None
        return Answer(said.status_code, said.headers, said.content)


def backend(handler: Handler) -> MeetbotBackend:
    return MeetbotBackend(
        base_url="https://bots.example/",
        api_key="secret",
        report_url="https://calendar.example/v1/backends/meetbot/events",
        client=httpx.Client(transport=httpx.MockTransport(handler)),
        lane=ScriptedLane(handler),
    )


def create(asked: MeetbotBackend) -> BackendBot:
    return asked.create(REQUEST)


def create_async(asked: MeetbotBackend) -> BackendBot:
    return asyncio.run(asked.create_async(REQUEST))


Create = Callable[[MeetbotBackend], BackendBot]
both = pytest.mark.parametrize("creating", [create, create_async])


def answering(status: int, body: object = None, **headers: str) -> MeetbotBackend:
    return backend(lambda _: httpx.Response(status, json=body, headers=headers))


@both
def test_a_job_is_created_with_the_external_id_as_idempotency_key(creating: Create) -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(201, json={"id": "job_1", "status": "queued"})

    created = creating(backend(handler))
    assert (created.id, created.state) == ("job_1", BotState.DISPATCHED)
    (request,) = seen
    assert (request.method, str(request.url)) == ("POST", "https://bots.example/api/v1/jobs")
    assert request.headers["authorization"] == "Bearer secret"
    assert json.loads(request.content) == {
        "externalId": "bot_a.1",
        "meetingUrl": "https://zoom.us/j/123456789",
        "joinAt": "2026-01-05T08:58:30.000Z",
        "displayName": "Notetaker",
        "webhooks": {
            "onStatusChange": "https://calendar.example/v1/backends/meetbot/events",
            "onFinalize": "https://calendar.example/v1/backends/meetbot/events",
        },
        "metadata": {"bot_id": "bot_a"},
    }


@both
@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 410, 422])
def test_a_client_error_is_refused_for_good(status: int, creating: Create) -> None:
    with pytest.raises(BackendRefused) as refused:
        creating(answering(status, {"error": "no"}))
    assert refused.value.code == f"backend_refused_{status}"


@both
@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 302])
def test_what_may_pass_is_tried_again(status: int, creating: Create) -> None:
    with pytest.raises(BackendUnavailable):
        creating(answering(status, {"error": "later"}))


@both
@pytest.mark.parametrize(
    ("stated", "wait"),
    [
        ("7", 7),
        ("99999", 600),
        ("9" * 5000, 600),
        ("soon", None),
        ("-5", None),
        ("", None),
        ("Mon, 1 Jan 9999999999 00:00:00 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -0000", 600),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
    ],
)
def test_a_stated_wait_is_kept_within_bounds(stated: str, wait: int | None, creating: Create) -> None:
    with pytest.raises(BackendUnavailable) as unavailable:
        creating(answering(429, None, **{"retry-after": stated}))
    assert unavailable.value.retry_after == (None if wait is None else timedelta(seconds=wait))


@both
@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b"{}", b'{"id": 1, "status": "queued"}', b'{"id": "a", "status": "?"}']
)
def test_an_answer_that_is_no_job_is_tried_again(body: bytes, creating: Create) -> None:
    with pytest.raises(BackendUnavailable):
        creating(backend(lambda _: httpx.Response(200, content=body)))


@both
def test_no_answer_at_all_is_tried_again_and_quotes_nothing(creating: Create) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("https://zoom.us/j/123456789", request=request)

    with pytest.raises(BackendUnavailable) as unavailable:
        creating(backend(handler))
    assert "zoom" not in str(unavailable.value)


@pytest.mark.parametrize("status", [200, 202, 204, 404, 410])
def test_cancelling_a_job_that_is_gone_is_no_error(status: int) -> None:
    answering(status, {}).cancel("job_1")


def test_a_job_id_cannot_leave_its_place_in_the_address() -> None:
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.raw_path.decode())
        return httpx.Response(204)

    backend(handler).cancel("../../admin?x=1")
    assert seen == ["/api/v1/jobs/..%2F..%2Fadmin%3Fx%3D1"]


def test_looking_up_makes_no_bot_that_joins_before_it_can_be_cancelled() -> None:
    joins: list[datetime] = []

    def handler(request: httpx.Request) -> httpx.Response:
        joins.append(datetime.fromisoformat(json.loads(request.content)["joinAt"]))
        return httpx.Response(200, json={"id": "job_1", "status": "queued"})

    found = backend(handler).look_up(REQUEST)
    assert found is not None
    assert joins[0] > datetime.now(UTC) + timedelta(minutes=30)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("queued", BotState.DISPATCHED),
        ("joining", BotState.JOINING),
        ("in_call", BotState.IN_CALL),
        ("recording", BotState.RECORDING),
        ("finalizing", BotState.FINALIZING),
        ("completed", BotState.COMPLETED),
        ("failed", BotState.FAILED),
    ],
)
def test_progress_is_read_in_our_words(status: str, state: BotState) -> None:
    job = {"id": "job_1", "status": status, "failure_code": "host_denied_admission", "recordedSeconds": 12.7}
    progress = answering(200, job).progress("job_1")
    assert (progress.state, progress.failure_code, progress.recorded_seconds) == (state, "host_denied_admission", 12)
