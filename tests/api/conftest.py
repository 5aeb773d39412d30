"""The HTTP front on a real PostgreSQL, with stand-ins for provider, vault and Temporal.

The stand-ins record what was asked of them.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from api.app import create_app
from api.dependencies import ApiServices
from meetbot.dev.postgres import PostgresServer
from meetbot.domain.event import Provider
from meetbot.domain.ids import derived_id, new_id
from meetbot.providers.base import OAuthClient
from meetbot.settings import Settings
from meetbot.storage.database import Database, create_database
from meetbot.storage.roles import Role
from meetbot.storage.tables import Bot, BotClaim, CalendarEvent, CalendarUser
from meetbot.storage.tenants import add_tenant
from meetbot.tenants.api_keys import KeyMode
from meetbot.tenants.create import issue_api_key
from tests.api.stand_ins import RecordingOrchestrator, StandInProvider, StandInVault
from tests.stack import url_as

BACKEND_SECRET = "a backend's secret"


@dataclasses.dataclass(frozen=True)
class Front:
    """The application and everything behind it.

    ``client`` follows no redirect and keeps cookies like a browser.
    """

    app: FastAPI
    client: TestClient
    services: ApiServices
    database: Database
    orchestrator: RecordingOrchestrator
    google: StandInProvider
    microsoft: StandInProvider
    vault: StandInVault

    def with_settings(self, **changes: Any) -> None:
        """Until the end of the test."""
        settings = self.services.settings.model_copy(update=changes)
        self.app.state.services = dataclasses.replace(self.services, settings=settings)

    def with_client(self, client: OAuthClient) -> None:
        """Until the end of the test."""
        clients = {**self.services.clients, client.provider: client}
        self.app.state.services = dataclasses.replace(self.services, clients=clients)

    def browser(self) -> TestClient:
        """Another one, without the first one's cookies."""
        return TestClient(self.app, base_url="http://127.0.0.1:8000", follow_redirects=False)


@dataclasses.dataclass(frozen=True)
class Tenant:
    """A tenant of its own for each test.

    Row level security keeps the tests apart, as it keeps customers.
    """

    id: str
    key: str
    front: Front

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def request(self, method: str, path: str, **arguments: Any) -> Any:
        headers = self.headers | arguments.pop("headers", {})
        return self.front.client.request(method, f"/v1{path}", headers=headers, **arguments)

    def get(self, path: str, **arguments: Any) -> Any:
        return self.request("GET", path, **arguments)

    def post(self, path: str, **arguments: Any) -> Any:
        return self.request("POST", path, **arguments)

    def put(self, path: str, **arguments: Any) -> Any:
        return self.request("PUT", path, **arguments)

    def delete(self, path: str, **arguments: Any) -> Any:
        return self.request("DELETE", path, **arguments)

    def key_with(self, *scopes: str) -> str:
        return issue_api_key(self.front.database, self.id, KeyMode.TEST, scopes)

    def add_user(self, **changes: Any) -> CalendarUser:
        values: dict[str, Any] = {
            "tenant_id": self.id,
            "id": new_id("cu"),
            "provider": "google",
            "subject": secrets.token_hex(8),
            "customer_user_id": "customer-1",
            "email": "olga@own.com",
            "state": "active",
            "state_changed_at": datetime.now(UTC),
            "scopes": ["openid"],
            "kek_version": 1,
            "wrapped_key": "vault:v1:AAAA",
            "refresh_ciphertext": secrets.token_bytes(32),
        }
        with self.front.database.transaction(self.id) as session:
            user = CalendarUser(**(values | changes))
            session.add(user)
            session.flush()
            session.refresh(user)
        return user

    def add_event(self, user: CalendarUser, **changes: Any) -> CalendarEvent:
        provider_event_id = changes.get("provider_event_id", secrets.token_hex(6))
        start = changes.get("start_at", in_hours(2))
        values: dict[str, Any] = {
            "tenant_id": self.id,
            "id": derived_id("evt", user.id, provider_event_id),
            "calendar_user_id": user.id,
            "calendar_id": "primary",
            "provider_event_id": provider_event_id,
            "ical_uid": f"{provider_event_id}@example.com",
            "shared_key": derived_id("mtg", provider_event_id),
            "meeting_key": derived_id("mtg", provider_event_id),
            "series_key": derived_id("ser", provider_event_id),
            "title": "Planning",
            "start_at": start,
            "end_at": None if start is None else start + timedelta(minutes=30),
            "all_day": False,
            "status": "confirmed",
            "organizer": person("olga@own.com", organizer=True, self_=True),
            "attendees": [person("olga@own.com", organizer=True, self_=True), person("ben@customer.com")],
            "is_organizer": True,
            "recurring": False,
            "visibility": "default",
            "meeting_url": "https://meet.google.com/abc-defg-hij",
            "meeting_platform": "google_meet",
            "meeting_id": "abc-defg-hij",
            "meeting_url_source": "hangoutLink",
            "fingerprint": b"1",
            "outcome": "skip",
            "reason": "no_rule_matched",
            "facts": {"internal": False},
            "decided_at": datetime.now(UTC),
        }
        with self.front.database.transaction(self.id) as session:
            event = CalendarEvent(**(values | changes))
            session.add(event)
        return event

    def add_bot(self, meeting_key: str, **changes: Any) -> Bot:
        start = in_hours(2)
        values: dict[str, Any] = {
            "tenant_id": self.id,
            "id": new_id("bot"),
            "meeting_key": meeting_key,
            "generation": 1,
            "state": "scheduled",
            "join_at": start,
            "end_at": start + timedelta(minutes=30),
            "dispatch_at": start - timedelta(seconds=90),
            "meeting_url": "https://meet.google.com/abc-defg-hij",
            "target_digest": "d_1",
            "event_id": "evt_1",
            "backend": "meetbot",
        }
        with self.front.database.transaction(self.id) as session:
            bot = Bot(**(values | changes))
            session.add(bot)
        return bot

    def add_claim(self, user: CalendarUser, event: CalendarEvent) -> None:
        with self.front.database.transaction(self.id) as session:
            session.add(
                BotClaim(
                    tenant_id=self.id,
                    meeting_key=event.meeting_key,
                    calendar_user_id=user.id,
                    event_id=event.id,
                    target_digest="d_1",
                )
            )


