"""The activities on a real database, a real vault and the sandbox, without Temporal or API.

Tests call activities directly and move a clock of their own, so nothing sleeps.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from sqlalchemy.orm import undefer
from sqlmodel import Session, col, select

from activities.bots import BotActivities
from activities.connecting import ConnectingActivities
from activities.erasing import ErasingActivities
from activities.push import PushActivity
from activities.recall import RecallActivity
from activities.services import Services
from activities.sync import SyncActivities
from activities.wiring import build_connecting, build_revoker, build_services
from meetbot.calendars.revocation import Revoker
from meetbot.dev.postgres import PostgresServer
from meetbot.domain.event import Provider
from meetbot.domain.ids import new_id
from meetbot.domain.plan import PlanEntry
from meetbot.providers.base import TokenGrant
from meetbot.providers.oauth import code_challenge_s256, new_code_verifier
from meetbot.providers.registry import oauth_client
from meetbot.settings import Settings
from meetbot.storage.database import Database, create_database
from meetbot.storage.push_channels import channels_of
from meetbot.storage.roles import Role
from meetbot.storage.tables import (
    Bot,
    CalendarEvent,
    CalendarUser,
    PushChannel,
    RuleSet,
    Tenant,
    WebhookDelivery,
    WebhookEndpoint,
)
from meetbot.temporal.calendar_messages import PushRequest
from meetbot.temporal.messages import (
    MeetingRef,
    SyncRequest,
    SyncResult,
    SyncScope,
)
from meetbot.tenants.create import create_tenant
from meetbot.vault.client import TokenAuth, Vault
from meetbot.vault.sealing import SealedSecret, TokenOwner, refresh_token_binding, seal_with
from tests.dispatching import SingleDispatch
from tests.sandbox_client import SandboxClient, sandbox_settings
from tests.stack import VaultService, url_as

RECORD_EVERYTHING: dict[str, Any] = {
    "rules": [{"name": "everything", "action": "record", "when": {"attendee_count": {"gte": 0}}}]
}
_REDIRECT_URI = "http://127.0.0.1:1/callback"
_numbers = itertools.count(1)


@dataclass(slots=True)
class Clock:
    """Real time plus an offset that tests move."""

    offset: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def sleep_until(self, instant: datetime) -> None:
        """Move to the instant instead of sleeping until it."""
        remaining = instant - self()
        if remaining > timedelta():
            self.offset += remaining


@dataclass(frozen=True, slots=True)
class Rig:
    """One tenant, with everything its activities work on."""

    settings: Settings
    database: Database
    vault: Vault
    services: Services
    sandbox: SandboxClient
    clock: Clock
    tenant_id: str
    sync_activities: SyncActivities
    push_activity: PushActivity
    bot_activities: BotActivities
    dispatch_activity: SingleDispatch
    recall_activity: RecallActivity
    revoker: Revoker
    erasing_activities: ErasingActivities
    connecting_activities: ConnectingActivities
    plan_digests: dict[str, str] = field(default_factory=dict)

    def connect(
        self,
        email: str,
        provider: Provider = Provider.GOOGLE,
        *,
        rules: Mapping[str, Any] | None = RECORD_EVERYTHING,
        attributes: Mapping[str, Any] | None = None,
    ) -> str:
        """Get consent from the sandbox and store the calendar user, as the callback does."""
        calendar_user_id = new_id("cu")
        grant = self.consent(email, provider)
        assert grant.subject is not None
        sealed = self.sealed_token(calendar_user_id, provider, grant.subject, grant, version=1)
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

    def consent(self, email: str, provider: Provider) -> TokenGrant:
        """Have the person consent in the sandbox, and exchange the code."""
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
        return adapter.exchange_code(client, code=code, code_verifier=verifier, redirect_uri=_REDIRECT_URI, nonce=nonce)

    def sealed_token(
        self, calendar_user_id: str, provider: Provider, subject: str, grant: TokenGrant, *, version: int
    ) -> SealedSecret:
        """Seal the refresh token of a grant for a calendar user."""
        assert grant.refresh_token is not None
        owner = TokenOwner(self.tenant_id, calendar_user_id, provider, subject, version)
        binding = refresh_token_binding(self.settings.region, owner)
        return seal_with(self.vault.new_data_key(self.tenant_id), grant.refresh_token.encode(), binding)

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
        """Sync once, passing the plan's digest on as the workflow does."""
        known = self.plan_digests.get(calendar_user_id, "")
        result = self.sync_activities.sync(SyncRequest(self.tenant_id, calendar_user_id, known, scope))
        self.plan_digests[calendar_user_id] = result.plan_digest
        return result

    def ensure_push(self, calendar_user_id: str) -> None:
        self.push_activity.ensure(PushRequest(self.tenant_id, calendar_user_id))

    def channels(self, calendar_user_id: str) -> list[PushChannel]:
        with self.read() as session:
            return channels_of(session, self.tenant_id, [calendar_user_id])

    def planned(self, calendar_user_id: str) -> tuple[PlanEntry, ...]:
        """Sync without a known digest and return the whole plan."""
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
            return session.get_one(CalendarUser, (self.tenant_id, calendar_user_id), options=[undefer("*")])

    def webhook_events(self) -> list[tuple[str, dict[str, Any]]]:
        """Return type and data of the webhooks queued for the tenant, oldest first."""
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


@contextmanager
def open_rig(
    database_url: str, vault_address: str, vault_token: str, sandbox_url: str, *, worker_url: str | None = None
) -> Iterator[Rig]:
    """Create a tenant and connect its activities to running servers.

    The activities log in by ``worker_url`` if one is given, and everything else as the owner.
    """
    settings, clock = sandbox_settings(sandbox_url), Clock()
    database = create_database(database_url)
    workers = database if worker_url is None else create_database(worker_url)
    vault = Vault(vault_address, TokenAuth(vault_token))
    services = build_services(settings, workers, vault, clock=clock)
    tenant_id, _ = create_tenant(database, vault, f"Tenant {next(_numbers)}", settings.region)
    with httpx.Client(base_url=sandbox_url, trust_env=False, timeout=120) as http:
        yield Rig(
            settings=settings,
            database=database,
            vault=vault,
            services=services,
            sandbox=SandboxClient(http),
            clock=clock,
            tenant_id=tenant_id,
            sync_activities=SyncActivities(services),
            push_activity=PushActivity(services),
            bot_activities=BotActivities(services),
            dispatch_activity=SingleDispatch(services, sleep_until=clock.sleep_until),
            recall_activity=RecallActivity(services),
            revoker=(revoker := build_revoker(settings, services, vault)),
            erasing_activities=ErasingActivities(services, revoker),
            connecting_activities=build_connecting(settings, services, vault),
        )
    services.close()
    vault.close()
    workers.close()
    database.close()


@pytest.fixture
def rig(
    postgres_server: PostgresServer, fresh_database: str, vault_service: VaultService, sandbox_server: str
) -> Iterator[Rig]:
    """A tenant with a webhook endpoint for everything, and an empty sandbox."""
    worker_url = url_as(postgres_server, fresh_database, Role.WORKER)
    vault = vault_service
    with open_rig(fresh_database, vault.address, vault.root_token, sandbox_server, worker_url=worker_url) as opened:
        opened.sandbox.post("/control/reset", {"seed": False})
        with opened.database.transaction(opened.tenant_id) as session:
            session.add(
                WebhookEndpoint(
                    tenant_id=opened.tenant_id, id=new_id("whe"), url="http://127.0.0.1:1/", event_types=["*"]
                )
            )
        yield opened
