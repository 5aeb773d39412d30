"""The steps of an administrator's approval, as browsers and Microsoft take them."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

from sqlmodel import col, select
from starlette.testclient import TestClient

from meetbot.domain.event import Provider
from meetbot.providers.base import OAuthClient
from meetbot.storage.tables import DirectoryApproval, WebhookDelivery
from tests.api.conftest import Tenant
from tests.api.consent_flow import to_provider
from tests.api.stand_ins import Consent

DIRECTORY = "0a1b2c3d-0000-4000-8000-000000000001"
OTHER_DIRECTORY = "0a1b2c3d-0000-4000-8000-000000000002"
NEEDS_ADMIN = {"error": "access_denied", "error_description": "AADSTS90094: admin needed"}


def use_microsoft(tenant: Tenant) -> None:
    tenant.front.with_client(OAuthClient(Provider.MICROSOFT, "our-client", "secret"))


def ask(tenant: Tenant, **body: Any) -> str:
    """Ask for a link for an administrator."""
    use_microsoft(tenant)
    answer = tenant.post("/calendar/admin-consent/microsoft", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["admin_consent_url"])


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def back(browser: TestClient, **parameters: str) -> Any:
    return browser.get("/v1/calendar/callback/microsoft", params=parameters)


def administrator(directory: str = DIRECTORY) -> Consent:
    return Consent("admin-1", "it@acme.test", scopes=frozenset({"calendar"}), directory_id=directory)


def approve(
    tenant: Tenant,
    url: str,
    *,
    browser: TestClient | None = None,
    claimed: str = DIRECTORY,
    signed_in: Consent | None = None,
) -> Any:
    """Go the whole way; return the last answer."""
    browser = browser or tenant.front.browser()
    state = query_of(to_provider(browser, url))["state"]
    to_sign_in = back(browser, state=state, admin_consent="True", tenant=claimed)
    if to_sign_in.status_code != 302 or "/oauth2/" not in to_sign_in.headers["location"]:
        return to_sign_in
    proof = tenant.front.microsoft.consent(to_sign_in.headers["location"], signed_in or administrator(claimed))
    return back(browser, **proof)


def turn_away(tenant: Tenant, **body: Any) -> Any:
    """Have somebody connect who needs an administrator; return the last answer."""
    use_microsoft(tenant)
    asked = {"customer_user_id": "customer-1", "login_hint": "ada@acme.test"} | body
    answer = tenant.post("/calendar/connect/microsoft", json={k: v for k, v in asked.items() if v is not None})
    assert answer.status_code == 201, answer.text
    return refused(tenant, answer.json()["authorization_url"])


def refused(tenant: Tenant, url: str) -> Any:
    """Open a link to the provider, who wants an administrator."""
    browser = tenant.front.browser()
    return back(browser, state=query_of(to_provider(browser, url))["state"], **NEEDS_ADMIN)


def go_on(tenant: Tenant, url: str, consent: Consent | None = None) -> Any:
    """Open a connect_url and agree."""
    browser = tenant.front.browser()
    consent = consent or Consent("ada", "ada@acme.test", scopes=frozenset({"calendar"}), directory_id=DIRECTORY)
    return back(browser, **tenant.front.microsoft.consent(to_provider(browser, url), consent))


def waiting(tenant: Tenant) -> list[dict[str, Any]]:
    listed = tenant.get("/calendar/users?state=connecting").json()["data"]
    return [user for user in listed if user["state_detail"] is not None]


def approvals(tenant: Tenant) -> list[tuple[str, str]]:
    with tenant.front.database.transaction(tenant.id) as session:
        return sorted((row.client_id, row.directory) for row in session.exec(select(DirectoryApproval)))


def listen(tenant: Tenant) -> None:
    answer = tenant.post("/webhook-endpoints", json={"url": "https://example.com/h", "event_types": ["*"]})
    assert answer.status_code == 201, answer.text


def deliveries(tenant: Tenant, kind: str = "") -> list[dict[str, Any]]:
    """What webhooks tell, of one type or of all, in no order."""
    with tenant.front.database.transaction(tenant.id) as session:
        rows = session.exec(select(WebhookDelivery).order_by(col(WebhookDelivery.created_at))).all()
        return [row.data for row in rows if kind in ("", row.event_type)]