def in_hours(hours: float) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(hours=hours)


def person(email: str, *, organizer: bool = False, self_: bool = False) -> dict[str, Any]:
    return {
        "email": email,
        "name": None,
        "response": "accepted",
        "resource": False,
        "organizer": organizer,
        "self": self_,
    }


@pytest.fixture(scope="session")
def api_settings(postgres_url: str) -> Settings:
    return Settings.model_validate(
        {
            "database_url": postgres_url,
            "outbound_allow_cidrs": "127.0.0.0/8,::1/128",
            "rate_limit_per_minute": 0,
            "backend_webhook_secret": BACKEND_SECRET,
        }
    )


@pytest.fixture(scope="session")
def api_database(postgres_url: str) -> Iterator[Database]:
    database = create_database(postgres_url)
    yield database
    database.close()


@pytest.fixture(scope="session")
def api_login(postgres_server: PostgresServer, postgres_url: str) -> Iterator[Database]:
    """The database as the api logs in to it; `api_database` is the owner's login."""
    database = create_database(url_as(postgres_server, postgres_url, Role.API))
    yield database
    database.close()


@pytest.fixture(scope="session")
def api_front(api_settings: Settings, api_database: Database, api_login: Database) -> Iterator[Front]:
    orchestrator, vault = RecordingOrchestrator(), StandInVault()
    google, microsoft = StandInProvider(Provider.GOOGLE), StandInProvider(Provider.MICROSOFT)
    services = ApiServices(
        settings=api_settings,
        database=api_login,
        vault=vault,
        providers={Provider.GOOGLE: google, Provider.MICROSOFT: microsoft},
        clients={Provider.GOOGLE: OAuthClient(Provider.GOOGLE, "client", "secret")},
        orchestrator=orchestrator,
    )
    app = create_app(api_settings, services)
    with TestClient(app, base_url="http://127.0.0.1:8000", follow_redirects=False) as client:
        yield Front(app, client, services, api_database, orchestrator, google, microsoft, vault)


@pytest.fixture
def front(api_front: Front) -> Iterator[Front]:
    api_front.orchestrator.reset()
    api_front.google.reset()
    api_front.microsoft.reset()
    api_front.vault.reset()
    api_front.client.cookies.clear()
    api_front.app.state.failures.forget()
    yield api_front
    api_front.app.state.services = api_front.services


@pytest.fixture
def new_tenant(front: Front) -> Callable[[], Tenant]:
    def make() -> Tenant:
        tenant_id = new_id("ten")
        with front.database.transaction(tenant_id) as session:
            add_tenant(session, tenant_id, name="Test", region="eu", mode=KeyMode.TEST)
        return Tenant(tenant_id, issue_api_key(front.database, tenant_id, KeyMode.TEST), front)

    return make


@pytest.fixture
def tenant(new_tenant: Callable[[], Tenant]) -> Tenant:
    return new_tenant()
