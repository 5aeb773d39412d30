"""An administrator's approval, from being turned away to the first event."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlmodel import select
from starlette.testclient import TestClient

from meetbot.dev.postgres import PostgresServer
from meetbot.domain.calendar_user import CalendarUserStatus
from meetbot.domain.event import Provider
from meetbot.storage.erasure_rows import close_tenant
from meetbot.storage.roles import Role
from meetbot.storage.tables import AdminConsent, CalendarUser, DirectoryApproval, WaitingUser
from meetbot.tenants.erase import Patience, erase_tenant
from meetbot.tenants.erasure_ledger import replay_ledger
from tests.integration.own_apps import AppRig, open_app_rig
from tests.rig import Rig
from tests.stack import VaultService, url_as

pytestmark = pytest.mark.stack

ADA, ROOT, EVE = "ada@acme.test", "root@acme.test", "eve@other.test"
HOME = "http://127.0.0.1:1/done"
BOTH = pytest.mark.parametrize("own_app", [False, True], ids=["our-app", "own-app"])


@dataclass
class Office:
    """A company whose directory withholds consent, and our service in front of it."""

    apps: AppRig
    directory: str
    client_id: str

    @property
    def rig(self) -> Rig:
        return self.apps.rig

    def browser(self) -> TestClient:
        return TestClient(self.apps.browser.app, base_url="http://127.0.0.1:8000", follow_redirects=False)

    def walk(self, url: str, email: str, browser: TestClient | None = None) -> dict[str, str]:
        """Open a link of ours as this person, who agrees; return what the end told."""
        browser = browser or self.browser()
        self.rig.sandbox.post("/control/consent", {"mode": "auto", "account": email})
        location = self._redirect(browser, url)
        for _ in range(4):
            if location.startswith(HOME):
                return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
            back = self.rig.sandbox.http.get(location)
            assert back.status_code == 303, back.text
            location = self._redirect(browser, back.headers["location"])
        raise AssertionError("no end")

    def _redirect(self, browser: TestClient, url: str) -> str:
        answer = browser.get(f"{urlsplit(url).path}?{urlsplit(url).query}")
        assert answer.status_code == 302, answer.text
        return str(answer.headers["location"])

    def connect(self, email: str = ADA) -> dict[str, str]:
        body = {"customer_user_id": f"customer-{email}", "redirect_url": HOME, "login_hint": email}
        made = self.apps.call("POST", "/calendar/connect/microsoft", json=body).json()
        return self.walk(made["authorization_url"], email)

    def ask(self, **body: Any) -> str:
        made = self.apps.call("POST", "/calendar/admin-consent/microsoft", json={"redirect_url": HOME} | body)
        assert made.status_code == 201, made.text
        return str(made.json()["admin_consent_url"])

    def users(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.apps.call("GET", "/calendar/users").json()["data"]
        return found

    def approvals(self) -> list[tuple[str, str]]:
        with self.rig.read() as session:
            return [(row.client_id, row.directory) for row in session.exec(select(DirectoryApproval))]

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [data for event_type, data in self.rig.webhook_events() if event_type == kind]


@pytest.fixture
def apps(
    rig: Rig, postgres_server: PostgresServer, fresh_database: str, vault_service: VaultService
) -> Iterator[AppRig]:
    with open_app_rig(rig, url_as(postgres_server, fresh_database, Role.API), vault_service) as opened:
        yield opened


def office_of(apps: AppRig, *, own_app: bool, policy: str = "admin_only") -> Office:
    sandbox = apps.rig.sandbox
    for email in (ADA, ROOT, EVE):
        sandbox.account(email, Provider.MICROSOFT)
    body = {"user_consent": policy, "administrators": [ROOT]}
    directory = sandbox.http.put("/control/directories/acme.test", json=body).raise_for_status().json()["id"]
    client_id = "own-client" if own_app else "sandbox-client"
    if own_app:
        apps.use_app(Provider.MICROSOFT, client_id)
    return Office(apps, directory, client_id)


@BOTH
def test_from_being_turned_away_to_the_first_event(apps: AppRig, own_app: bool) -> None:
    office = office_of(apps, own_app=own_app)
    assert office.connect()["error"] == "admin_consent_required"
    (before,) = office.users()
    assert (before["state"], before["state_detail"]) == ("connecting", "awaiting_admin")
    assert office.rig.webhook_events()[-1][0] == "calendar_user.awaiting_admin"

    told = office.walk(office.ask(), ROOT)
    assert told == {"status": "granted", "directory": office.directory}
    assert office.approvals() == [(office.client_id, office.directory)]
    (granted,) = office.told("admin_consent.granted")
    assert (granted["client_id"], granted["waiting"]) == (office.client_id, 1)
    (ready,) = office.told("calendar_user.admin_approved")

    connected = office.walk(ready["connect_url"], ADA)
    assert (connected["status"], connected["meetbot_calendar_user_id"]) == ("connected", before["id"])
    office.rig.sandbox.event(ADA, title="Planning")
    office.rig.sync(before["id"])
    assert [event.title for event in office.rig.events(before["id"])] == ["Planning"]
    (after,) = office.users()
    assert (after["state"], after["state_detail"], after["email"]) == ("active", None, ADA)


@BOTH
def test_the_waiting_users_own_link_to_forward_works_too(apps: AppRig, own_app: bool) -> None:
    office = office_of(apps, own_app=own_app)
    office.connect()
    browser = office.browser()
    office.rig.sandbox.post("/control/consent", {"mode": "auto", "account": ROOT})
    url, seen = office.users()[0]["admin_consent_url"], ""
    location = office._redirect(browser, url)
    # A link that a page shows has no redirect_url: it ends with a page of ours.
    assert f"/{office.directory}/v2.0/adminconsent" in location
    for _ in range(2):
        answer = browser.get(_path(office.rig.sandbox.http.get(location).headers["location"]))
        location, seen = answer.headers.get("location", ""), answer.text
    assert "Approved" in seen
    assert office.approvals() == [(office.client_id, office.directory)]


@BOTH
def test_an_administrator_who_refuses_leaves_all_as_it_is(apps: AppRig, own_app: bool) -> None:
    office = office_of(apps, own_app=own_app)
    office.connect()
    url = office.ask()
    browser = office.browser()
    location = office._redirect(browser, url)
    office.rig.sandbox.post("/control/consent", {"mode": "ask"})
    page = office.rig.sandbox.http.get(location)
    query = urlsplit(location).query
    refused = office.rig.sandbox.http.post(
        urlsplit(str(page.url)).path, data={"request": query, "account": ROOT, "decision": "cancel"}
    )
    end = office._redirect(browser, refused.headers["location"])
    assert parse_qs(urlsplit(end).query) == {"status": ["error"], "error": ["access_denied"]}
    assert (office.approvals(), office.users()[0]["state_detail"]) == ([], "awaiting_admin")
    # The link can be opened again.
    assert office.walk(url, ROOT)["status"] == "granted"


@BOTH
def test_who_is_no_administrator_cannot_approve(apps: AppRig, own_app: bool) -> None:
    office = office_of(apps, own_app=own_app)
    assert office.walk(office.ask(), ADA) == {"status": "error", "error": "admin_consent_required"}
    assert office.approvals() == []


@BOTH
def test_a_forged_answer_approves_nobodys_directory(apps: AppRig, own_app: bool) -> None:
    office = office_of(apps, own_app=own_app)
    office.connect()
    browser = office.browser()
    state = parse_qs(urlsplit(office._redirect(browser, office.ask())).query)["state"][0]
    forged = f"/v1/calendar/callback/microsoft?state={state}&admin_consent=True&tenant={office.directory}"
    to_sign_in = office._redirect(browser, forged)
    # Eve, of another directory, holds the link: Microsoft lets her not sign in to this one.
    office.rig.sandbox.post("/control/consent", {"mode": "auto", "account": EVE})
    page = office.rig.sandbox.http.get(to_sign_in)
    assert (page.status_code, EVE in page.text) == (200, False)
    # Ada, who is in it, is told that she needs an administrator.
    office.rig.sandbox.post("/control/consent", {"mode": "auto", "account": ADA})
    back = office.rig.sandbox.http.get(to_sign_in)
    assert "admin_consent_required" in office._redirect(browser, back.headers["location"])
    assert (office.approvals(), office.told("admin_consent.granted")) == ([], [])


@BOTH
def test_an_approval_given_in_the_admin_centre_lets_them_go_on(apps: AppRig, own_app: bool) -> None:
    office = office_of(apps, own_app=own_app, policy="admin_request")
    assert office.connect()["error"] == "admin_consent_required"
    office.rig.sandbox.post("/control/directories/acme.test/approvals", {"client_id": office.client_id})
    assert office.walk(office.users()[0]["connect_url"], ADA)["status"] == "connected"


@BOTH
def test_an_approval_taken_back_is_noticed_and_can_be_given_again(apps: AppRig, own_app: bool) -> None:
    office = office_of(apps, own_app=own_app)
    office.walk(office.ask(), ROOT)
    user = office.connect()["meetbot_calendar_user_id"]
    sandbox = office.rig.sandbox
    sandbox.http.delete(f"/control/directories/acme.test/approvals/{office.client_id}").raise_for_status()
    office.rig.services.tokens.forget(office.rig.tenant_id, user)
    office.rig.sync(user)
    assert office.rig.calendar_user(user).state == CalendarUserStatus.NEEDS_RECONNECT
    made = office.apps.call("POST", f"/calendar/users/{user}/reconnect", json={"redirect_url": HOME}).json()
    assert office.walk(made["authorization_url"], ADA)["error"] == "admin_consent_required"
    assert [row["id"] for row in office.users()] == [user]
    office.walk(office.ask(), ROOT)
    (ready,) = [data for data in office.told("calendar_user.admin_approved") if data["id"] == user]
    made = office.apps.call("POST", f"/calendar/users/{user}/reconnect", json={"redirect_url": HOME}).json()
    assert "/reconnect/" in ready["reconnect_url"]
    assert office.walk(made["authorization_url"], ADA)["meetbot_calendar_user_id"] == user


def test_loading_the_page_of_a_refusal_again_changes_nothing(apps: AppRig) -> None:
    office = office_of(apps, own_app=True)
    browser = office.browser()
    body = {"customer_user_id": "ada", "login_hint": ADA, "redirect_url": HOME}
    made = office.apps.call("POST", "/calendar/connect/microsoft", json=body).json()
    office.rig.sandbox.http.put("/control/directories/acme.test", json={"user_consent": "allowed"})
    office.rig.sandbox.post("/control/consent", {"mode": "auto", "account": ADA})
    location = office.rig.sandbox.http.get(office._redirect(browser, made["authorization_url"])).headers["location"]
    refusal = {"error": "invalid_grant", "error_codes": [90094]}
    path = "/microsoft/common/oauth2/v2.0/token"
    office.rig.sandbox.fault(path=path, times=1, status=400, body=refusal)
    reloading = TestClient(browser.app, base_url="http://127.0.0.1:8000", cookies=dict(browser.cookies))
    assert "admin_consent_required" in office._redirect(browser, location)
    (user,) = office.users()
    assert office.walk(user["connect_url"], ADA)["status"] == "connected"
    again = reloading.get(_path(location), follow_redirects=False)
    assert "admin_consent_required" in again.headers["location"]
    assert [(row["id"], row["state_detail"]) for row in office.users()] == [(user["id"], None)]


def test_an_erased_tenant_leaves_nothing_of_it(apps: AppRig) -> None:
    office = office_of(apps, own_app=False)
    office.walk(office.ask(), ROOT)
    office.connect(EVE)
    office.rig.sandbox.http.delete("/control/directories/acme.test/approvals/sandbox-client").raise_for_status()
    office.connect()
    with office.rig.read() as session:
        before = [len(session.exec(select(table)).all()) for table in (AdminConsent, DirectoryApproval, WaitingUser)]
    assert all(before)
    rig, insisting = office.rig, Patience(seconds=0, is_forced=True)
    erase_tenant(rig.database, rig.vault, rig.tenant_id, clock=rig.clock, patience=insisting)
    with office.rig.read() as session:
        for table in (AdminConsent, DirectoryApproval, WaitingUser, CalendarUser):
            assert session.exec(select(table)).all() == []


def test_a_closed_tenant_lets_nobody_go_on(apps: AppRig) -> None:
    office = office_of(apps, own_app=False)
    office.connect()
    urls = [office.users()[0]["connect_url"], office.ask()]
    with office.rig.database.transaction(office.rig.tenant_id) as session:
        close_tenant(session, office.rig.tenant_id, now=office.rig.clock())
    assert [office.browser().get(urlsplit(url).path).status_code for url in urls] == [400, 400]


def test_an_erased_one_that_a_restore_brings_back_waits_no_more(apps: AppRig) -> None:
    office = office_of(apps, own_app=False)
    office.connect()
    (user,) = office.users()
    with office.rig.read() as session:
        backup = session.exec(select(WaitingUser)).one().model_dump()
    office.apps.call("DELETE", f"/calendar/users/{user['id']}")
    with office.rig.database.transaction(office.rig.tenant_id) as session:
        session.add(WaitingUser(**backup))
    replay_ledger(office.rig.database, office.rig.vault)
    assert office.users() == []


def _path(location: str) -> str:
    return f"{urlsplit(location).path}?{urlsplit(location).query}"
