"""The steps of the consent flow, as a browser and a provider take them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sqlmodel import select
from starlette.testclient import TestClient

from meetbot.domain.event import Provider
from meetbot.providers.base import OAuthClient
from meetbot.storage.tables import CalendarUser, ConnectAttempt
from meetbot.vault.sealing import SealedSecret, kek_name, open_with, refresh_token_binding
from tests.api.conftest import Tenant
from tests.api.stand_ins import Consent

HOME = "https://app.customer.com/done?tab=1"
RULES = {
    "rules": [{"name": "customers", "action": "record", "when": {"attendee_domains": {"any_of": ["customer.com"]}}}]
}


def begin(tenant: Tenant, **body: Any) -> str:
    answer = tenant.post(
        "/calendar/connect/google", json={"customer_user_id": "customer-1", "redirect_url": HOME} | body
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["authorization_url"])


def open_link(browser: TestClient, url: str) -> Any:
    return browser.get(urlsplit(url).path)


def to_provider(browser: TestClient, url: str) -> str:
    answer = open_link(browser, url)
    assert answer.status_code == 302
    return str(answer.headers["location"])


def come_back(browser: TestClient, parameters: dict[str, str]) -> Any:
    return browser.get("/v1/calendar/callback/google", params=parameters)


def told(answer: Any) -> dict[str, str]:
    """What the customer's redirect URL was told."""
    assert answer.status_code == 302, answer.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


def connect(tenant: Tenant, consent: Consent | None = None, **body: Any) -> dict[str, str]:
    front = tenant.front
    url = begin(tenant, **body)
    return told(come_back(front.client, front.google.consent(to_provider(front.client, url), consent)))


def connect_microsoft(tenant: Tenant, consent: Consent) -> dict[str, str]:
    front = tenant.front
    front.with_client(OAuthClient(Provider.MICROSOFT, "client", "secret"))
    answer = tenant.post("/calendar/connect/microsoft", json={"customer_user_id": "customer-1", "redirect_url": HOME})
    parameters = front.microsoft.consent(to_provider(front.client, answer.json()["authorization_url"]), consent)
    return told(front.client.get("/v1/calendar/callback/microsoft", params=parameters))


def users(tenant: Tenant) -> list[CalendarUser]:
    with tenant.front.database.transaction(tenant.id) as session:
        return list(session.exec(select(CalendarUser)))


def refresh_token_of(tenant: Tenant, user: CalendarUser) -> str:
    sealed = SealedSecret(kek_name(tenant.id), user.kek_version, user.wrapped_key, user.refresh_ciphertext)
    binding = refresh_token_binding("eu", tenant.id, user.id)
    return open_with(tenant.front.vault.keys[user.wrapped_key], sealed, binding).decode()


def expire_attempts(tenant: Tenant) -> None:
    with tenant.front.database.transaction(tenant.id) as session:
        for attempt in session.exec(select(ConnectAttempt)):
            attempt.expires_at = datetime.now(UTC) - timedelta(seconds=1)
            session.add(attempt)
