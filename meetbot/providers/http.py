"""HTTP requests to the providers, bounded in time and size.

No URL, token or body gets into an error: it holds the provider, the kind of failure and the status.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import urlencode

import httpx

from meetbot.domain.event import Provider
from meetbot.domain.retry_after import retry_after
from meetbot.errors import RetryLater
from meetbot.providers.wire_json import parse_object

ANSWER_LIMIT_BYTES = 32 * 1024 * 1024

_CONNECT_SECONDS = 3.0
_READ_SECONDS = 15.0
_WRITE_SECONDS = 10.0
_POOL_SECONDS = 10.0
_LONGEST_WAIT = timedelta(days=1)


class AnswerTooLarge(RetryLater):
    """The answer was longer than the limit and was not read to its end. Ask for less at a time."""


class Deadline:
    """A point in time at which waiting ends. ``clock`` is a monotonic clock in seconds."""

    __slots__ = ("_clock", "_end")

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + seconds

    def remaining(self) -> float:
        """Return the seconds left, never below zero."""
        return max(0.0, self._end - self._clock())


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer."""

    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def ok(self) -> bool:
        """Return whether the status is one of success."""
        return 200 <= self.status < 300


class _PhaseTimeouts(dict[str, float | None]):
    """The table of timeouts that httpx's transport reads at the start of each phase.

    Each phase gets its own limit, or what is left until the deadline if that is less.
    """

    def __init__(self, deadline: Deadline) -> None:
        super().__init__(connect=_CONNECT_SECONDS, read=_READ_SECONDS, write=_WRITE_SECONDS, pool=_POOL_SECONDS)
        self._deadline = deadline

    def get(self, key: str, default: Any = None) -> Any:
        limit = super().get(key, default)
        # Never zero: that makes a socket non-blocking, which fails with another error than a timeout.
        return None if limit is None else max(0.001, min(limit, self._deadline.remaining()))


def bearer(access_token: str) -> dict[str, str]:
    """Return the header that carries an access token."""
    return {"Authorization": f"Bearer {access_token}"}


def build_http_client() -> httpx.Client:
    """Build the one client for all provider calls of a process; safe to use from many threads.

    It keeps no cookies: one set during one user's request must not be sent with another user's.
    """
    return httpx.Client(
        trust_env=False,
        follow_redirects=False,
        timeout=httpx.Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS, write=_WRITE_SECONDS, pool=_POOL_SECONDS),
        limits=httpx.Limits(max_connections=200, max_keepalive_connections=50, keepalive_expiry=30.0),
        headers={"User-Agent": "meetbot-calendar (gzip)", "Accept-Encoding": "gzip"},
        cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
    )


def send(
    http: httpx.Client,
    method: str,
    url: str,
    *,
    provider: Provider,
    deadline: Deadline,
    headers: Mapping[str, str] | None = None,
    params: list[tuple[str, str]] | None = None,
    form: Mapping[str, str] | None = None,
    limit: int = ANSWER_LIMIT_BYTES,
) -> Answer:
    """Send one request and return the whole answer, whatever its status.

    Raises `RetryLater` if there is no such answer before the deadline, and `AnswerTooLarge` over `limit` bytes.
    """
    try:
        request = http.build_request(
            method,
            # As an object because httpx parses an address that is given as text twice.
            httpx.URL(f"{url}?{urlencode(params)}" if params else url),
            headers={"Accept": "application/json", **(headers or {})},
            data=form,
            extensions={"timeout": _PhaseTimeouts(deadline)},
        )
        answer = http.send(request, stream=True, follow_redirects=False)
        try:
            return Answer(answer.status_code, answer.headers, _read(answer, provider, deadline, limit))
        finally:
            answer.close()
    except httpx.TimeoutException:
        failure = _timed_out(provider)
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, UnicodeError) as error:
        failure = RetryLater("provider_unreachable", f"{provider}: {type(error).__name__}")
    # Raised outside the handlers: the original error, which would be its context, holds the request and the token.
    raise failure


def _read(answer: httpx.Response, provider: Provider, deadline: Deadline, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    for chunk in answer.iter_bytes():
        size += len(chunk)
        if size > limit:
            raise AnswerTooLarge("answer_too_large", f"{provider}: more than {limit} bytes")
        if deadline.remaining() <= 0:
            raise _timed_out(provider)
        chunks.append(chunk)
    return b"".join(chunks)


def _timed_out(provider: Provider) -> RetryLater:
    return RetryLater("provider_timeout", f"{provider}: no complete answer in time")


def json_object(answer: Answer, provider: Provider) -> dict[str, Any]:
    """Return the answer's JSON object. Raises `RetryLater` for anything else."""
    parsed = parse_object(answer.body)
    if parsed is None:
        raise RetryLater("malformed_answer", f"{provider}: status {answer.status} without a JSON object")
    return parsed


def identified_object(answer: Answer, provider: Provider) -> dict[str, Any]:
    """Return the answer's JSON object, which has an ``id``. Raises `RetryLater` for any other."""
    parsed = json_object(answer, provider)
    if not isinstance(parsed.get("id"), str):
        raise RetryLater("malformed_answer", f"{provider}: status {answer.status} without an id")
    return parsed


def error_object(answer: Answer) -> dict[str, Any]:
    """Return the JSON object of an error answer, or an empty one for anything else.

    Front ends of the providers send HTML or nothing.
    """
    return parse_object(answer.body) or {}


def requested_wait(answer: Answer, now: datetime) -> timedelta | None:
    """Return the wait that ``Retry-After`` asks for, at most a day; None if it states none."""
    return retry_after(answer.headers.get("Retry-After"), now=now, at_most=_LONGEST_WAIT)
