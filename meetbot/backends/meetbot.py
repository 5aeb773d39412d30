"""The meetbot backend: jobs at ``/api/v1/jobs``, with ``externalId`` as idempotency key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
import orjson

from meetbot.backends.base import BackendBot, BotRequest, Idempotency
from meetbot.domain.bot_state import BotState
from meetbot.domain.retry_after import retry_after
from meetbot.errors import BackendRefused, BackendUnavailable

_TIMEOUT = httpx.Timeout(10.0, connect=3.0)
_MAX_ANSWER_BYTES = 1 << 20
_MAX_RETRY_AFTER = timedelta(minutes=10)
# "Not now" before anything was done: RFC 9110 15.6.4, RFC 6585 4, RFC 8470 5.2.
_NOT_ACCEPTED = frozenset({425, 429, 503})
_RETRIED_CLIENT_ERRORS = frozenset({408, 409, 425, 429})
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

    ``report_url`` is our address at which the backend reports a bot's progress.
    """

    name = "meetbot"
    idempotency = Idempotency.NATIVE

    def __init__(self, *, base_url: str, api_key: str, report_url: str, client: httpx.Client) -> None:
        self._jobs_url = f"{base_url.rstrip('/')}/api/v1/jobs"
        self._headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
        self._report_url = report_url
        self._client = client

    def create(self, request: BotRequest) -> BackendBot:
        """Make a job; its API answers the existing one for a known ``externalId``."""
        body = {
            "externalId": request.external_id,
            "meetingUrl": request.meeting_url,
            "joinAt": request.join_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "displayName": request.display_name,
            "webhooks": {"onStatusChange": self._report_url, "onFinalize": self._report_url},
            "metadata": dict(request.metadata),
        }
        return job_from(self._request("POST", self._jobs_url, body))

    def look_up(self, request: BotRequest) -> BackendBot | None:
        """Return the job of an earlier `create`.

        The API has no search by ``externalId``, but creating again answers the job if there is one. If there was none, this
        makes one that joins only in an hour, for the caller to cancel.
        """
        return self.create(replace(request, join_at=datetime.now(UTC) + _LOOK_UP_DELAY))

    def cancel(self, backend_bot_id: str) -> None:
        """Cancel the job, or make its bot leave. One that is unknown or over is no error."""
        self._request("DELETE", self._job_url(backend_bot_id), None, absent_is_done=True)

    def progress(self, backend_bot_id: str) -> BackendBot:
        """Return the job as it is now."""
        return job_from(self._request("GET", self._job_url(backend_bot_id), None))

    def _job_url(self, backend_bot_id: str) -> str:
        return f"{self._jobs_url}/{quote(backend_bot_id, safe='')}"

    def _request(
        self, method: str, url: str, body: Mapping[str, Any] | None, *, absent_is_done: bool = False
    ) -> Mapping[str, Any]:
        content = orjson.dumps(body) if body is not None else None
        try:
            answer = self._client.request(
                method, url, content=content, headers=self._headers, timeout=_TIMEOUT, follow_redirects=False
            )
        except httpx.HTTPError as error:
            # Without a connection nothing was sent; after that, the answer may be what was lost.
            unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
            raise BackendUnavailable(
                "backend_unreachable", f"no answer ({type(error).__name__})", nothing_done=unsent
            ) from None
        if answer.status_code in (404, 410) and absent_is_done:
            return {}
        _raise_for_status(answer)
        return _document(answer) if method != "DELETE" else {}


def job_from(document: Mapping[str, Any]) -> BackendBot:
    """Read a job of meetbot's API.

    Raises `BackendUnavailable` if it has no id or an unknown status.
    """
    job_id, status = document.get("id"), document.get("status")
    if not isinstance(job_id, str) or not job_id or not isinstance(status, str) or status not in _STATES:
        raise BackendUnavailable("backend_nonsense", "the answer is no job")
    failure = document.get("failure_code", document.get("failureCode"))
    seconds = document.get("recorded_seconds", document.get("recordedSeconds"))
    return BackendBot(
        id=job_id,
        state=_STATES[status],
        failure_code=failure if isinstance(failure, str) else None,
        recorded_seconds=int(seconds) if isinstance(seconds, int | float) and 0 <= seconds < 1 << 31 else None,
        document=document,
    )


def _raise_for_status(answer: httpx.Response) -> None:
    status = answer.status_code
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


def _document(answer: httpx.Response) -> Mapping[str, Any]:
    if len(answer.content) > _MAX_ANSWER_BYTES:
        raise BackendUnavailable("backend_nonsense", "the answer is too large")
    try:
        parsed = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        raise BackendUnavailable("backend_nonsense", "the answer is not JSON") from None
    if not isinstance(parsed, dict):
        raise BackendUnavailable("backend_nonsense", "the answer is no object")
    job = parsed.get("job", parsed.get("data", parsed)) if "id" not in parsed else parsed
    return job if isinstance(job, dict) else parsed
