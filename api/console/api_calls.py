"""The public API as the pages of the console call it: in process, with the session's key.

So the console can do nothing that a customer's own program could not, and scopes, limits, the audit log and what is refused are
the API's own. The requests of a page are remembered, so that the page can show them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
import orjson
from fastapi import FastAPI, Request

from api.console.session import SignedIn

_SECONDS = 30.0
_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
Params = Mapping[str, str | int | None]


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request to the public API that a page has made. ``body`` is JSON text."""

    method: str
    path: str
    body: str | None = None


class ApiRefused(Exception):
    """The API answered a request of the console with a problem (RFC 9457)."""

    def __init__(self, status: int, problem: Mapping[str, Any], request_id: str = "") -> None:
        super().__init__(f"{status} {problem.get('code', '')}")
        self.status, self.request_id = status, request_id
        self.code = str(problem.get("code", "unavailable"))
        self.detail = str(problem.get("detail") or "The service did not answer this.")
        self.faults = [fault for fault in problem.get("errors", []) if isinstance(fault, dict)]


@dataclass(slots=True)
class ApiCalls:
    """The API in the name of one session."""

    client: httpx.AsyncClient
    session: SignedIn
    made: list[ApiRequest] = field(default_factory=list)

    async def get(self, path: str, params: Params | None = None) -> Any:
        """Return the JSON answer of a GET. Raises `ApiRefused`."""
        return (await self._send("GET", _with_query(path, params))).json()

    async def get_or_none(self, path: str, params: Params | None = None) -> Any:
        """Return the JSON answer of a GET, or None if the key may not ask or there is no such thing."""
        try:
            return await self.get(path, params)
        except ApiRefused as refused:
            if refused.status in (403, 404):
                return None
            raise

    async def text(self, path: str, params: Params, *, accept: str) -> str:
        """Return the text of a GET in another type. Raises `ApiRefused`."""
        return (await self._send("GET", _with_query(path, params), accept=accept)).text

    async def change(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send what changes something; return the JSON answer, None if it is empty.

        Raises `ApiRefused`.
        """
        answer = await self._send(method, path, body)
        return answer.json() if answer.content else None

    async def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, accept: str = "application/json"
    ) -> httpx.Response:
        if method in _CHANGING and self.session.is_read_only and not path.endswith("/simulate"):
            raise ApiRefused(403, {"code": "read_only_session", "detail": "This session may only look."})
        content = None if body is None else orjson.dumps(body)
        self.made.append(ApiRequest(method, path, None if content is None else content.decode()))
        headers = {"Authorization": f"Bearer {self.session.api_key}", "Accept": accept}
        if content is not None:
            headers["Content-Type"] = "application/json"
        answer = await self.client.request(method, f"/v1{path}", content=content, headers=headers)
        if answer.status_code >= 400:
            raise ApiRefused(answer.status_code, _problem(answer), answer.headers.get("x-request-id", ""))
        return answer


def api_client(request: Request) -> httpx.AsyncClient:
    """Return a client of the application that serves this request, at the browser's address."""
    app: FastAPI = request.app
    address = (request.client.host, request.client.port) if request.client is not None else ("127.0.0.1", 0)
    transport = httpx.ASGITransport(app=app, client=address, raise_app_exceptions=False)
    return httpx.AsyncClient(
        transport=transport, base_url=f"http://{request.headers.get('host', 'console')}", timeout=_SECONDS
    )


def _with_query(path: str, params: Params | None) -> str:
    given = {name: value for name, value in (params or {}).items() if value not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path


def _problem(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        problem = answer.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}
