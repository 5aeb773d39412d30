"""A provider that answers from a script and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson

from meetbot.domain.event import Provider
from meetbot.providers.base import OAuthClient
from meetbot.providers.google.adapter import GoogleAddresses, GoogleCalendar
from meetbot.providers.microsoft.adapter import MicrosoftAddresses, MicrosoftCalendar

NOW = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
WINDOW_START = datetime(2026, 3, 9, 9, 0, tzinfo=UTC)
WINDOW_END = datetime(2026, 4, 9, 9, 0, tzinfo=UTC)

GOOGLE_CLIENT = OAuthClient(Provider.GOOGLE, "google-client", "google-secret")
MICROSOFT_CLIENT = OAuthClient(Provider.MICROSOFT, "microsoft-client", "microsoft-secret")

GRAPH = "https://graph.microsoft.com/v1.0"

Reply = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


def reply(body: object = None, status: int = 200, headers: Mapping[str, str] | None = None) -> httpx.Response:
    """An answer with a JSON body, or with the bytes as they are."""
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return httpx.Response(status, content=content, headers=dict(headers or {}))


class Script:
    """Replies per path, in order; the last one of a path repeats. Other paths raise."""

    def __init__(self, replies: Mapping[str, Reply | Sequence[Reply]]) -> None:
        self._replies = {
            path: list(entry) if isinstance(entry, Sequence) else [entry] for path, entry in replies.items()
        }
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        path = request.url.raw_path.decode().split("?")[0]
        assert path in self._replies, f"nothing scripted for {path}"
        queue = self._replies[path]
        entry = queue.pop(0) if len(queue) > 1 else queue[0]
        if isinstance(entry, Exception):
            raise entry
        if callable(entry):
            return entry(request)
        return httpx.Response(entry.status_code, content=entry.content, headers=entry.headers)

    def paths(self) -> list[str]:
        return [request.url.raw_path.decode().split("?")[0] for request in self.requests]

    def form(self, position: int = -1) -> dict[str, str]:
        return dict(httpx.QueryParams(self.requests[position].content.decode()))


def client(script: Callable[[httpx.Request], httpx.Response]) -> httpx.Client:
    return httpx.Client(transport=httpx.MockTransport(script), trust_env=False)


def google(script: Callable[[httpx.Request], httpx.Response]) -> GoogleCalendar:
    addresses = GoogleAddresses(
        authorize_url="https://accounts.google.com/o/oauth2/v2/auth",
        token_url="https://oauth2.googleapis.com/token",
        revoke_url="https://oauth2.googleapis.com/revoke",
        api_url="https://www.googleapis.com/calendar/v3",
    )
    return GoogleCalendar(addresses, client(script), now=lambda: NOW)


def microsoft(script: Callable[[httpx.Request], httpx.Response], directory: str = "common") -> MicrosoftCalendar:
    addresses = MicrosoftAddresses("https://login.microsoftonline.com", directory, GRAPH)
    return MicrosoftCalendar(addresses, client(script), now=lambda: NOW)


def google_error(status: int, reason: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
    errors = [{"domain": "global", "reason": reason, "message": "for people"}]
    return reply({"error": {"code": status, "message": "for people", "errors": errors}}, status, headers)


def graph_error(status: int, code: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
    return reply({"error": {"code": code, "message": "for people"}}, status, headers)


def google_event(event_id: str = "e1", **fields: Any) -> dict[str, Any]:
    return {
        "id": event_id,
        "status": "confirmed",
        "iCalUID": f"{event_id}@google.com",
        "summary": "Weekly",
        "start": {"dateTime": "2026-03-12T10:00:00+01:00", "timeZone": "Europe/Berlin"},
        "end": {"dateTime": "2026-03-12T10:30:00+01:00", "timeZone": "Europe/Berlin"},
        "organizer": {"email": "ann@acme.example", "self": True},
        "updated": "2026-03-01T08:00:00.000Z",
        **fields,
    }


def graph_event(event_id: str = "AAMk1", **fields: Any) -> dict[str, Any]:
    return {
        "id": event_id,
        "iCalUId": f"{event_id}@outlook.example",
        "type": "singleInstance",
        "subject": "Weekly",
        "start": {"dateTime": "2026-03-12T09:00:00.0000000", "timeZone": "UTC"},
        "end": {"dateTime": "2026-03-12T09:30:00.0000000", "timeZone": "UTC"},
        "organizer": {"emailAddress": {"name": "Bob", "address": "bob@acme.example"}},
        "responseStatus": {"response": "accepted", "time": "2026-03-01T08:00:00Z"},
        "lastModifiedDateTime": "2026-03-01T08:00:00.1234567Z",
        **fields,
    }
