"""The meetbot backend: jobs at ``/api/v1/jobs``, with ``externalId`` as idempotency key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeGuard
from urllib.parse import quote

import httpx
import orjson

from meetbot.backends.base import BackendBot, BotRequest, Idempotency
from meetbot.domain.bot_state import BotState
from meetbot.domain.retry_after import retry_after
from meetbot.errors import BackendRefused, BackendUnavailable
from meetbot.outbound.deadline import Deadline
from meetbot.outbound.exchange import Answer, Call, exchange
from meetbot.outbound.failures import OutboundFailed
from meetbot.outbound.json_answer import bounded_object

if TYPE_CHECKING:
    # The API reads jobs by this module too, and sends nothing.
    from meetbot.outbound.lane import Lane

_CALL_SECONDS = 10.0
_MAX_ANSWER_BYTES = 1 << 20
_MAX_RETRY_AFTER = timedelta(minutes=10)
_LONGEST_TEXT = 200
# "Not now" before anything was done: RFC 9110 15.6.4, RFC 6585 4, RFC 8470 5.2.
_NOT_ACCEPTED = frozenset({425, 429, 503})
_RETRIED_CLIENT_ERRORS = frozenset({408, 409, 425, 429})
_NONSENSE = frozenset({"answer_too_large", "protocol_error"})
_STATES = {
    "queued": BotState.DISPATCHED,
    "scheduled": BotState.DISPATCHED,
    "joining": BotState.JOINING,
    "in_call": BotState.IN_CALL,
    "recording": BotState.RECORDING,
    "finalizing": BotState.FINALIZING,
    "completed": BotState.COMPLETED,
    "failed": BotState.FAILED,
    "cancelled": BotState.CANCELLED,
}
# A job that we only create to find out whether it exists must not join before we have cancelled it.
_LOOK_UP_DELAY = timedelta(hours=1)


class MeetbotBackend:
    """A client of meetbot's API for bots.

    ``report_url`` is our address at which the backend reports a bot's progress. ``client`` sends one request at a time,
    ``lane`` those that go out together.
    """

    name = "meetbot"
    idempotency = Idempotency.NATIVE

    def __init__(self, *, base_url: str, api_key: str, report_url: str, client: httpx.Client, lane: Lane) -> None:
        self._jobs_url = f"{base_url.rstrip('/')}/api/v1/jobs"
        self._headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
        self._report_url = report_url
        self._client = client
        self._lane = lane

    def create(self, request: BotRequest) -> BackendBot:
        """Make a job; its API answers the existing one for a known ``externalId``."""
        return _job(self._exchange(self._creation(request)))

    async def create_async(self, request: BotRequest) -> BackendBot:
        """Make a job as `create` does, beside many others."""
        return _job(await self._exchange_async(self._creation(request)))

    async def warm(self, connections: int) -> None:
        """Open connections for jobs that are about to be made."""
        await self._lane.warm(self._jobs_url, connections)

    def look_up(self, request: BotRequest) -> BackendBot | None:
        """Return the job of an earlier `create`.

        The API has no search by ``externalId``, but creating again answers the job if there is one. If there was none, this
        makes one that joins only in an hour, for the caller to cancel.
        """
        return self.create(replace(request, join_at=datetime.now(UTC) + _LOOK_UP_DELAY))

    def cancel(self, backend_bot_id: str) -> None:
        """Cancel the job, or make its bot leave. One that is unknown or over is no error."""
        answer = self._exchange(Call("DELETE", self._job_url(backend_bot_id), self._headers))
        if answer.status not in (404, 410):
            _raise_for_status(answer)

    def progress(self, backend_bot_id: str) -> BackendBot:
        """Return the job as it is now."""
        return _job(self._exchange(self._look(backend_bot_id)))

    async def progress_async(self, backend_bot_id: str) -> BackendBot:
        """Return the job as `progress` does, beside many others."""
        return _job(await self._exchange_async(self._look(backend_bot_id)))

    def _job_url(self, backend_bot_id: str) -> str:
        return f"{self._jobs_url}/{quote(backend_bot_id, safe='')}"

    def _look(self, backend_bot_id: str) -> Call:
        return Call("GET", self._job_url(backend_bot_id), self._headers)

    def _creation(self, request: BotRequest) -> Call:
        body = {
            "externalId": request.external_id,
            "meetingUrl": request.meeting_url,
            "joinAt": request.join_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "displayName": request.display_name,
            "webhooks": {"onStatusChange": self._report_url, "onFinalize": self._report_url},
            "metadata": dict(request.metadata),
        }
        return Call("POST", self._jobs_url, self._headers, orjson.dumps(body))

    def _exchange(self, call: Call) -> Answer:
        request = self._client.build_request(call.method, call.url, content=call.content, headers=dict(call.headers))
        try:
            return exchange(self._client, request, deadline=Deadline(_CALL_SECONDS), limit=_MAX_ANSWER_BYTES)
        except OutboundFailed as error:
            failure = _unavailable(error)
        raise failure

    async def _exchange_async(self, call: Call) -> Answer:
        try:
            return await self._lane.exchange(call, deadline=Deadline(_CALL_SECONDS), limit=_MAX_ANSWER_BYTES)
        except OutboundFailed as error:
            failure = _unavailable(error)
        raise failure


def job_from(document: Mapping[str, Any]) -> BackendBot:
    """Read a job of meetbot's API.

    Raises `BackendUnavailable` if it has no id or an unknown status.
    """
    job_id, status = document.get("id"), document.get("status")
    if not _is_short_text(job_id) or not isinstance(status, str) or status not in _STATES:
        raise BackendUnavailable("backend_nonsense", "the answer is no job")
    failure = document.get("failure_code", document.get("failureCode"))
    seconds = document.get("recorded_seconds", document.get("recordedSeconds"))
    return BackendBot(
        id=job_id,
        state=_STATES[status],
        failure_code=failure if _is_short_text(failure) else None,
        recorded_seconds=_recorded_seconds(seconds),
        document=document,
    )


def without_link(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a job without the link of its meeting."""
    return {**document, "meetingUrl": ""} if "meetingUrl" in document else document


