"""The consent flow: its tickets, states and cookies, and how it may end."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from meetbot.errors import OperatorRequired, RetryLater
from tests.api.conftest import Front, Tenant
from tests.api.consent_flow import begin, come_back, connect, expire_attempts, open_link, to_provider, told, users
from tests.api.stand_ins import Consent


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


@pytest.mark.parametrize("code", ["application_not_in_directory"])
def test_an_application_missing_in_a_directory_sends_to_its_administrator(tenant: Tenant, code: str) -> None:
    tenant.front.google.failure = OperatorRequired(code, "status 401")
    assert connect(tenant)["error"] == "admin_consent_required"


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


def test_the_whole_flow_works_under_the_second_prefix(tenant: Tenant, front: Front) -> None:
    answer = front.client.post(
        "/api/v1/calendar/connect/google", json={"customer_user_id": "c"}, headers=tenant.headers
    )
    location = to_provider(front.client, answer.json()["authorization_url"])
    parameters = front.google.consent(location)
    assert front.client.get("/api/v1/calendar/callback/google", params=parameters).status_code == 200
