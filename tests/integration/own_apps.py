"""A tenant's own OAuth app: the API with its own login, and the worker's activities."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sqlalchemy.orm import undefer
from sqlmodel import select
from starlette.testclient import TestClient

from api.app import create_app
from api.dependencies import ApiServices
from meetbot.domain.event import Provider
from meetbot.errors import VaultError
from meetbot.providers.registry import oauth_client
from meetbot.storage.database import create_database
from meetbot.storage.tables import OAuthApp
from meetbot.temporal.connect_messages import ExchangeRef, OAuthAppRef
from meetbot.tenants.api_keys import KeyMode
from meetbot.tenants.create import issue_api_key
from meetbot.vault.client import TokenAuth, Vault
from tests.api.stand_ins import RecordingOrchestrator
from tests.rig import Rig
from tests.stack import VaultService

HOME = "http://127.0.0.1:1/done"


@dataclass
class WorkerAtOnce(RecordingOrchestrator):
    """In the place of Temporal: it runs the activities in the request's thread."""

    rig: Rig | None = field(default=None, repr=False)
    failure: str | None = None

    def exchange_code(self, tenant_id: str, exchange_id: str, provider: str) -> bool:
        assert self.rig is not None
        try:
            self.rig.connecting_activities.exchange_code(ExchangeRef(tenant_id, exchange_id))
        except VaultError as error:
            self.failure = error.code
            return False
        return True

    def probe_oauth_app(self, tenant_id: str, app_id: str) -> str | None:
        assert self.rig is not None
        return self.rig.connecting_activities.probe(OAuthAppRef(tenant_id, app_id)).code


@dataclass
class AppRig:
    """The API in front of a rig, and a browser."""

    rig: Rig
    browser: TestClient
    key: str
    worker: WorkerAtOnce

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        return self.browser.request(method, f"/v1{path}", headers={"Authorization": f"Bearer {self.key}"}, **arguments)

    def register(self, provider: Provider, client_id: str, secret: str = "", **more: Any) -> str:
        """Register a client at the provider; return its secret."""
        secret = secret or secrets.token_urlsafe(12)
        body = {"provider": provider, "client_id": client_id, "client_secret": secret} | more
        self.rig.sandbox.post("/control/oauth-clients", body)
        return secret

    def use_app(self, provider: Provider, client_id: str, **more: Any) -> None:
        """Register a client and have the tenant use it."""
        directory = more.get("directory")
        body = {"client_id": client_id, "client_secret": self.register(provider, client_id, **more)}
        answer = self.call(
            "PUT", f"/oauth-apps/{provider}", json=body | ({"directory": directory} if directory else {})
        )
        assert answer.status_code == 200, answer.text

    def app(self, provider: Provider) -> Any:
        return self.call("GET", f"/oauth-apps/{provider}").json()

    def stored_apps(self) -> list[OAuthApp]:
        with self.rig.read() as session:
            return list(session.exec(select(OAuthApp).options(undefer("*"))))

    def connect(self, email: str, provider: Provider, *, again: str = "", customer: str = "") -> dict[str, str]:
        """Go through the consent screens; return what the customer's redirect URL was told."""
        if again:
            asked = self.call("POST", f"/calendar/users/{again}/reconnect", json={"redirect_url": HOME})
        else:
            body = {"customer_user_id": customer or f"customer-{email}", "redirect_url": HOME, "login_hint": email}
            asked = self.call("POST", f"/calendar/connect/{provider}", json=body)
        assert asked.status_code == 201, asked.text
        self.rig.sandbox.post("/control/consent", {"mode": "auto", "account": email})
        to_provider = self.browser.get(urlsplit(asked.json()["authorization_url"]).path)
        back = self.rig.sandbox.http.get(to_provider.headers["location"])
        assert back.status_code in (302, 303), back.text
        return self.come_back(back.headers["location"])

    def come_back(self, location: str) -> dict[str, str]:
        answer = self.browser.get(f"{urlsplit(location).path}?{urlsplit(location).query}")
        if answer.status_code == 202:
            return {"status": "pending", "location": location}
        assert answer.status_code == 302, answer.text
        return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}

    def connected(self, email: str, provider: Provider, *, again: str = "", customer: str = "") -> str:
        told = self.connect(email, provider, again=again, customer=customer)
        assert told["status"] == "connected", told
        return told["meetbot_calendar_user_id"]


@contextmanager
def open_app_rig(rig: Rig, api_url: str, vault: VaultService) -> Iterator[AppRig]:
    """Put the API in front of a rig, with the api's login and the api's token."""
    sealer = Vault(vault.address, TokenAuth(vault.tokens.api_token))
    worker = WorkerAtOnce(rig=rig)
    clients = {provider: oauth_client(rig.settings, provider) for provider in Provider}
    key = issue_api_key(rig.database, rig.tenant_id, KeyMode.LIVE)
    with closing(create_database(api_url)) as database, closing(sealer):
        services = ApiServices(
            settings=rig.settings.model_copy(update={"rate_limit_per_minute": 0}),
            database=database,
            vault=sealer,
            providers=rig.services.providers,
            clients={provider: client for provider, client in clients.items() if client is not None},
            orchestrator=worker,
            clock=rig.clock,
        )
        app = create_app(services.settings, services)
        with TestClient(app, base_url="http://127.0.0.1:8000", follow_redirects=False) as browser:
            yield AppRig(rig, browser, key, worker)
