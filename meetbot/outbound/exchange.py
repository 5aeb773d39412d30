"""One request and its whole answer, within a deadline and a size."""

from __future__ import annotations

import httpx

from meetbot.outbound.call import Answer, Call
from meetbot.outbound.deadline import Deadline, PhaseSeconds, PhaseTimeouts
from meetbot.outbound.failures import TRANSPORT_ERRORS, OutboundFailed, failure_of

__all__ = ["Answer", "Call", "exchange"]

_PHASES = PhaseSeconds()


def exchange(
    http: httpx.Client, request: httpx.Request, *, deadline: Deadline, limit: int, phases: PhaseSeconds = _PHASES
) -> Answer:
    """Send one request and return the whole answer, whatever its status. Redirects are answers.

    Raises `OutboundFailed` if there is none before the deadline, or if it is longer than ``limit`` bytes, unpacked.
    """
    request.extensions = {**request.extensions, "timeout": PhaseTimeouts(deadline, phases)}
    try:
        answer = http.send(request, stream=True, follow_redirects=False)
        try:
            return Answer(answer.status_code, answer.headers, _read(answer, deadline, limit))
        finally:
            answer.close()
    except OutboundFailed as error:
        failure = OutboundFailed(error.code, error.detail, unsent=error.unsent)
    except TRANSPORT_ERRORS as error:
        failure = failure_of(error)
    # Raised outside the handlers: the original error, which would be its context, holds the request and its token.
    raise failure


def _read(answer: httpx.Response, deadline: Deadline, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    for chunk in answer.iter_bytes():
        size += len(chunk)
        if size > limit:
            raise OutboundFailed("answer_too_large", f"more than {limit} bytes")
        if deadline.remaining() <= 0:
            raise OutboundFailed("timeout", "no complete answer in time")
        chunks.append(chunk)
    return b"".join(chunks)
