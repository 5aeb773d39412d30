"""HTTP requests to the providers, bounded in time and size.

No URL, token or body gets into an error: it holds the provider, the kind of failure and the status.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

import httpx

from meetbot.domain.event import Provider
from meetbot.domain.retry_after import retry_after
from meetbot.errors import RetryLater
from meetbot.outbound.deadline import Deadline
from meetbot.outbound.exchange import Answer, Call, exchange
from meetbot.outbound.failures import OutboundFailed
from meetbot.outbound.transport import build_http_client as outbound_client
from meetbot.providers.wire_json import parse_object

__all__ = [
    "ANSWER_LIMIT_BYTES",
    "Answer",
    "AnswerTooLarge",
    "Call",
    "Deadline",
    "bearer",
    "build_http_client",
    "error_object",
    "get_call",
    "identified_object",
    "json_object",
    "requested_wait",
    "send",
]

ANSWER_LIMIT_BYTES = 32 * 1024 * 1024

_CONNECTIONS = 200
_WANTS_JSON = {"Accept": "application/json"}
_LONGEST_WAIT = timedelta(days=1)


class AnswerTooLarge(RetryLater):
    """The answer was longer than the limit and was not read to its end. Ask for less at a time."""


def bearer(access_token: str) -> dict[str, str]:
    """Return the header that carries an access token."""
    return {"Authorization": f"Bearer {access_token}"}


def build_http_client() -> httpx.Client:
    """Build the one client for all provider calls of a process; safe to use from many threads."""
    return outbound_client(connections=_CONNECTIONS, accept_gzip=True)


def get_call(url: str, params: tuple[tuple[str, str], ...], headers: Mapping[str, str]) -> Call:
    """Return a request for JSON, for a client of the caller's.

    ``params`` are the same again and again.
    """
    return Call("GET", f"{url}?{_query(params)}", {**_WANTS_JSON, **headers})


@lru_cache(maxsize=16)
def _query(params: tuple[tuple[str, str], ...]) -> str:
    return urlencode(params)


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
    json: Mapping[str, Any] | None = None,
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
            headers={**_WANTS_JSON, **(headers or {})},
            data=form,
            json=json,
        )
        return exchange(http, request, deadline=deadline, limit=limit)
    except OutboundFailed as error:
        failure = _failure(error, provider)
    except (httpx.InvalidURL, UnicodeError) as error:
        failure = RetryLater("provider_unreachable", f"{provider}: {type(error).__name__}")
    # Raised outside the handlers: the original error, which would be its context, holds the request and the token.
    raise failure


def _failure(error: OutboundFailed, provider: Provider) -> RetryLater:
    if error.code == "answer_too_large":
        return AnswerTooLarge(error.code, f"{provider}: {error.detail}")
    code = "provider_timeout" if error.code == "timeout" else "provider_unreachable"
    return RetryLater(code, f"{provider}: {error.code}: {error.detail}")


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
