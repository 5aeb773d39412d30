"""The link for an administrator, and what it takes until the approval is believed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from sqlmodel import select
from structlog.testing import capture_logs

from meetbot.storage.tables import AdminConsent, ConnectAttempt
from tests.api.admin_flow import (
    DIRECTORY,
    OTHER_DIRECTORY,
    administrator,
    approvals,
    approve,
    ask,
    back,
    deliveries,
    listen,
    query_of,
    use_microsoft,
)
from tests.api.conftest import Tenant
from tests.api.consent_flow import HOME, open_link, to_provider, told, users
from tests.api.stand_ins import Consent

GRANTED = {"tab": "1", "status": "granted", "directory": DIRECTORY}


def test_the_answer_is_a_link_of_ours_for_thirty_days(tenant: Tenant) -> None:
    use_microsoft(tenant)
    answer = tenant.post("/calendar/admin-consent/microsoft", json={"directory": DIRECTORY}).json()
    assert answer["admin_consent_url"].startswith("http://127.0.0.1:8000/v1/calendar/admin-consent/")
    left = datetime.fromisoformat(answer["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=29) < left <= timedelta(days=30)


def test_the_body_may_be_left_out(tenant: Tenant) -> None:
    use_microsoft(tenant)
    assert tenant.post("/calendar/admin-consent/microsoft").status_code == 201


def test_the_link_goes_on_to_microsofts_page_for_any_organisation(tenant: Tenant) -> None:
    url = to_provider(tenant.front.browser(), ask(tenant))
    assert urlsplit(url).path == "/organizations/v2.0/adminconsent"
    asked = query_of(url)
    assert (asked["client_id"], asked["redirect_uri"]) == (
        "our-client",
        "http://127.0.0.1:8000/v1/calendar/callback/microsoft",
    )


def test_a_named_directory_is_asked_there(tenant: Tenant) -> None:
    url = to_provider(tenant.front.browser(), ask(tenant, directory="Acme.Test"))
    assert urlsplit(url).path == "/acme.test/v2.0/adminconsent"


def test_the_tenants_own_app_asks_if_it_has_one(tenant: Tenant) -> None:
    body = {"client_id": "own-client", "client_secret": "own-secret"}
    assert tenant.put("/oauth-apps/microsoft", json=body).status_code == 200
    assert query_of(to_provider(tenant.front.browser(), ask(tenant)))["client_id"] == "own-client"


@pytest.mark.parametrize("directory", ["common", "organizations", "consumers", "a b", "../x", "", "ä.test", "x" * 256])
def test_what_names_no_single_directory_is_refused(tenant: Tenant, directory: str) -> None:
    use_microsoft(tenant)
    assert tenant.post("/calendar/admin-consent/microsoft", json={"directory": directory}).status_code == 422


def test_unknown_fields_and_foreign_redirects_are_refused(tenant: Tenant) -> None:
    use_microsoft(tenant)
    for body in ({"x": 1}, {"redirect_url": "http://evil.example/"}):
        assert tenant.post("/calendar/admin-consent/microsoft", json=body).status_code == 422


def test_without_a_client_nothing_can_be_asked(tenant: Tenant) -> None:
    answer = tenant.post("/calendar/admin-consent/microsoft", json={})
    assert (answer.status_code, answer.json()["code"]) == (409, "provider_not_configured")


def test_a_repeated_request_gets_the_same_link(tenant: Tenant) -> None:
    use_microsoft(tenant)
    made = [
        tenant.post("/calendar/admin-consent/microsoft", json={}, headers={"Idempotency-Key": "k"}).json()
        for _ in range(2)
    ]
    assert made[0] == made[1]


def test_another_browser_than_the_one_that_made_it_approves(tenant: Tenant) -> None:
    listen(tenant)
    assert told(approve(tenant, ask(tenant, redirect_url=HOME))) == GRANTED
    assert approvals(tenant) == [("our-client", DIRECTORY)]
    (granted,) = deliveries(tenant, "admin_consent.granted")
    assert (granted["directory"], granted["client_id"], granted["waiting"], granted["sequence"]) == (
        DIRECTORY,
        "our-client",
        0,
        1,
    )


def test_without_a_redirect_a_page_says_so(tenant: Tenant) -> None:
    answer = approve(tenant, ask(tenant))
    assert (answer.status_code, "Approved" in answer.text) == (200, True)
    assert users(tenant) == []


def test_an_approval_is_in_the_audit_log(tenant: Tenant) -> None:
    approve(tenant, ask(tenant))
    actions = {entry["action"] for entry in tenant.get("/audit-log").json()["data"]}
    assert {"admin_consent.link_made", "admin_consent.granted"} <= actions


def test_what_the_redirect_claims_is_not_believed_alone(tenant: Tenant) -> None:
    browser = tenant.front.browser()
    state = query_of(to_provider(browser, ask(tenant)))["state"]
    on = back(browser, state=state, admin_consent="True", tenant=DIRECTORY)
    assert on.status_code == 302
    assert approvals(tenant) == []


def test_a_strangers_directory_is_not_the_one_he_names(tenant: Tenant) -> None:
    url = ask(tenant, redirect_url=HOME)
    answer = approve(tenant, url, claimed=DIRECTORY, signed_in=administrator(OTHER_DIRECTORY))
    assert told(answer)["error"] == "account_mismatch"
    assert approvals(tenant) == []
    # And the link still works for whoever may approve.
    assert told(approve(tenant, url)) == GRANTED


def test_a_link_for_one_directory_approves_no_other(tenant: Tenant) -> None:
    url = ask(tenant, redirect_url=HOME, directory=DIRECTORY)
    assert told(approve(tenant, url, claimed=OTHER_DIRECTORY))["error"] == "account_mismatch"
    assert approvals(tenant) == []


def test_a_sign_in_without_the_calendar_permission_proves_nothing(tenant: Tenant) -> None:
    seen = Consent("admin-1", "it@acme.test", scopes=frozenset({"openid"}), directory_id=DIRECTORY)
    assert told(approve(tenant, ask(tenant, redirect_url=HOME), signed_in=seen))["error"] == "scope_missing"
    assert approvals(tenant) == []


def test_a_sign_in_that_names_no_directory_proves_nothing(tenant: Tenant) -> None:
    seen = Consent("admin-1", "it@acme.test", scopes=frozenset({"calendar"}))
    assert told(approve(tenant, ask(tenant, redirect_url=HOME), signed_in=seen))["error"] == "account_mismatch"


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        (
            {"admin_consent": "True", "error": "consent_required", "error_description": "AADSTS65004: denied"},
            "access_denied",
        ),
        ({"error": "access_denied", "error_subcode": "cancel"}, "access_denied"),
        ({"error": "access_denied", "error_description": "AADSTS90094: not an admin"}, "admin_consent_required"),
        ({"error": "invalid_request"}, "provider_error"),
        ({"error": "access_denied", "admin_consent": "True", "tenant": DIRECTORY}, "access_denied"),
        ({"admin_consent": "False", "tenant": DIRECTORY}, "provider_error"),
        ({"tenant": DIRECTORY}, "provider_error"),
        ({"admin_consent": "True"}, "provider_error"),
        ({"admin_consent": "True", "tenant": "acme.test"}, "provider_error"),
        ({"admin_consent": "True", "tenant": f"{DIRECTORY}/../x"}, "provider_error"),
        ({"code": "a-code"}, "provider_error"),
    ],
)
def test_anything_but_an_approval_stores_nothing(tenant: Tenant, parameters: dict[str, str], code: str) -> None:
    listen(tenant)
    browser = tenant.front.browser()
    state = query_of(to_provider(browser, ask(tenant, redirect_url=HOME)))["state"]
    assert told(back(browser, state=state, **parameters)) == {"tab": "1", "status": "error", "error": code}
    assert (approvals(tenant), deliveries(tenant), users(tenant)) == ([], [], [])


def test_a_refusal_has_its_own_page(tenant: Tenant) -> None:
    browser = tenant.front.browser()
    state = query_of(to_provider(browser, ask(tenant)))["state"]
    answer = back(browser, state=state, error="access_denied")
    assert (answer.status_code, "Not approved" in answer.text) == (200, True)


@pytest.mark.parametrize("state", ["", "nonsense", "ten_x." + "A" * 43])
def test_a_forged_state_gets_a_400_page(tenant: Tenant, state: str) -> None:
    answer = back(tenant.front.browser(), state=state, admin_consent="True", tenant=DIRECTORY)
    assert (answer.status_code, answer.headers["content-type"].startswith("text/html")) == (400, True)
    assert approvals(tenant) == []


def test_a_state_works_once(tenant: Tenant) -> None:
    browser = tenant.front.browser()
    state = query_of(to_provider(browser, ask(tenant)))["state"]
    answer = {"state": state, "admin_consent": "True", "tenant": DIRECTORY}
    assert back(browser, **answer).status_code == 302
    assert back(browser, **answer).status_code == 400


def test_a_state_works_only_in_the_browser_that_opened_the_link(tenant: Tenant) -> None:
    browser = tenant.front.browser()
    state = query_of(to_provider(browser, ask(tenant)))["state"]
    answer = {"state": state, "admin_consent": "True", "tenant": DIRECTORY}
    assert back(tenant.front.browser(), **answer).status_code == 400
    assert back(browser, **answer).status_code == 302


def test_a_state_of_a_connection_approves_nothing(tenant: Tenant) -> None:
    use_microsoft(tenant)
    browser = tenant.front.browser()
    made = tenant.post("/calendar/connect/microsoft", json={"customer_user_id": "c", "redirect_url": HOME}).json()
    state = query_of(to_provider(browser, made["authorization_url"]))["state"]
    answer = told(back(browser, state=state, admin_consent="True", tenant=DIRECTORY))
    assert (answer["error"], approvals(tenant)) == ("provider_error", [])


def test_opening_the_link_does_not_use_it_up(tenant: Tenant) -> None:
    url = ask(tenant, redirect_url=HOME)
    scanner = tenant.front.browser()
    to_provider(scanner, url)
    assert told(approve(tenant, url)) == GRANTED


def test_an_approval_uses_the_link_up(tenant: Tenant) -> None:
    listen(tenant)
    url = ask(tenant)
    approve(tenant, url)
    answer = open_link(tenant.front.browser(), url)
    assert (answer.status_code, "Approved already" in answer.text) == (400, True)
    assert len(deliveries(tenant, "admin_consent.granted")) == 1


def test_two_administrators_at_once_are_both_told_and_nobody_hears_twice(tenant: Tenant) -> None:
    listen(tenant)
    url = ask(tenant, redirect_url=HOME)
    browsers = [tenant.front.browser(), tenant.front.browser()]
    states = [query_of(to_provider(browser, url))["state"] for browser in browsers]
    ways = [
        back(browser, state=state, admin_consent="True", tenant=DIRECTORY).headers["location"]
        for browser, state in zip(browsers, states, strict=True)
    ]
    proofs = [tenant.front.microsoft.consent(way, administrator()) for way in ways]
    for browser, proof in zip(browsers, proofs, strict=True):
        assert told(back(browser, **proof)) == GRANTED
    assert len(deliveries(tenant, "admin_consent.granted")) == 1


def test_an_expired_link_does_not_work(tenant: Tenant) -> None:
    url = ask(tenant)
    with tenant.front.database.transaction(tenant.id) as session:
        row = session.exec(select(AdminConsent)).one()
        row.expires_at = datetime.now(UTC) - timedelta(seconds=1)
        session.add(row)
    assert open_link(tenant.front.browser(), url).status_code == 400


def test_a_link_is_bound_to_its_tenant_and_its_kind(new_tenant: Callable[[], Tenant]) -> None:
    owner, stranger = new_tenant(), new_tenant()
    path = urlsplit(ask(owner)).path
    for wrong in (
        path.replace(owner.id, stranger.id),
        path.replace("admin-consent", "continue"),
        path[:-1] + ("A" if path[-1] != "A" else "B"),
        "/v1/calendar/admin-consent/nonsense",
    ):
        assert owner.front.browser().get(wrong).status_code == 400


def test_a_link_can_be_opened_only_so_often_at_once(tenant: Tenant) -> None:
    url = ask(tenant)
    statuses = {open_link(tenant.front.browser(), url).status_code for _ in range(30)}
    assert statuses == {302}
    limited = open_link(tenant.front.browser(), url)
    assert (limited.status_code, "Retry-After" in limited.headers) == (429, True)


def test_no_directory_and_no_words_of_the_provider_get_into_the_log(tenant: Tenant) -> None:
    with capture_logs() as logs:
        approve(tenant, ask(tenant, directory=DIRECTORY))
        browser = tenant.front.browser()
        state = query_of(to_provider(browser, ask(tenant, directory="canary.test")))["state"]
        back(browser, state=state, error="canary_error", error_description="canary words", tenant="canary")
    assert logs
    assert all(word not in str(logs) for word in (DIRECTORY, "canary"))


def test_no_secret_of_a_link_is_stored_with_an_attempt(tenant: Tenant) -> None:
    url = ask(tenant)
    to_provider(tenant.front.browser(), url)
    mac = url.rpartition(".")[2]
    with tenant.front.database.transaction(tenant.id) as session:
        rows = [str(row.model_dump()) for row in session.exec(select(ConnectAttempt))]
    assert rows
    assert all(mac not in row for row in rows)
