"""The whole library against the real database and vault and the sandbox's providers, without Temporal or the HTTP front.

Tests call activities directly and move a clock of their own; nothing sleeps.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import uvicorn
from sqlmodel import Session, col, select

from activities.bots import BotActivities
from activities.dispatch import DispatchActivity
from activities.services import Services
from activities.sync import SyncActivities
from activities.wiring import build_services
from meetbot.calendars.access_tokens import refresh_token_binding
from meetbot.dev.environment import free_port
from meetbot.domain.event import Provider
from meetbot.domain.ids import new_id
from meetbot.domain.plan import PlanEntry
from meetbot.providers.oauth import code_challenge_s256, new_code_verifier
from meetbot.providers.registry import oauth_client
from meetbot.settings import Settings
from meetbot.storage.database import Database, create_database
from meetbot.storage.tables import Bot, CalendarEvent, CalendarUser, RuleSet, Tenant, WebhookDelivery, WebhookEndpoint
from meetbot.temporal.messages import MeetingRef, SyncRequest, SyncResult, SyncScope
from meetbot.tenants.create import create_tenant
from meetbot.vault.client import TokenAuth, Vault
from meetbot.vault.sealing import seal_with
from sandbox.app import create_app
from sandbox.config import SandboxConfig
from tests.stack import VaultService

RECORD_EVERYTHING: dict[str, Any] = {
    "rules": [{"name": "everything", "action": "record", "when": {"attendee_count": {"gte": 0}}}]
}
_REDIRECT_URI = "http://127.0.0.1:1/callback"
_numbers = itertools.count(1)


@dataclass(slots=True)
class Clock:
    """The present, for our code and the sandbox alike once `Rig.set_clock` was called."""

    offset: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def sleep_until(self, instant: datetime) -> None:
        """Instead of sleeping: now it is then."""
        remaining = instant - self()
        if remaining > timedelta():
            self.offset += remaining


@contextmanager
def serving(app: Any, port: int) -> Iterator[str]:
    """An ASGI application on loopback for the length of the block."""
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, access_log=False, timeout_graceful_shutdown=1)
    )
    listening = server.config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listening.close()


@pytest.fixture(scope="session")
def sandbox_server() -> Iterator[str]:
    port = free_port()
    config = SandboxConfig(public_url=f"http://127.0.0.1:{port}", seed=False)
    with serving(create_app(config), port) as url:
        yield url


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The control API of the sandbox, as tests use it."""

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


