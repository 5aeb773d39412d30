"""Directories with a policy: who may consent, and what an administrator does."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from tests.sandbox.driver import CALLBACK, CLIENT_ID, MICROSOFT_SCOPES, Driver

GRACE, ROOT, EVE = "grace@acme.test", "root@acme.test", "eve@other.test"
ADMIN_SCOPES = "openid https://graph.microsoft.com/Calendars.Read"


@pytest.fixture
def directory(sandbox: Driver) -> str:
    """A directory that withholds consent from its users; return its id."""
    sandbox.account(ROOT, "microsoft")
    sandbox.account(EVE, "microsoft")
    return policy(sandbox, user_consent="admin_only", administrators=[ROOT])


def policy(sandbox: Driver, domain: str = "acme.test", **body: Any) -> str:
    return str(sandbox.control("PUT", f"/directories/{domain}", body)["id"])


def admin_page(sandbox: Driver, tenant: str = "organizations", **query: str) -> httpx.Response:
    asked = {"client_id": CLIENT_ID, "redirect_uri": CALLBACK, "scope": ADMIN_SCOPES, "state": "12345"} | query
    url = f"{sandbox.base}/microsoft/{tenant}/v2.0/adminconsent"
    return sandbox.http.get(url, params=asked)


def post(sandbox: Driver, page: httpx.Response, **fields: str) -> httpx.Response:
    """Press a button of a page, with the request that the page carries along."""
    carried = unescape(re.findall(r'name="request" value="([^"]*)"', page.text)[0])
    return sandbox.http.post(str(page.url.copy_with(query=None)), data={"request": carried} | fields)


def answered(response: httpx.Response) -> dict[str, str]:
    assert response.status_code == 303, response.text
    return dict(parse_qsl(urlsplit(response.headers["location"]).query))


def sign_in(sandbox: Driver, email: str, tenant: str = "common", **query: str) -> httpx.Response:
    asked = {
        "client_id": CLIENT_ID,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": " ".join(MICROSOFT_SCOPES),
        "state": "the-state",
        "login_hint": email,
    }
    return sandbox.http.get(f"{sandbox.base}/microsoft/{tenant}/oauth2/v2.0/authorize", params=asked | query)


def test_users_of_a_directory_without_a_policy_consent_themselves(sandbox: Driver) -> None:
    assert "Need admin approval" not in sign_in(sandbox, GRACE).text


def test_a_user_is_asked_to_find_an_administrator(sandbox: Driver, directory: str) -> None:
    page = sign_in(sandbox, GRACE)
    assert (page.status_code, "Need admin approval" in page.text) == (200, True)
    told = answered(post(sandbox, page, account=GRACE, decision="return"))
    assert (told["error"], told["error_description"].split(":")[0]) == ("access_denied", "AADSTS90094")


def test_the_way_back_may_not_name_the_reason(sandbox: Driver, directory: str) -> None:
    policy(sandbox, names_reason=False)
    told = answered(post(sandbox, sign_in(sandbox, GRACE), account=GRACE, decision="return"))
    assert (told["error"], told["error_subcode"]) == ("access_denied", "cancel")


def test_a_withheld_consent_cannot_be_posted(sandbox: Driver, directory: str) -> None:
    page = post(sandbox, sign_in(sandbox, GRACE), account=GRACE, decision="allow", scope="Calendars.Read")
    assert (page.status_code, "Need admin approval" in page.text) == (200, True)


def test_the_identity_alone_needs_no_administrator(sandbox: Driver, directory: str) -> None:
    assert "Need admin approval" not in sign_in(sandbox, GRACE, scope="openid profile").text


def test_automatic_consent_is_refused_too(sandbox: Driver, directory: str) -> None:
    sandbox.auto_consent()
    assert "AADSTS90094" in sandbox.authorize("microsoft", GRACE)["error_description"]


def test_an_administrator_approves_as_the_documentation_says(sandbox: Driver, directory: str) -> None:
    page = post(sandbox, admin_page(sandbox), account=ROOT)
    assert "Read user calendars" in page.text
    told = answered(post(sandbox, page, account=ROOT, decision="allow"))
    assert told == {"admin_consent": "True", "tenant": directory, "scope": ADMIN_SCOPES, "state": "12345"}
    back = sign_in(sandbox, GRACE)
    assert "code" in answered(back)


def test_an_administrator_declines_as_the_documentation_says(sandbox: Driver, directory: str) -> None:
    page = post(sandbox, admin_page(sandbox), account=ROOT)
    told = answered(post(sandbox, page, account=ROOT, decision="cancel"))
    assert (told["admin_consent"], told["error"], told["state"]) == ("True", "consent_required", "12345")
    assert told["error_description"].startswith("AADSTS65004")
    assert "tenant" not in told
    assert "Need admin approval" in sign_in(sandbox, GRACE).text


def test_somebody_else_cannot_approve(sandbox: Driver, directory: str) -> None:
    page = post(sandbox, admin_page(sandbox), account=GRACE, decision="allow")
    assert "Need admin approval" in page.text
    told = answered(post(sandbox, page, account=GRACE, decision="return"))
    assert "AADSTS90094" in told["error_description"]
    assert "Need admin approval" in sign_in(sandbox, GRACE).text


def test_a_named_directory_takes_its_own_accounts_only(sandbox: Driver, directory: str) -> None:
    for tenant in (directory, "acme.test"):
        page = admin_page(sandbox, tenant)
        assert (ROOT in page.text, EVE in page.text) == (True, False)
        assert EVE not in sign_in(sandbox, "", tenant).text


@pytest.mark.parametrize(("tenant", "code"), [("common", "invalid_request"), ("nobody.test", "AADSTS90002")])
def test_the_page_needs_a_directory_that_there_is(sandbox: Driver, directory: str, tenant: str, code: str) -> None:
    page = admin_page(sandbox, tenant)
    assert (page.status_code, code in page.text) == (400, True)


@pytest.mark.parametrize(
    ("query", "code"),
    [({"client_id": "nobody"}, "AADSTS700016"), ({"scope": ""}, "AADSTS900144"), ({"redirect_uri": "x"}, "invalid")],
)
def test_a_wrong_request_gets_a_page(sandbox: Driver, directory: str, query: dict[str, str], code: str) -> None:
    page = admin_page(sandbox, **query)
    assert (page.status_code, code in page.text) == (400, True)


def test_an_approval_is_for_its_client_and_its_permissions(sandbox: Driver, directory: str) -> None:
    sandbox.control("POST", "/directories/acme.test/approvals", {"client_id": "another"})
    assert "Need admin approval" in sign_in(sandbox, GRACE).text
    sandbox.control("POST", "/directories/acme.test/approvals", {"client_id": CLIENT_ID})
    assert "code" in answered(sign_in(sandbox, GRACE))
    assert "Need admin approval" in sign_in(sandbox, GRACE, scope="openid Calendars.Read Mail.Read").text


def test_asking_for_consent_again_needs_the_administrator_again(sandbox: Driver, directory: str) -> None:
    sandbox.control("POST", "/directories/acme.test/approvals", {"client_id": CLIENT_ID})
    assert "Need admin approval" in sign_in(sandbox, GRACE, prompt="consent").text


def test_a_user_can_ask_the_administrators_by_microsofts_own_page(sandbox: Driver, directory: str) -> None:
    policy(sandbox, user_consent="admin_request")
    page = sign_in(sandbox, GRACE)
    assert "Approval required" in page.text
    sent = post(sandbox, page, account=GRACE, decision="request", why="to record")
    assert "Request sent" in sent.text
    assert "AADSTS90095" in answered(post(sandbox, sent, account=GRACE, decision="return"))["error_description"]
    (asked,) = sandbox.control("GET", "/directories")[0]["requests"]
    assert (asked["account"], asked["scopes"], asked["approved"]) == (GRACE, ["Calendars.Read"], None)
    refused = sandbox.control("POST", "/directories/acme.test/requests/refuse", {"client_id": CLIENT_ID})
    assert refused["requests"][0]["approved"] is False
    approved = sandbox.control("POST", "/directories/acme.test/approvals", {"client_id": CLIENT_ID})
    assert approved["requests"][0]["approved"] is True
    assert "code" in answered(sign_in(sandbox, GRACE))


def test_an_approval_taken_back_ends_the_refreshes_that_rest_on_it(sandbox: Driver, directory: str) -> None:
    sandbox.control("POST", "/directories/acme.test/approvals", {"client_id": CLIENT_ID})
    sandbox.auto_consent()
    tokens = sandbox.connect("microsoft", GRACE)
    assert sandbox.refresh("microsoft", tokens["refresh_token"]).status_code == 200
    sandbox.control("DELETE", f"/directories/acme.test/approvals/{CLIENT_ID}")
    refused = sandbox.refresh("microsoft", tokens["refresh_token"])
    told = refused.json()
    assert (refused.status_code, told["error"], told["error_codes"], told["suberror"]) == (
        400,
        "invalid_grant",
        [65001],
        "consent_required",
    )
    view = {"startDateTime": "2026-01-05T00:00:00", "endDateTime": "2026-01-06T00:00:00"}
    assert sandbox.graph(tokens["access_token"], "/me/calendarView", **view).status_code == 200
    sandbox.control("POST", "/consent", {"mode": "ask"})
    assert "Need admin approval" in sign_in(sandbox, GRACE).text


def test_a_users_own_earlier_consent_outlives_the_policy(sandbox: Driver) -> None:
    sandbox.auto_consent()
    tokens = sandbox.connect("microsoft", GRACE)
    policy(sandbox, user_consent="admin_only")
    assert sandbox.refresh("microsoft", tokens["refresh_token"]).status_code == 200
    sandbox.control("POST", "/consent", {"mode": "ask"})
    assert "code" in answered(sign_in(sandbox, GRACE))


def test_a_domain_leads_to_its_directory(sandbox: Driver, directory: str) -> None:
    answer = sandbox.http.get(f"{sandbox.base}/microsoft/acme.test/v2.0/.well-known/openid-configuration").json()
    assert answer["issuer"] == f"https://login.microsoftonline.com/{directory}/v2.0"
    unknown = sandbox.http.get(f"{sandbox.base}/microsoft/nobody.test/v2.0/.well-known/openid-configuration")
    assert (unknown.status_code, unknown.json()["error"], unknown.json()["error_codes"]) == (
        400,
        "invalid_tenant",
        [90002],
    )


def test_a_policy_can_be_changed_only_where_there_is_one(sandbox: Driver) -> None:
    for method, path in (("POST", "/nobody.test/approvals"), ("DELETE", "/nobody.test/approvals/x")):
        answer = sandbox.http.request(method, f"{sandbox.base}/control/directories{path}", json={"client_id": "x"})
        assert answer.status_code == 404
