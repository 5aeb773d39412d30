"""Which requests to connect a calendar are refused."""

from __future__ import annotations

import pytest

from tests.api.conftest import Tenant
from tests.api.consent_flow import RULES, begin


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
        # Of two parameters with one name many servers read the first: the answer would be the end-user's own.
        "https://app.customer.com/?status=connected&customer_user_id=another",
        "https://app.customer.com/?a=1&meetbot_calendar_user_id=cu_1",
        "https://app.customer.com/?a=1;customer%5Fuser%5Fid=another",
        "https://app.customer.com/?customer_user_id[]=another",
        "https://app.customer.com/?error",
    ],
)
def test_a_redirect_url_that_is_not_safe_is_refused(tenant: Tenant, url: str) -> None:
    answer = tenant.post("/calendar/connect/google", json={"customer_user_id": "c", "redirect_url": url})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == "redirect_url"


@pytest.mark.parametrize(
    "url", ["http://localhost:3000/x", "http://127.0.0.1/", "https://app.customer.com/?a=1&s=status"]
)
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
