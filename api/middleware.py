"""What every request passes before it reaches a route, and every answer on its way out.

Bounded bodies, clean text, safe headers, one log line. Plain ASGI, because a route's own handling begins only after the body
was read.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import time
import traceback
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

import structlog
from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import metrics
from api.admission import FailureBuckets, is_api_path, refuse_without_credentials
from api.dependencies import ApiServices
from api.json_bounds import MAX_DEPTH, MAX_NODES, fault_of_size
from api.problems import Problem, internal_error, malformed_json
from api.request_log import note_answered
from meetbot.domain.json_objects import parse_json, repeated_keys
from meetbot.errors import Fault

MAX_BODY_BYTES = 256 * 1024
_BODY_SECONDS = 30.0
_LARGE_BODY_BYTES = 16 * 1024
_INT64 = range(-(2**63), 2**63)
_FORBIDDEN = re.compile("[\x00\ud800-\udfff]")
_JSON_TYPE = re.compile(r"application/(?:[\w.+-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)
_log = structlog.get_logger("api.access")


class RequestLimits:
    """Refuse what no route should see: bodies over 256 KB or 30 s, text that no database holds.

    What costs work comes after what costs none: the sender's address, a possible key, the body's size and then its content.
    """

    def __init__(self, app: ASGIApp, *, failures: FailureBuckets, per_minute: int) -> None:
        self.app = app
        self._failures = failures
        self._per_minute = per_minute

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; anything but HTTP passes as it is."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._admit(scope, receive, noted)
        finally:
            if is_api_path(scope):
                self._failures.note(scope, status, per_minute=_per_minute(scope, self._per_minute))

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            _check_url(scope)
            if is_api_path(scope):
                self._failures.refuse_exhausted(scope, per_minute=_per_minute(scope, self._per_minute))
            if _has_body(scope) and is_api_path(scope):
                refuse_without_credentials(scope)
            body = await _bounded_body(scope, receive)
            if body is None:
                return
            if body.strip():
                await _check_body(scope, body)
        except Problem as problem:
            await problem.response()(scope, receive, send)
            return
        await self.app(scope, _replay(body, receive), send)


def _per_minute(scope: Scope, configured: int) -> int:
    services: ApiServices | None = getattr(scope["app"].state, "services", None) if "app" in scope else None
    return configured if services is None else services.settings.rate_limit_per_minute


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return "transfer-encoding" in headers or headers.get("content-length", "0").strip() not in ("", "0")


def _check_url(scope: Scope) -> None:
    raw = scope.get("raw_path") or b""
    if b"\x00" in unquote_to_bytes(raw) or b"\x00" in unquote_to_bytes(scope.get("query_string", b"")):
        raise Problem(400, "malformed_url", "the URL holds the character NUL")


async def _bounded_body(scope: Scope, receive: Receive) -> bytes | None:
    """Return the whole body, None if the client went away."""
    declared = Headers(scope=scope).get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > MAX_BODY_BYTES:
        raise _too_large()
    try:
        return await asyncio.wait_for(_read(receive), _BODY_SECONDS)
    except TimeoutError:
        raise Problem(
            408, "body_too_slow", "the body did not arrive in time", headers={"Connection": "close"}
        ) from None


async def _read(receive: Receive) -> bytes | None:
    chunks: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise _too_large()
        chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks)


def _too_large() -> Problem:
    # The rest of the body is not read, so the connection cannot serve another request.
    return Problem(413, "body_too_large", "the body is over 256 KB", headers={"Connection": "close"})


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


async def _check_body(scope: Scope, body: bytes) -> None:
    if not is_api_path(scope):
        # No route there reads one, so it is not worth a look.
        return
    if not _JSON_TYPE.fullmatch(Headers(scope=scope).get("content-type", "")):
        raise Problem(415, "unsupported_media_type", "send the body as application/json")
    code = fault_of_size(body)
    if code == "malformed_json":
        raise malformed_json()
    if code is not None:
        fault = Fault("", code, _MESSAGES[code])
        raise Problem(422, "invalid_input", fault.message, faults=(fault,))
    if len(body) > _LARGE_BODY_BYTES:
        await asyncio.to_thread(_check_content, body)
    else:
        _check_content(body)


def _check_content(body: bytes) -> None:
    try:
        document = parse_json(body.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise malformed_json() from None
    faults = tuple(_faults(document))
    if faults:
        raise Problem(422, "invalid_input", f"{faults[0].path}: {faults[0].message}", faults=faults)


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _faults(document: Any) -> Iterator[Fault]:
    """Find text and numbers that no column holds.

    Without recursion: depth is the sender's choice.
    """
    waiting: list[tuple[tuple[str, ...], Any]] = [((), document)]
    while waiting:
        path, value = waiting.pop()
        if len(path) > MAX_DEPTH:
            yield Fault("", "too_deep", _MESSAGES["too_deep"])
            return
        code = _fault_of(value)
        if code is not None:
            yield Fault(".".join(path)[:200], code, _MESSAGES[code])
        if isinstance(value, dict):
            for key in repeated_keys(value):
                yield Fault(".".join((*path, key[:60]))[:200], "duplicate_key", _MESSAGES["duplicate_key"])
            if any(_FORBIDDEN.search(key) for key in value):
                yield Fault(".".join(path)[:200], "invalid_text", _MESSAGES["invalid_text"])
                continue
            waiting.extend(((*path, key[:60]), item) for key, item in value.items())
        elif isinstance(value, list):
            waiting.extend(((*path, str(index)), item) for index, item in enumerate(value))


def _fault_of(value: Any) -> str | None:
    if isinstance(value, str) and _FORBIDDEN.search(value):
        return "invalid_text"
    if isinstance(value, int) and value not in _INT64:
        return "number_out_of_range"
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return "number_out_of_range"
    return None


_MESSAGES = {
    "duplicate_key": "the key stands more than once in its object",
    "invalid_text": "text must hold neither the character NUL nor half a surrogate pair",
    "number_out_of_range": "numbers must fit into 64 bits",
    "too_deep": f"deeper than {MAX_DEPTH} levels",
    "too_many_values": f"more than {MAX_NODES} values",
}

_API_POLICY = "default-src 'none'; frame-ancestors 'none'"
_HSTS = "max-age=31536000; includeSubDomains"


class HeadersAndAccessLog:
    """Give every answer its headers, write the access log, and turn a crash into a 500.

    The log holds the route's template and neither path nor query, which hold tickets, codes and states.
    """

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self.app = app
        self.https = https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; anything but HTTP passes as it is."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(scope, send, https=self.https)
        try:
            await self.app(scope, receive, exchange.send)
        except Exception as error:
            scope["state"]["problem_code"] = "internal_error"
            _log.error("request.failed", code=type(error).__name__, frames=_frames(error), **exchange.facts())
            if exchange.status:
                raise
            await internal_error().response()(scope, receive, exchange.send)
        finally:
            exchange.finish()


class _Exchange:
    def __init__(self, scope: Scope, send: Send, *, https: bool) -> None:
        self._scope = scope
        self._send = send
        self._https = https
        self._began = time.perf_counter()
        self._request_id = secrets.token_hex(8)
        self.status = 0
        scope.setdefault("state", {})["request_id"] = self._request_id

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._add_headers(MutableHeaders(scope=message))
        await self._send(message)

    def _add_headers(self, headers: MutableHeaders) -> None:
        headers["X-Request-Id"] = self._request_id
        headers["X-Content-Type-Options"] = "nosniff"
        headers["X-Frame-Options"] = "DENY"
        headers["Referrer-Policy"] = "no-referrer"
        headers.setdefault("Content-Security-Policy", _API_POLICY)
        headers.setdefault("Cache-Control", "no-store")
        if self._https:
            headers["Strict-Transport-Security"] = _HSTS
        for name, value in self._scope["state"].get("rate_headers", {}).items():
            headers[name] = value

    def facts(self) -> dict[str, Any]:
        return {"request_id": self._request_id, "method": self._scope["method"], "route": self._route()}

    def finish(self) -> None:
        seconds = time.perf_counter() - self._began
        state = self._scope["state"]
        metrics.observe(self._scope["method"], self._route(), self.status, seconds)
        _log.info(
            "request.answered",
            **self.facts(),
            status=self.status,
            milliseconds=round(seconds * 1000, 1),
            tenant_id=state.get("tenant_id"),
            key_id=state.get("key_id"),
        )
        note_answered(self._scope, self._route(), self.status, seconds)

    def _route(self) -> str:
        return str(self._scope["state"].get("route") or getattr(self._scope.get("route"), "path", "unmatched"))


def _frames(error: BaseException) -> list[str]:
    """Return where it happened. The message is left out: it may hold the values at hand."""
    return [
        f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)[-12:]
    ]


_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


async def refuse_stray_body(request: Request) -> None:
    """Refuse a body sent to a route that changes something and declares none.

    The dependency of every route; ``{}`` is let through. Like an unknown field, such a body is refused because its sender
    expects an effect.
    """
    if request.method not in _CHANGING or request.scope["route"].body_field is not None:
        return
    if "authorization" not in request.headers:
        # The route itself says what is missing first.
        return
    # The gate has seen to its size, and that it is JSON in UTF-8.
    body = await request.body()
    faults = _stray_faults(json.loads(body)) if body.strip() else ()
    if faults:
        place = f"{faults[0].path}: " if faults[0].path else ""
        raise Problem(422, "invalid_input", place + faults[0].message, faults=faults)


def _stray_faults(document: Any) -> tuple[Fault, ...]:
    if document is None:
        return ()
    if not isinstance(document, dict):
        return (Fault("", "no_body", "this takes no body"),)
    return tuple(Fault(name[:200], "unknown_field", "this takes no fields") for name in document)
