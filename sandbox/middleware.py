"""What every request passes: size limit, same-origin check, faults, request log, saving.

Requests and answers are small, so both are read into memory. That way the state is on disk before its answer leaves, and a
fault can replace an answer after the work is done.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.faults import ActiveFault, FaultMoment, fault_response, match_fault
from sandbox.login.bearer_tokens import account_of_token
from sandbox.push.notices import queue_changes
from sandbox.request_log import LoggedRequest, loggable_query
from sandbox.running import Sandbox

_MAX_BODY, _MAX_CONTROL_BODY = 256 * 1024, 8 * 1024 * 1024
_PROVIDER_PATHS = ("/google/", "/microsoft/", "/backend/")
_CONSENT_PAGES = ("/o/oauth2/v2/auth", "/oauth2/v2.0/authorize")


@dataclass(slots=True)
class BufferedResponse:
    """An answer that is complete and not yet sent."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class SandboxMiddleware:
    """The outermost layer of the application; plain ASGI, so that it can break connections."""

    def __init__(self, app: ASGIApp, sandbox: Sandbox) -> None:
        self._app, self._sandbox = app, sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; anything but HTTP passes as it is."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = Headers(scope=scope)
        account = account_of_token(self._sandbox.state, headers.get("authorization"))
        to_provider = scope["path"].startswith(_PROVIDER_PATHS)
        fault = self._fault(scope, account) if to_provider else None
        answer = await self._answer(scope, receive, headers, fault)
        status = await _finish(fault, scope["path"], answer, receive, send)
        if to_provider:
            self._remember(scope, account, status, started, fault)

    def _fault(self, scope: Scope, account: str | None) -> ActiveFault | None:
        query = scope["query_string"].decode("latin-1")
        return match_fault(self._sandbox.faults, scope["method"], scope["path"], query, account)

    async def _answer(
        self, scope: Scope, receive: Receive, headers: Headers, fault: ActiveFault | None
    ) -> BufferedResponse | None:
        """None if a fault keeps the request from doing anything."""
        limit = _MAX_CONTROL_BODY if scope["path"].startswith("/control/") else _MAX_BODY
        body = await _read(receive, limit)
        if body is None:
            return _problem(413, "The body is too large.")
        if not _is_same_origin(scope, headers):
            return _problem(403, "Only this sandbox's own pages may do that from a browser.")
        if fault is not None:
            scope["sandbox.empty_page"] = fault.action.empty_page
            if fault.when is FaultMoment.BEFORE:
                await asyncio.sleep(fault.action.delay_ms / 1000)
                if fault.action.drop or fault.action.status is not None:
                    return None
        answer = await _run(self._app, scope, receive, body)
        queue_changes(self._sandbox)
        if fault is not None and fault.when is FaultMoment.AFTER:
            await asyncio.sleep(fault.action.delay_ms / 1000)
        if scope["method"] not in ("GET", "HEAD") or scope["path"].endswith(_CONSENT_PAGES):
            self._sandbox.save()
        return answer

    def _remember(
        self, scope: Scope, account: str | None, status: int, started: float, fault: ActiveFault | None
    ) -> None:
        self._sandbox.log.append(
            LoggedRequest(
                at=self._sandbox.now(),
                method=scope["method"],
                path=scope["path"],
                query=loggable_query(scope["query_string"].decode("latin-1")),
                account=account,
                status=status,
                milliseconds=round((time.perf_counter() - started) * 1000, 3),
                fault=fault.id if fault else None,
            )
        )


async def _read(receive: Receive, limit: int) -> bytes | None:
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b""
        size += len(message.get("body", b""))
        if size > limit:
            return None
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(chunks)


async def _run(app: ASGIApp, scope: Scope, receive: Receive, body: bytes) -> BufferedResponse:
    answer = BufferedResponse(500, [], b"")
    replay: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> MutableMapping[str, Any]:
        return replay.pop() if replay else await receive()

    async def keep(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.status, answer.headers = message["status"], list(message.get("headers", []))
        elif message["type"] == "http.response.body":
            answer.body += message.get("body", b"")

    await app(scope, replayed, keep)
    return answer


async def _finish(
    fault: ActiveFault | None, path: str, answer: BufferedResponse | None, receive: Receive, send: Send
) -> int:
    """Send the answer or a fault's. Return the status; 0 if the connection was dropped."""
    if fault is not None and fault.action.drop:
        await _hang_up(receive, abort=True)
        return 0
    if fault is not None and fault.action.status is not None:
        content_type, body = fault_response(fault.action, path)
        headers = {"content-type": content_type, "content-length": str(len(body)), **fault.action.headers}
        answer = BufferedResponse(fault.action.status, _raw(headers), body)
    assert answer is not None  # noqa: S101 - only a fault that answers or drops withholds one
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    if fault is not None and fault.action.truncate:
        await send({"type": "http.response.body", "body": answer.body[: len(answer.body) // 2], "more_body": True})
        await _hang_up(receive, abort=False)
    else:
        await send({"type": "http.response.body", "body": answer.body})
    return answer.status


async def _hang_up(receive: Receive, *, abort: bool) -> None:
    """End the TCP connection.

    ASGI has no means for it, but uvicorn's `receive` is a method of the object that holds the transport.
    """
    transport = getattr(getattr(receive, "__self__", None), "transport", None)
    if transport is None:
        raise ConnectionAbortedError("dropped by a fault rule")
    if abort:
        transport.abort()
    else:
        transport.close()
    await receive()


def _is_same_origin(scope: Scope, headers: Headers) -> bool:
    """A page of another site must not drive the sandbox through a visitor's browser.

    Programs send no Origin header.
    """
    origin = headers.get("origin")
    if scope["method"] in ("GET", "HEAD") or origin is None:
        return True
    return urlsplit(origin).netloc == headers.get("host")


def _problem(status: int, detail: str) -> BufferedResponse:
    body = json.dumps({"detail": detail}).encode()
    return BufferedResponse(status, _raw({"content-type": "application/json", "content-length": str(len(body))}), body)


def _raw(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers.items()]
