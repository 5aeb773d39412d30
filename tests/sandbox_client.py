"""A sandbox on this machine, a client of its control API, and settings for our code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from meetbot.dev.environment import free_port
from meetbot.domain.event import Provider
from meetbot.settings import Settings
from sandbox.app import create_app
from sandbox.config import SandboxConfig
from tests.serving import serving


@pytest.fixture(scope="session")
def sandbox_server() -> Iterator[str]:
    port = free_port()
    config = SandboxConfig(public_url=f"http://127.0.0.1:{port}", seed=False)
    with serving(create_app(config), port) as url:
        yield url


@dataclass(frozen=True, slots=True)
class SandboxClient:
    """A client of the sandbox's control API."""

    http: httpx.Client

    def account(self, email: str, provider: Provider = Provider.GOOGLE) -> str:
        self.post("/control/accounts", {"email": email, "provider": provider, "name": email.split("@")[0]})
        return email

    def event(self, email: str, **fields: Any) -> dict[str, Any]:
        body = {"title": "Planning", "starts_in_minutes": 60, "platform": "google_meet"} | fields
        return self.post(f"/control/accounts/{email}/events", body)

    def change(self, event: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
        answer = self.http.patch(f"/control/events/{event['key']}", json=fields)
        answer.raise_for_status()
        return dict(answer.json())

    def cancel(self, event: Mapping[str, Any]) -> None:
        self.http.delete(f"/control/events/{event['key']}").raise_for_status()

    def restore(self, event: Mapping[str, Any]) -> None:
        self.post(f"/control/events/{event['key']}/restore", {})

    def respond(self, event: Mapping[str, Any], email: str, answer: str) -> None:
        self.post(f"/control/events/{event['key']}/respond", {"email": email, "answer": answer})

    def fault(self, *, path: str, when: str = "before", times: int | None = None, **action: Any) -> None:
        body = {"match": {"path": path}, "when": when, "times": times, "action": action}
        self.post("/control/faults", body)

    def clear_faults(self) -> None:
        self.http.delete("/control/faults").raise_for_status()

    def jobs(self) -> list[dict[str, Any]]:
        answer = self.http.get("/control/backend/jobs")
        answer.raise_for_status()
        return list(answer.json())

    def counts(self, path: str) -> int:
        answer = self.http.get("/control/requests/counts", params={"path": path})
        answer.raise_for_status()
        return sum(answer.json().values())

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        answer = self.http.post(path, json=body)
        answer.raise_for_status()
        return dict(answer.json()) if answer.content else {}


def sandbox_settings(sandbox_url: str, **more: Any) -> Settings:
    """Settings that point at a sandbox, as the development stack makes them."""
    return Settings(
        google_client_id="sandbox-client",
        google_client_secret="sandbox-secret",
        google_authorize_url=f"{sandbox_url}/google/o/oauth2/v2/auth",
        google_token_url=f"{sandbox_url}/google/token",
        google_revoke_url=f"{sandbox_url}/google/revoke",
        google_api_url=f"{sandbox_url}/google/calendar/v3",
        microsoft_client_id="sandbox-client",
        microsoft_client_secret="sandbox-secret",
        microsoft_login_url=f"{sandbox_url}/microsoft",
        microsoft_graph_url=f"{sandbox_url}/microsoft/v1.0",
        backend_url=f"{sandbox_url}/backend",
        backend_api_key="sandbox-backend-key",
        backend_webhook_secret="whsec_sandbox",
        outbound_allow_cidrs="127.0.0.0/8,::1/128",
        **more,
    )