@dataclass(frozen=True, slots=True)
class Rig:
    settings: Settings
    database: Database
    vault: Vault
    services: Services
    sandbox: Sandbox
    clock: Clock
    tenant_id: str
    sync_activities: SyncActivities
    bot_activities: BotActivities
    dispatch_activity: DispatchActivity
    plan_digests: dict[str, str] = field(default_factory=dict)

    def connect(
        self,
        email: str,
        provider: Provider = Provider.GOOGLE,
        *,
        rules: Mapping[str, Any] | None = RECORD_EVERYTHING,
        attributes: Mapping[str, Any] | None = None,
    ) -> str:
        """Go through the sandbox's consent for an account and store the calendar user, as the callback does."""
        calendar_user_id = new_id("cu")
        client = oauth_client(self.settings, provider)
        assert client is not None
        adapter, verifier, nonce = self.services.providers[provider], new_code_verifier(), "nonce"
        address = adapter.authorization_url(
            client,
            redirect_uri=_REDIRECT_URI,
            state="state",
            code_challenge=code_challenge_s256(verifier),
            nonce=nonce,
            login_hint=email,
        )
        self.sandbox.post("/control/consent", {"mode": "auto"})
        answer = self.sandbox.http.get(address)
        code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
        grant = adapter.exchange_code(
            client, code=code, code_verifier=verifier, redirect_uri=_REDIRECT_URI, nonce=nonce
        )
        assert grant.refresh_token is not None
        assert grant.subject is not None
        sealed = seal_with(
            self.vault.new_data_key(self.tenant_id),
            grant.refresh_token.encode(),
            refresh_token_binding(self.settings.region, self.tenant_id, calendar_user_id),
        )
        with self.database.transaction(self.tenant_id) as session:
            session.add(
                CalendarUser(
                    tenant_id=self.tenant_id,
                    id=calendar_user_id,
                    provider=provider,
                    subject=grant.subject,
                    customer_user_id=f"customer-{email}",
                    email=email,
                    state="connecting",
                    state_changed_at=self.clock(),
                    scopes=sorted(grant.scopes),
                    attributes=dict(attributes or {}),
                    kek_version=sealed.kek_version,
                    wrapped_key=sealed.wrapped_key,
                    refresh_ciphertext=sealed.nonce_and_ciphertext,
                )
            )
        if rules is not None:
            self.put_rules(calendar_user_id, rules)
        return calendar_user_id

    def put_rules(self, calendar_user_id: str, body: Mapping[str, Any]) -> None:
        with self.database.transaction(self.tenant_id) as session:
            earlier = session.exec(select(RuleSet).where(RuleSet.owner == calendar_user_id)).all()
            for row in earlier:
                row.active = False
            session.add(
                RuleSet(
                    tenant_id=self.tenant_id,
                    owner=calendar_user_id,
                    layer="user",
                    version=len(earlier) + 1,
                    active=True,
                    body=dict(body),
                    created_by="test",
                )
            )

    def sync(self, calendar_user_id: str, scope: SyncScope = SyncScope.CALENDAR) -> SyncResult:
        """One sync, passing the plan's digest on as the workflow does."""
        known = self.plan_digests.get(calendar_user_id, "")
        result = self.sync_activities.sync(SyncRequest(self.tenant_id, calendar_user_id, known, scope))
        self.plan_digests[calendar_user_id] = result.plan_digest
        return result

    def planned(self, calendar_user_id: str) -> tuple[PlanEntry, ...]:
        """The whole plan, by a sync that knows none."""
        self.plan_digests.pop(calendar_user_id, None)
        plan = self.sync(calendar_user_id).plan
        assert plan is not None
        return plan

    def ref(self, meeting_key: str) -> MeetingRef:
        return MeetingRef(self.tenant_id, meeting_key)

    def events(self, calendar_user_id: str) -> list[CalendarEvent]:
        with self.read() as session:
            return list(
                session.exec(
                    select(CalendarEvent)
                    .where(CalendarEvent.calendar_user_id == calendar_user_id)
                    .order_by(col(CalendarEvent.start_at))
                )
            )

    def bots(self) -> list[Bot]:
        with self.read() as session:
            return list(session.exec(select(Bot).order_by(col(Bot.created_at))))

    def calendar_user(self, calendar_user_id: str) -> CalendarUser:
        with self.read() as session:
            return session.get_one(CalendarUser, (self.tenant_id, calendar_user_id))

    def told(self) -> list[tuple[str, dict[str, Any]]]:
        """What the tenant's webhooks are to tell, oldest first."""
        with self.read() as session:
            rows = session.exec(select(WebhookDelivery).order_by(col(WebhookDelivery.created_at)))
            return [(row.event_type, row.data) for row in rows]

    def set_tenant(self, **columns: Any) -> None:
        with self.database.transaction(self.tenant_id) as session:
            tenant = session.get_one(Tenant, self.tenant_id)
            for name, value in columns.items():
                setattr(tenant, name, value)

    @contextmanager
    def read(self) -> Iterator[Session]:
        with self.database.transaction(self.tenant_id) as session:
            yield session


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


@pytest.fixture
def rig(fresh_database: str, vault_service: VaultService, sandbox_server: str) -> Iterator[Rig]:
    settings = sandbox_settings(sandbox_server)
    database = create_database(fresh_database)
    vault = Vault(vault_service.address, TokenAuth(vault_service.root_token))
    clock = Clock()
    services = build_services(settings, database, vault, clock=clock)
    tenant_id, _ = create_tenant(database, vault, f"Tenant {next(_numbers)}", settings.region)
    with httpx.Client(base_url=sandbox_server, trust_env=False, timeout=30) as http:
        sandbox = Sandbox(http)
        sandbox.post("/control/reset", {"seed": False})
        with database.transaction(tenant_id) as session:
            session.add(
                WebhookEndpoint(tenant_id=tenant_id, id=new_id("whe"), url="http://127.0.0.1:1/", event_types=["*"])
            )
        yield Rig(
            settings=settings,
            database=database,
            vault=vault,
            services=services,
            sandbox=sandbox,
            clock=clock,
            tenant_id=tenant_id,
            sync_activities=SyncActivities(services),
            bot_activities=BotActivities(services),
            dispatch_activity=DispatchActivity(services, sleep_until=clock.sleep_until),
        )
    services.close()
    vault.close()
    database.close()
