"""The connect dance, as a browser and a provider dance it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlmodel import select
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from meetbot.domain.event import Provider
from meetbot.errors import RetryLater
from meetbot.providers.base import OAuthClient
from meetbot.storage.rule_sets import active_rule_set
from meetbot.storage.tables import CalendarUser, ConnectAttempt
from meetbot.temporal.messages import CalendarUserSignal
from meetbot.vault.sealing import SealedSecret, kek_name, open_with, refresh_token_binding
from tests.api.conftest import Front, Tenant
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


def test_consent_makes_a_calendar_user_and_tells_the_customer_its_id(tenant: Tenant) -> None:
    answer = connect(tenant, attributes={"manager_email": "mia@own.com"}, rules=RULES)
    (user,) = users(tenant)
    assert answer == {
        "tab": "1",
        "status": "connected",
        "meetbot_calendar_user_id": user.id,
        "customer_user_id": "customer-1",
    }
    assert (user.email, user.state, user.attributes) == ("olga@own.com", "connecting", {"manager_email": "mia@own.com"})


def test_the_refresh_token_is_stored_only_sealed_and_bound_to_its_calendar_user(tenant: Tenant) -> None:
    connect(tenant, Consent(refresh_token="1//canary"))
    (user,) = users(tenant)
    assert b"canary" not in user.refresh_ciphertext
    assert refresh_token_of(tenant, user) == "1//canary"


def test_the_workflow_is_started_after_the_calendar_user_was_stored(tenant: Tenant) -> None:
    answer = connect(tenant)
    assert [user.id for user in tenant.front.orchestrator.started] == [answer["meetbot_calendar_user_id"]]


def test_connecting_succeeds_while_temporal_is_away(tenant: Tenant) -> None:
    tenant.front.orchestrator.is_up = False
    assert connect(tenant)["status"] == "connected"
    assert len(users(tenant)) == 1


def test_the_rules_of_the_request_become_the_first_version(tenant: Tenant) -> None:
    answer = connect(tenant, rules=RULES)
    shown = tenant.get(f"/calendar/users/{answer['meetbot_calendar_user_id']}/rules").json()
    assert (shown["version"], shown["source"], shown["rules"]) == (1, "user", RULES["rules"])


def test_connecting_again_keeps_id_and_rules_and_takes_the_new_token(tenant: Tenant) -> None:
    first = connect(tenant, rules=RULES)
    second = connect(tenant, Consent(refresh_token="refresh-2"), rules={"rules": []}, attributes={"team": "red"})
    (user,) = users(tenant)
    assert first["meetbot_calendar_user_id"] == second["meetbot_calendar_user_id"] == user.id
    assert refresh_token_of(tenant, user) == "refresh-2"
    assert user.attributes == {"team": "red"}
    assert tenant.front.orchestrator.signals == [(user.id, CalendarUserSignal.RECONNECTED)]
    with tenant.front.database.transaction(tenant.id) as session:
        rules = active_rule_set(session, tenant.id, user.id, "user")
    assert rules is not None
    assert rules.version == 1


def test_a_grant_without_a_refresh_token_keeps_the_old_one_of_the_same_account(tenant: Tenant) -> None:
    connect(tenant)
    assert connect(tenant, Consent(refresh_token=None))["status"] == "connected"
    (user,) = users(tenant)
    assert refresh_token_of(tenant, user) == "refresh-1"


def test_a_first_grant_without_a_refresh_token_is_a_provider_error(tenant: Tenant) -> None:
    assert connect(tenant, Consent(refresh_token=None))["error"] == "provider_error"
    assert users(tenant) == []


def test_a_first_consent_at_microsoft_without_offline_access_lacks_a_scope(tenant: Tenant) -> None:
    assert connect_microsoft(tenant, Consent(refresh_token=None))["error"] == "scope_missing"
    assert users(tenant) == []


def test_access_that_was_lost_is_not_given_again_without_a_refresh_token(tenant: Tenant) -> None:
    known = connect_microsoft(tenant, Consent())["meetbot_calendar_user_id"]
    with tenant.front.database.transaction(tenant.id) as session:
        session.get_one(CalendarUser, (tenant.id, known)).state = "needs_reconnect"
    assert connect_microsoft(tenant, Consent(refresh_token=None))["error"] == "scope_missing"
    assert [user.state for user in users(tenant)] == ["needs_reconnect"]


@pytest.mark.parametrize(
    ("consent", "customer_user_id"), [(Consent(subject="subject-2"), "customer-1"), (Consent(), "customer-2")]
)
def test_another_account_or_another_customer_user_is_another_calendar_user(
    tenant: Tenant, consent: Consent, customer_user_id: str
) -> None:
    connect(tenant)
    connect(tenant, consent, customer_user_id=customer_user_id)
    assert len(users(tenant)) == 2


def test_a_ticket_works_once(tenant: Tenant) -> None:
    url = begin(tenant)
    to_provider(tenant.front.client, url)
    assert open_link(tenant.front.client, url).status_code == 400


def test_a_state_works_once(tenant: Tenant) -> None:
    front = tenant.front
    parameters = front.google.consent(to_provider(front.client, begin(tenant)))
    cookies = dict(front.client.cookies)
    assert told(come_back(front.client, parameters))["status"] == "connected"
    again = TestClient(front.app, base_url="http://127.0.0.1:8000", cookies=cookies, follow_redirects=False)
    assert come_back(again, parameters).status_code == 400
    assert front.google.exchanges == 1


def test_another_browser_cannot_finish_and_does_not_spoil_it(tenant: Tenant) -> None:
    front = tenant.front
    parameters = front.google.consent(to_provider(front.client, begin(tenant)))
    other = come_back(front.browser(), parameters)
    assert other.status_code == 400
    assert other.headers["content-type"].startswith("text/html")
    assert (users(tenant), front.google.exchanges) == ([], 0)
    assert told(come_back(front.client, parameters))["status"] == "connected"


def test_another_browsers_own_cookie_does_not_fit(tenant: Tenant) -> None:
    front = tenant.front
    parameters = front.google.consent(to_provider(front.client, begin(tenant)))
    (name,) = front.client.cookies.keys()
    forger = front.browser()
    forger.cookies.set(name, "A" * 43)
    assert come_back(forger, parameters).status_code == 400


@pytest.mark.parametrize("state", ["", "nonsense", "ten_x." + "A" * 43, "\u00e4", "x" * 5000])
def test_a_forged_state_gets_a_400_page_and_stores_nothing(tenant: Tenant, state: str) -> None:
    answer = come_back(tenant.front.client, {"state": state, "code": "code"})
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/html")
    assert tenant.front.google.exchanges == 0


def test_a_ticket_is_no_state(tenant: Tenant) -> None:
    ticket = urlsplit(begin(tenant)).path.rpartition("/")[2]
    assert come_back(tenant.front.client, {"state": ticket, "code": "code"}).status_code == 400


def test_a_callback_at_the_other_provider_is_refused(tenant: Tenant) -> None:
    front = tenant.front
    parameters = front.google.consent(to_provider(front.client, begin(tenant)))
    assert front.client.get("/v1/calendar/callback/microsoft", params=parameters).status_code == 400


def test_an_answer_of_another_issuer_is_refused(tenant: Tenant) -> None:
    front = tenant.front
    parameters = front.google.consent(to_provider(front.client, begin(tenant)))
    assert come_back(front.client, parameters | {"iss": "https://evil.example"}).status_code == 400
    assert front.google.exchanges == 0
    assert told(come_back(front.client, parameters | {"iss": "https://accounts.google.com"}))["status"] == "connected"


@pytest.mark.parametrize("issuer", ["https://accounts.google.com", "http://127.0.0.1:9"])
def test_a_replaced_google_may_call_itself_by_either_name(tenant: Tenant, issuer: str) -> None:
    front = tenant.front
    front.with_settings(google_authorize_url="http://127.0.0.1:9/o/oauth2/v2/auth")
    parameters = front.google.consent(to_provider(front.client, begin(tenant)))
    assert told(come_back(front.client, parameters | {"iss": issuer}))["status"] == "connected"


def test_a_refused_way_back_says_why_in_the_log_and_nothing_else(tenant: Tenant) -> None:
    front = tenant.front
    parameters = front.google.consent(to_provider(front.client, begin(tenant)))
    with capture_logs() as logs:
        come_back(front.client, parameters | {"iss": "https://evil.example"})
        come_back(front.browser(), parameters)
        come_back(front.client, parameters | {"state": "nonsense"})
    refusals = [entry for entry in logs if entry["event"] == "connect.callback_refused"]
    assert [entry["reason"] for entry in refusals] == ["other_issuer", "other_browser", "unknown_state"]
    assert all(secret not in str(refusals) for secret in parameters.values())


def test_an_expired_ticket_says_so_to_the_customer(tenant: Tenant) -> None:
    url = begin(tenant)
    expire_attempts(tenant)
    assert told(open_link(tenant.front.client, url)) == {
        "tab": "1",
        "status": "error",
        "error": "expired",
        "customer_user_id": "customer-1",
    }


def test_an_expired_state_says_so_and_spends_no_code(tenant: Tenant) -> None:
    front = tenant.front
    parameters = front.google.consent(to_provider(front.client, begin(tenant)))
    expire_attempts(tenant)
    assert told(come_back(front.client, parameters))["error"] == "expired"
    assert front.google.exchanges == 0


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"error": "access_denied"}, "access_denied"),
        ({"error": "access_denied", "error_description": "AADSTS65004: declined"}, "access_denied"),
        ({"error": "access_denied", "error_description": "AADSTS90094: admin needed"}, "admin_consent_required"),
        ({"error": "access_denied", "error_description": "AADSTS900941: admin needed"}, "admin_consent_required"),
        ({"error": "access_denied", "error_description": "AADSTS900949: something else"}, "access_denied"),
        ({"error": "admin_policy_enforced"}, "admin_consent_required"),
        ({"error": "server_error"}, "provider_error"),
        ({}, "provider_error"),
    ],
)
def test_a_refusal_at_the_provider_reaches_the_customer(tenant: Tenant, parameters: dict[str, str], code: str) -> None:
    front = tenant.front
    state = front.google.consent(to_provider(front.client, begin(tenant)))["state"]
    answer = told(come_back(front.client, {"state": state} | parameters))
    assert (answer["status"], answer["error"]) == ("error", code)
    assert users(tenant) == []


def test_a_grant_that_is_refused_is_revoked(tenant: Tenant) -> None:
    connect(tenant, Consent("subject-refused", refresh_token="refused", scopes=frozenset({"openid"})))
    assert tenant.front.google.revoked == ["refused"]


def test_a_refused_grant_of_a_connected_account_is_kept_for_it(tenant: Tenant) -> None:
    connect(tenant, Consent("subject-kept"))
    connect(tenant, Consent("subject-kept", refresh_token="second", scopes=frozenset({"openid"})))
    assert tenant.front.google.revoked == []


def test_a_scope_left_unticked_stores_nothing(tenant: Tenant) -> None:
    assert connect(tenant, Consent(scopes=frozenset({"openid"})))["error"] == "scope_missing"
    assert users(tenant) == []


def test_a_failing_code_exchange_is_a_provider_error(tenant: Tenant) -> None:
    tenant.front.google.failure = RetryLater("login_unavailable", "down")
    assert connect(tenant)["error"] == "provider_error"


def test_a_vault_outage_spends_neither_state_nor_code(tenant: Tenant) -> None:
    front = tenant.front
    parameters = front.google.consent(to_provider(front.client, begin(tenant)))
    front.vault.is_up = False
    waiting = come_back(front.client, parameters)
    assert (waiting.status_code, waiting.headers["retry-after"], front.google.exchanges) == (503, "5", 0)
    front.vault.is_up = True
    assert told(come_back(front.client, parameters))["status"] == "connected"


def test_without_a_redirect_url_a_plain_page_says_how_it_ended(tenant: Tenant) -> None:
    front = tenant.front
    parameters = front.google.consent(to_provider(front.client, begin(tenant, redirect_url=None)))
    answer = come_back(front.client, parameters)
    assert answer.status_code == 200
    assert "Your calendar is connected" in answer.text
    (user,) = tenant.get("/calendar/users").json()["data"]
    assert user["id"] in answer.text
    assert user["customer_user_id"] in answer.text
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert parameters["code"] not in answer.text


def test_two_tabs_do_not_disturb_each_other(tenant: Tenant) -> None:
    front = tenant.front
    first = to_provider(front.client, begin(tenant))
    second = to_provider(front.client, begin(tenant, customer_user_id="customer-2"))
    assert told(come_back(front.client, front.google.consent(first)))["customer_user_id"] == "customer-1"
    assert told(come_back(front.client, front.google.consent(second)))["customer_user_id"] == "customer-2"


def test_the_cookie_is_out_of_reach_of_scripts_and_gone_afterwards(tenant: Tenant) -> None:
    front = tenant.front
    answer = open_link(front.client, begin(tenant))
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    come_back(front.client, front.google.consent(answer.headers["location"]))
    assert not front.client.cookies


def test_over_https_the_cookie_is_bound_to_the_host(tenant: Tenant) -> None:
    tenant.front.with_settings(public_url="https://calendar.meetbot.dev")
    cookie = open_link(tenant.front.client, begin(tenant)).headers["set-cookie"]
    assert cookie.startswith("__Host-meetbot_connect_")
    assert "Secure" in cookie
    assert "Path=/" in cookie


def test_reconnecting_needs_the_same_account(tenant: Tenant) -> None:
    front = tenant.front
    known = connect(tenant)["meetbot_calendar_user_id"]
    answer = tenant.post(f"/calendar/users/{known}/reconnect", json={"redirect_url": HOME})
    assert answer.status_code == 201
    location = to_provider(front.client, answer.json()["authorization_url"])
    other = Consent(f"subject-{tenant.id}", refresh_token="x")
    mismatch = told(come_back(front.client, front.google.consent(location, other)))
    assert mismatch["error"] == "account_mismatch"
    assert front.google.revoked == ["x"]
    (user,) = users(tenant)
    assert refresh_token_of(tenant, user) == "refresh-1"


def test_reconnecting_wakes_a_calendar_user_that_had_lost_access(tenant: Tenant) -> None:
    front = tenant.front
    known = connect(tenant)["meetbot_calendar_user_id"]
    with front.database.transaction(tenant.id) as session:
        user = session.get_one(CalendarUser, (tenant.id, known))
        user.state, user.error_code = "needs_reconnect", "invalid_grant"
        session.add(user)
    shown = tenant.get(f"/calendar/users/{known}").json()
    location = to_provider(front.client, shown["reconnect_url"])
    page = come_back(front.client, front.google.consent(location, Consent(refresh_token="refresh-2")))
    assert page.status_code == 200
    after = tenant.get(f"/calendar/users/{known}").json()
    assert (after["state"], after["error_code"], "reconnect_url" in after) == ("connecting", None, False)
    assert open_link(front.client, shown["reconnect_url"]).status_code == 400


def test_a_reconnect_link_cannot_be_made_up(tenant: Tenant) -> None:
    user = tenant.add_user(state="needs_reconnect")
    forged = f"/v1/calendar/reconnect/{tenant.id}.{user.id}.{'A' * 43}"
    assert tenant.front.client.get(forged).status_code == 400


@pytest.mark.parametrize(
    "url",
    [
        "http://app.customer.com/",
        "http://10.0.0.1/",
        "ftp://app.customer.com/",
        "javascript:alert(1)",
        "https://app.customer.com\\@evil.com/",
        "https://user@evil.com/",
        "https://app.customer.com/#part",
        "//evil.com/",
        "https://",
        "https://app.customer.com/ x",
        "https://app.customer.com:99999/",
        "https://" + "a" * 2048,
    ],
)
def test_a_redirect_url_that_is_not_safe_is_refused(tenant: Tenant, url: str) -> None:
    answer = tenant.post("/calendar/connect/google", json={"customer_user_id": "c", "redirect_url": url})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == "redirect_url"


@pytest.mark.parametrize("url", ["http://localhost:3000/x", "http://127.0.0.1/", "https://app.customer.com/?a=1"])
def test_a_redirect_url_may_be_https_or_an_allowed_address(tenant: Tenant, url: str) -> None:
    assert begin(tenant, redirect_url=url)


def test_a_redirect_url_must_be_under_the_tenants_origins(tenant: Tenant) -> None:
    assert (
        tenant.request("PATCH", "/tenant", json={"redirect_origins": ["https://app.customer.com"]}).status_code == 200
    )
    assert begin(tenant, redirect_url="https://app.customer.com:443/x")
    for other in ("https://app.customer.com.evil.com/", "https://app.customer.com:8443/", "https://evil.com/"):
        answer = tenant.post("/calendar/connect/google", json={"customer_user_id": "c", "redirect_url": other})
        assert answer.json()["code"] == "invalid_redirect_url"


def test_bad_rules_are_refused_before_a_url_is_given_out(tenant: Tenant) -> None:
    rules = {"rules": [{"name": "x", "action": "record", "when": {"attendee_count": "many"}}]}
    answer = tenant.post("/calendar/connect/google", json={"customer_user_id": "c", "rules": rules})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == "rules.rules.0.when.attendee_count"


def test_rules_take_a_key_that_may_write_rules(tenant: Tenant) -> None:
    body = {"customer_user_id": "c"}
    headers = {"Authorization": f"Bearer {tenant.key_with('calendars:write')}"}
    refused = tenant.post("/calendar/connect/google", json=body | {"rules": RULES}, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    assert tenant.post("/calendar/connect/google", json=body, headers=headers).status_code == 201
    both = {"Authorization": f"Bearer {tenant.key_with('calendars:write', 'rules:write')}"}
    assert tenant.post("/calendar/connect/google", json=body | {"rules": RULES}, headers=both).status_code == 201


def test_an_unknown_provider_is_404_and_an_unconfigured_one_409(tenant: Tenant) -> None:
    body = {"customer_user_id": "c"}
    assert tenant.post("/calendar/connect/zoom", json=body).status_code == 404
    answer = tenant.post("/calendar/connect/microsoft", json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "provider_not_configured")


def test_the_whole_dance_works_under_the_second_prefix(tenant: Tenant, front: Front) -> None:
    answer = front.client.post(
        "/api/v1/calendar/connect/google", json={"customer_user_id": "c"}, headers=tenant.headers
    )
    location = to_provider(front.client, answer.json()["authorization_url"])
    parameters = front.google.consent(location)
    assert front.client.get("/api/v1/calendar/callback/google", params=parameters).status_code == 200


def test_a_completed_consent_tells_the_tenants_webhooks(tenant: Tenant) -> None:
    assert (
        tenant.post("/webhook-endpoints", json={"url": "https://example.com/h", "event_types": ["*"]}).status_code
        == 201
    )
    connected = connect(tenant)
    deliveries = tenant.front.services.database
    with deliveries.transaction(tenant.id) as session:
        from meetbot.storage.tables import WebhookDelivery

        (delivery,) = session.exec(select(WebhookDelivery)).all()
    assert (delivery.event_type, delivery.data["id"]) == (
        "calendar_user.connected",
        connected["meetbot_calendar_user_id"],
    )
