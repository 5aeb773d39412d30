"""hvac's way out: a `requests` adapter over the bounded client.

hvac knows the service's verbs; how long an answer takes and how much of it is read is decided here.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping

import httpx
import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from meetbot.outbound.deadline import Deadline
from meetbot.outbound.exchange import Answer, exchange
from meetbot.outbound.failures import OutboundFailed
from meetbot.outbound.json_answer import bounded_object
from meetbot.outbound.transport import build_http_client

_ANSWER_LIMIT_BYTES = 256 * 1024
_CONNECTIONS = 64
_RETRIES = 1
_RETRIED_STATUSES = frozenset({500, 502, 503, 504})
_FIRST_PAUSE_SECONDS = 0.1


def bounded_session() -> requests.Session:
    """Return a session that goes out by the bounded client only and reads no environment."""
    session = requests.Session()
    session.trust_env = False
    adapter = OutboundAdapter()
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


class OutboundAdapter(BaseAdapter):
    """Send a request, once more on faults and 5xx.

    Every call we make may safely be repeated. Raises `OutboundFailed`, for a redirect too: it is no answer
    of this API, and following it would send the token along.
    """

    def __init__(self, pause: Callable[[float], None] = time.sleep) -> None:
        super().__init__()
        self._http = build_http_client(connections=_CONNECTIONS, accept_gzip=False)
        self._pause = pause

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float | None, float | None] | None = None,
        verify: bool | str = True,
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Return the whole answer.

        ``timeout`` is hvac's pair of seconds; their sum bounds each attempt.
        """
        seconds = _seconds(timeout)
        for attempt in range(_RETRIES):
            try:
                answer = self._attempt(request, seconds)
                if answer.status not in _RETRIED_STATUSES:
                    return _response(request, answer)
            except OutboundFailed as error:
                if error.code in ("answer_too_large", "protocol_error", "tls_failed"):
                    raise
            self._pause(_FIRST_PAUSE_SECONDS * (attempt + random.random()))  # noqa: S311 - jitter
        return _response(request, self._attempt(request, seconds))

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def _attempt(self, request: requests.PreparedRequest, seconds: float) -> Answer:
        sent = self._http.build_request(
            request.method or "GET",
            request.url or "",
            headers=[
                (name, value)
                for name, value in request.headers.items()
                if name.lower() not in _OWN_HEADERS and isinstance(value, str)
            ],
            content=request.body if isinstance(request.body, bytes | str) else None,
        )
        return exchange(self._http, sent, deadline=Deadline(seconds), limit=_ANSWER_LIMIT_BYTES)


_OWN_HEADERS = frozenset({"accept-encoding", "connection", "content-length", "user-agent"})


def _seconds(timeout: object) -> float:
    parts = timeout if isinstance(timeout, tuple) else (timeout,)
    return sum(float(part) for part in parts if isinstance(part, int | float)) or 10.0


def _response(request: requests.PreparedRequest, answer: Answer) -> requests.Response:
    if 300 <= answer.status < 400:
        raise OutboundFailed("protocol_error", "the answer is a redirect")
    is_object = bounded_object(answer.body) is not None
    if answer.status == httpx.codes.OK and not is_object:
        raise OutboundFailed("protocol_error", "the answer is no JSON object of bounded depth")
    response = requests.Response()
    response.status_code = answer.status
    response.headers = CaseInsensitiveDict(answer.headers)
    response.url = request.url or ""
    response.request = request
    response._content = answer.body if is_object else b""
    response.encoding = "utf-8"
    return response
