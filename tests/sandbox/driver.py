"""Uses a sandbox over real sockets, as an application and a person with a browser do."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

CLIENT_ID, CLIENT_SECRET = "sandbox-client", "sandbox-secret"
API_KEY, WEBHOOK_SECRET = "sandbox-backend-key", "whsec_sandbox"
CALLBACK = "http://127.0.0.1:9/callback"
EVENTS_SCOPE = "https://www.googleapis.com/auth/calendar.events.readonly"
LIST_SCOPE = "https://www.googleapis.com/auth/calendar.calendarlist.readonly"
GOOGLE_SCOPES = ("openid", "email", EVENTS_SCOPE, LIST_SCOPE)
MICROSOFT_SCOPES = ("openid", "profile", "email", "offline_access", "Calendars.Read")


@dataclass(frozen=True, slots=True)
class Pkce:
    verifier: str
    challenge: str


def new_pkce() -> Pkce:
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    return Pkce(verifier, base64.urlsafe_b64encode(digest).decode().rstrip("="))


@dataclass(frozen=True, slots=True)
class Driver:
    base: str
    http: httpx.Client

    def control(self, method: str, path: str, json: Any = None, /, **params: Any) -> Any:
        answer = self.http.request(method, f"{self.base}/control{path}", json=json, params=params or None)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def account(self, email: str, provider: str = "google", time_zone: str = "UTC") -> None:
        self.control("POST", "/accounts", {"email": email, "provider": provider, "time_zone": time_zone})

    def event(self, email: str, **body: Any) -> dict[str, Any]:
        """Put a meeting on a calendar, by default an hour after the frozen clock."""
        body.setdefault("title", "Planning")
        if "start" not in body:
            body.setdefault("starts_in_minutes", 60)
        created: dict[str, Any] = self.control("POST", f"/accounts/{email}/events", body)
        return created

    def freeze(self, at: str) -> datetime:
        self.control("POST", "/clock", {"frozen": True, "set": at})
        return datetime.fromisoformat(at)

    def auto_consent(self, **settings: Any) -> None:
        self.control("POST", "/consent", {"mode": "auto", **settings})

    def authorize(self, provider: str, email: str, scopes: Sequence[str] | None = None, **extra: str) -> dict[str, str]:
        """Return the query of the redirect back to the client; consent must be automatic."""
        google = provider == "google"
        url = (
            f"{self.base}/google/o/oauth2/v2/auth" if google else f"{self.base}/microsoft/common/oauth2/v2.0/authorize"
        )
        query = {
            "client_id": CLIENT_ID,
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": " ".join(scopes or (GOOGLE_SCOPES if google else MICROSOFT_SCOPES)),
            "state": "the-state",
            "login_hint": email,
        }
        if google:
            query |= {"access_type": "offline", "prompt": "consent"}
        answer = self.http.get(url, params={**query, **extra})
        assert answer.status_code == 303, answer.text
        assert answer.headers["location"].startswith(CALLBACK)
        return dict(parse_qsl(urlsplit(answer.headers["location"]).query))

    def token(self, provider: str, form: Mapping[str, str]) -> httpx.Response:
        url = "google/token" if provider == "google" else "microsoft/common/oauth2/v2.0/token"
        client = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "redirect_uri": CALLBACK}
        return self.http.post(f"{self.base}/{url}", data={**client, **form})

    def exchange(self, provider: str, code: str, **form: str) -> httpx.Response:
        return self.token(provider, {"grant_type": "authorization_code", "code": code, **form})

    def refresh(self, provider: str, refresh_token: str, **form: str) -> httpx.Response:
        return self.token(provider, {"grant_type": "refresh_token", "refresh_token": refresh_token, **form})

    def connect(self, provider: str, email: str, scopes: Sequence[str] | None = None) -> dict[str, Any]:
        """Log in and return the token endpoint's document."""
        self.auto_consent()
        pkce = new_pkce()
        sent = {"code_challenge": pkce.challenge, "code_challenge_method": "S256"}
        back = self.authorize(provider, email, scopes, **sent)
        answer = self.exchange(provider, back["code"], code_verifier=pkce.verifier)
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens

    def google(self, token: str, path: str, **params: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return self.http.get(f"{self.base}/google/calendar/v3{path}", params=params, headers=headers)

    def google_events(self, token: str, calendar: str = "primary", **params: Any) -> dict[str, Any]:
        answer = self.google(token, f"/calendars/{calendar}/events", **params)
        assert answer.status_code == 200, answer.text
        listing: dict[str, Any] = answer.json()
        return listing

    def graph(
        self, token: str, path: str, headers: Mapping[str, str] | None = None, /, **params: Any
    ) -> httpx.Response:
        sent = {"Authorization": f"Bearer {token}", **(headers or {})}
        return self.http.get(f"{self.base}/microsoft/v1.0{path}", params=params, headers=sent)

    def graph_view(self, token: str, start: str, end: str, **params: Any) -> list[dict[str, Any]]:
        answer = self.graph(token, "/me/calendarView", startDateTime=start, endDateTime=end, **{"$top": 1000, **params})
        assert answer.status_code == 200, answer.text
        events: list[dict[str, Any]] = answer.json()["value"]
        return events

    def job(self, external_id: str = "bot_1.1", key: str = API_KEY, **body: Any) -> httpx.Response:
        body.setdefault("meetingUrl", "https://meet.google.com/abc-defg-hij")
        body.setdefault("joinAt", "2026-01-05T08:58:30Z")
        return self.http.post(
            f"{self.base}/backend/api/v1/jobs",
            json={"externalId": external_id, **body},
            headers={"Authorization": f"Bearer {key}"},
        )

    def job_status(self, job_id: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {API_KEY}"}
        document: dict[str, Any] = self.http.get(f"{self.base}/backend/api/v1/jobs/{job_id}", headers=headers).json()
        return document