def _is_short_text(value: object) -> TypeGuard[str]:
    """Whether the value can be stored, indexed and shown as it is."""
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_TEXT and value.isprintable()


def _recorded_seconds(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value < 1 << 31 else None


def _unavailable(error: OutboundFailed) -> BackendUnavailable:
    # Without a connection nothing was sent; after that, the answer may be what was lost.
    code = "backend_nonsense" if error.code in _NONSENSE else "backend_unreachable"
    return BackendUnavailable(code, f"no answer ({error.code})", nothing_done=error.unsent)


def _job(answer: Answer) -> BackendBot:
    _raise_for_status(answer)
    return job_from(_document(answer))


def _raise_for_status(answer: Answer) -> None:
    status = answer.status
    if status < 300:
        return
    if 400 <= status < 500 and status not in _RETRIED_CLIENT_ERRORS:
        raise BackendRefused(
            f"backend_refused_{status}",
            f"the backend answered {status}",
            next_step="check MEETBOT_BACKEND_URL and MEETBOT_BACKEND_API_KEY, then the meeting's link",
        )
    raise BackendUnavailable(
        f"backend_answered_{status}",
        f"the backend answered {status}",
        retry_after=retry_after(answer.headers.get("retry-after"), now=datetime.now(UTC), at_most=_MAX_RETRY_AFTER),
        nothing_done=status in _NOT_ACCEPTED,
    )


def _document(answer: Answer) -> Mapping[str, Any]:
    parsed = bounded_object(answer.body)
    if parsed is None:
        raise BackendUnavailable("backend_nonsense", "the answer is no JSON object of bounded depth")
    job = parsed.get("job", parsed.get("data", parsed)) if "id" not in parsed else parsed
    return job if isinstance(job, dict) else parsed
