"""The console: who gets in, what each page shows, and what it does."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlmodel import select
from starlette.testclient import TestClient

from api.console.session import COOKIE
from meetbot.storage.tables import ConsoleSession
from tests.api.conftest import Tenant
from tests.api.test_calendars import SHARED, of_three

PAGES = [
    "/console",
    "/console/calendars",
    "/console/rules",
    "/console/rules?layer=locked_before",
    "/console/bots",
    "/console/webhooks",
    "/console/usage",
    "/console/usage?group_by=calendar_user&days=7",
    "/console/settings",
    "/console/settings/keys",
    "/console/settings/audit",
    "/console/search?q=nobody",
]
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


class Visitor:
    """A browser that is signed in, or not."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.client: TestClient = tenant.front.browser()

    def sign_in(self, key: str | None = None, **fields: str) -> Any:
        body = {"key": self.tenant.key if key is None else key, "back": "/console"} | fields
        return self.client.post("/console/sign-in", data=body)

    def get(self, path: str) -> Any:
        return self.client.get(path)

    def post(self, path: str, page: str, **fields: str) -> Any:
        """Send a form as the page at `page` would."""
        found = re.search(r'name="csrf" value="(\w+)"', self.client.get(page).text)
        return self.client.post(path, data={"csrf": found[1] if found else ""} | fields)


@pytest.fixture
def visitor(tenant: Tenant) -> Visitor:
    return Visitor(tenant)


@pytest.fixture
def signed_in(visitor: Visitor) -> Visitor:
    assert visitor.sign_in().status_code == 303
    return visitor


@pytest.mark.parametrize("path", PAGES)
def test_a_page_leads_a_stranger_to_the_sign_in_and_back(visitor: Visitor, path: str) -> None:
    answer = visitor.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/console/sign-in?back=/console")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_of_an_empty_tenant_is_whole(signed_in: Visitor, path: str) -> None:
    answer = signed_in.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.text.count("<h1") == 1
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert " style=" not in answer.text
    assert " onclick=" not in answer.text


@pytest.mark.parametrize(
    "back", ["https://evil.example/", "//evil.example", "/v1/tenant", "/console\\..", "/consoleevil"]
)
def test_a_sign_in_leads_only_to_pages_of_the_console(visitor: Visitor, back: str) -> None:
    location = visitor.sign_in(back=back).headers["location"]
    assert location == "/console"


@pytest.mark.parametrize("key", ["", "mb_test_guessed", "x" * 5000])
def test_a_key_that_does_not_work_opens_nothing(visitor: Visitor, key: str) -> None:
    answer = visitor.sign_in(key=key)
    assert answer.status_code == 401
    assert "does not work" in answer.text
    assert COOKIE not in visitor.client.cookies


def test_a_sign_in_sent_by_another_site_is_refused(visitor: Visitor) -> None:
    visitor.client.headers["sec-fetch-site"] = "cross-site"
    assert visitor.sign_in().status_code == 403
    assert COOKIE not in visitor.client.cookies


def test_the_cookie_is_kept_from_scripts_and_other_sites(visitor: Visitor) -> None:
    cookie = visitor.sign_in().headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/console" in cookie
    assert visitor.tenant.key not in cookie


def test_the_database_holds_no_key_of_a_session_in_clear(signed_in: Visitor) -> None:
    tenant = signed_in.tenant
    with tenant.front.database.transaction(tenant.id) as session:
        row = session.exec(select(ConsoleSession)).one()
    assert tenant.key.encode() not in row.sealed_key + row.secret_hash


@pytest.mark.parametrize(
    "change",
    [lambda parts: [*parts[:2], "guessed"], lambda parts: ["ten_other", *parts[1:]], lambda parts: ["", "", ""]],
)
def test_a_forged_cookie_is_no_session(signed_in: Visitor, change: Any) -> None:
    parts = signed_in.client.cookies[COOKIE].split(".")
    forged = signed_in.tenant.front.browser()
    forged.cookies.set(COOKIE, ".".join(change(parts)), path="/console")
    assert forged.get("/console").status_code == 303


def test_a_revoked_key_ends_its_sessions_at_once(signed_in: Visitor) -> None:
    tenant = signed_in.tenant
    other = Visitor(tenant)
    key = tenant.key_with("calendars:read", "tenant:read")
    other.sign_in(key=key)
    assert other.get("/console/calendars").status_code == 200
    public_id = key.split("_")[2]
    assert tenant.delete(f"/api-keys/{public_id}").status_code == 204
    assert other.get("/console/calendars").status_code == 303


def test_after_a_sign_out_the_old_cookie_opens_nothing(signed_in: Visitor) -> None:
    cookie = signed_in.client.cookies[COOKIE]
    assert signed_in.post("/console/sign-out", "/console").headers["location"] == "/console/sign-in"
    again = signed_in.tenant.front.browser()
    again.cookies.set(COOKIE, cookie, path="/console")
    assert again.get("/console").status_code == 303


@pytest.mark.parametrize("token", ["", "guessed"])
def test_a_form_without_the_sessions_token_changes_nothing(signed_in: Visitor, token: str) -> None:
    answer = signed_in.client.post("/console/settings", data={"csrf": token, "name": "Taken over"})
    assert answer.status_code == 403
    assert signed_in.tenant.get("/tenant").json()["name"] != "Taken over"


def test_a_read_only_session_looks_and_changes_nothing(visitor: Visitor) -> None:
    visitor.sign_in(read_only="on")
    assert "read only" in visitor.get("/console").text
    answer = visitor.post("/console/settings", "/console/settings", name="Changed")
    assert answer.status_code == 403
    assert visitor.tenant.get("/tenant").json()["name"] == "Test"


def test_a_page_says_which_scope_its_key_lacks(visitor: Visitor) -> None:
    visitor.sign_in(key=visitor.tenant.key_with("calendars:read"))
    answer = visitor.get("/console/webhooks")
    assert answer.status_code == 403
    assert "webhooks:read" in answer.text


def test_the_overview_works_with_a_key_that_may_see_little(visitor: Visitor) -> None:
    visitor.sign_in(key=visitor.tenant.key_with("calendars:read"))
    assert visitor.get("/console").status_code == 200


def test_another_tenants_calendar_is_not_found(signed_in: Visitor, new_tenant: Any) -> None:
    stranger = new_tenant().add_user()
    assert signed_in.get(f"/console/calendars/{stranger.id}").status_code == 404


def test_a_calendar_shows_its_meetings_with_their_reasons(signed_in: Visitor) -> None:
    tenant = signed_in.tenant
    user = tenant.add_user()
    event = tenant.add_event(user, title="Planning with Ben")
    text = signed_in.get(f"/console/calendars/{user.id}").text
    assert "Planning with Ben" in text
    assert f"/console/calendars/{user.id}/meetings/{event.id}" in text


def test_a_meetings_page_says_why_with_eight_gates(signed_in: Visitor) -> None:
    tenant = signed_in.tenant
    user = tenant.add_user()
    event = tenant.add_event(user, outcome="skip", reason="no_rule_matched", rule=None)
    text = signed_in.get(f"/console/calendars/{user.id}/meetings/{event.id}").text
    assert "Not recorded: none of the rules matches." in text
    assert text.count('class="unreached"') == 4


def test_hostile_words_of_a_calendar_stay_text(signed_in: Visitor) -> None:
    tenant = signed_in.tenant
    user = tenant.add_user(email=HOSTILE, customer_user_id=HOSTILE)
    event = tenant.add_event(user, title=HOSTILE)
    for path in (
        "/console/calendars",
        f"/console/calendars/{user.id}",
        f"/console/calendars/{user.id}/meetings/{event.id}",
    ):
        text = signed_in.get(path).text
        assert "<script>alert" not in text
        assert "<img src=x" not in text


def test_a_meeting_is_switched_off_and_back_to_the_rules(signed_in: Visitor) -> None:
    tenant = signed_in.tenant
    user = tenant.add_user()
    event = tenant.add_event(user)
    page = f"/console/calendars/{user.id}/meetings/{event.id}"
    path = f"/calendar/users/{user.id}/events/{event.id}"
    assert signed_in.post(f"{page}/override", page, recording="skip", scope="occurrence").status_code == 303
    assert tenant.get(path).json()["override"]["recording"] == "skip"
    assert signed_in.post(f"{page}/override", page, recording="rules", scope="occurrence").status_code == 303
    assert tenant.get(path).json()["override"] is None


def test_a_calendar_is_erased_only_if_its_address_was_typed(signed_in: Visitor) -> None:
    tenant = signed_in.tenant
    user = tenant.add_user(email="olga@own.com")
    page = f"/console/calendars/{user.id}"
    assert "not_confirmed" in signed_in.post(f"{page}/disconnect", page, confirm="other@own.com").headers["location"]
    assert tenant.get(f"/calendar/users/{user.id}").status_code == 200
    assert (
        "told=disconnecting" in signed_in.post(f"{page}/disconnect", page, confirm=" Olga@Own.com ").headers["location"]
    )
    assert tenant.get(f"/calendar/users/{user.id}").status_code == 404


def test_a_connect_goes_on_by_a_link_of_ours(signed_in: Visitor) -> None:
    answer = signed_in.post(
        "/console/calendars/connect", "/console/calendars", customer_user_id="alice", provider="google"
    )
    assert answer.status_code == 200
    assert '<a class="button main" href="http://127.0.0.1:8000/v1/calendar/authorize/' in answer.text


RULES = '{"rules": [{"name": "all", "action": "record", "when": {"always": true}}]}'


def test_rules_are_saved_shown_as_sentences_and_rolled_back(signed_in: Visitor) -> None:
    page = "/console/rules"
    saved = signed_in.post(page, page, do="save", base_version="0", rules=RULES)
    assert saved.headers["location"].endswith("told=rules_saved")
    assert "Record it if it is any meeting." in signed_in.get(page).text
    other = RULES.replace('"record"', '"skip"')
    signed_in.post(page, page, do="save", base_version="1", rules=other)
    assert "Skip it if it is any meeting." in signed_in.get(page).text
    signed_in.post(page, page, do="roll_back", version="1")
    assert signed_in.tenant.get("/calendar/rules/default").json()["rules"][0]["action"] == "record"


def test_a_stale_form_shows_both_and_loses_nothing(signed_in: Visitor) -> None:
    page = "/console/rules"
    signed_in.post(page, page, do="save", base_version="0", rules=RULES)
    mine = RULES.replace('"all"', '"mine"')
    answer = signed_in.post(page, page, do="save", base_version="0", rules=mine)
    assert answer.status_code == 409
    assert "Somebody else has saved" in answer.text
    assert "&#34;mine&#34;" in answer.text
    assert signed_in.tenant.get("/calendar/rules/default").json()["version"] == 1


@pytest.mark.parametrize("rules", ["", "{", "[]", '{"rules": [{"name": "x"}]}', '{"rules": 1}'])
def test_a_bad_rule_set_is_told_at_the_field_and_kept(signed_in: Visitor, rules: str) -> None:
    page = "/console/rules"
    answer = signed_in.post(page, page, do="save", base_version="0", rules=rules)
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text
    assert signed_in.tenant.get("/calendar/rules/default").json()["version"] is None


def test_a_simulation_says_what_would_flip_and_stores_nothing(signed_in: Visitor) -> None:
    tenant = signed_in.tenant
    user = tenant.add_user()
    tenant.add_event(user, outcome="skip", reason="no_rule_matched", rule=None)
    page = f"/console/rules/{user.id}"
    text = signed_in.post(page, page, do="simulate", base_version="0", rules=RULES).text
    assert "<b>1 would change</b>" in text
    assert tenant.get(f"/calendar/users/{user.id}/rules").json()["version"] is None


def test_settings_are_saved_and_faults_told_at_the_field(signed_in: Visitor) -> None:
    page = "/console/settings"
    assert signed_in.post(page, page, name="Acme", internal_domains="acme.com\nacme.de").status_code == 303
    assert signed_in.tenant.get("/tenant").json()["internal_domains"] == ["acme.com", "acme.de"]
    answer = signed_in.post(page, page, join_lead_seconds="soon")
    assert answer.status_code == 422
    assert 'class="fault"' in answer.text


def test_the_never_record_list_is_kept_a_line_each(signed_in: Visitor) -> None:
    page = "/console/settings"
    assert (
        signed_in.post(page, page, never_domains="lawfirm.com\r\n clinic.org ", never_title_markers="").status_code
        == 303
    )
    listed = signed_in.tenant.get("/calendar/never-record").json()
    assert listed == {"domains": ["lawfirm.com", "clinic.org"], "emails": [], "title_markers": []}
    assert "clinic.org" in signed_in.get(page).text


def test_a_new_keys_secret_is_shown_once(signed_in: Visitor) -> None:
    page = "/console/settings/keys"
    text = signed_in.post(page, page, name="billing", **{"scope_bots:read": "on"}).text
    secret = re.search(r"mb_test_\w{16}_\w{52}", text)
    assert secret is not None
    assert secret[0] not in signed_in.get(page).text


def test_an_endpoint_is_added_tested_and_removed(signed_in: Visitor) -> None:
    page = "/console/webhooks"
    text = signed_in.post(page, page, url="http://127.0.0.1:9/hook", event_types="bot.completed, bot.failed").text
    assert "whsec_" in text
    endpoint = signed_in.tenant.get("/webhook-endpoints").json()["data"][0]
    own = f"{page}/{endpoint['id']}"
    assert signed_in.post(own, own, do="test").status_code == 303
    assert "webhook.ping" in signed_in.get(own).text
    assert signed_in.post(own, own, do="remove").status_code == 303
    assert signed_in.tenant.get("/webhook-endpoints").json()["data"] == []


def test_usage_comes_as_csv(signed_in: Visitor) -> None:
    answer = signed_in.get("/console/usage?csv=1")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.text.startswith("key,bots,")


def test_every_page_tells_its_api_requests_without_the_key(signed_in: Visitor) -> None:
    text = signed_in.get("/console/bots").text
    assert "$API/v1/bots?limit=50" in text
    assert signed_in.tenant.key not in text


def test_a_search_leads_straight_to_the_only_one_that_fits(signed_in: Visitor) -> None:
    user = signed_in.tenant.add_user(email="grace@acme.test", customer_user_id="4711")
    for query in (user.id, "4711", "GRACE@"):
        assert signed_in.get(f"/console/search?q={query}").headers["location"] == f"/console/calendars/{user.id}"


def test_times_are_shown_in_the_zone_that_was_chosen(signed_in: Visitor) -> None:
    signed_in.post("/console/preferences", "/console", zone="Asia/Tokyo", theme="dark")
    user = signed_in.tenant.add_user(last_synced_at=datetime(2026, 3, 29, 0, 30, tzinfo=UTC))
    text = signed_in.get(f"/console/calendars/{user.id}").text
    assert 'data-theme="dark"' in text
    assert "Sun 29 Mar 2026 09:30:00 JST" in text


def test_a_change_made_in_the_console_is_in_the_audit_log_as_the_keys(signed_in: Visitor) -> None:
    signed_in.post("/console/settings", "/console/settings", name="Renamed")
    entry = signed_in.tenant.get("/audit-log?action=tenant.changed").json()["data"][0]
    assert entry["actor"] == signed_in.tenant.key.split("_")[2]


def test_the_calendars_of_an_account_are_shown_and_chosen(signed_in: Visitor) -> None:
    tenant = signed_in.tenant
    user = of_three(tenant)
    page = f"/console/calendars/{user.id}/choice"
    assert f"Name of {SHARED}" in signed_in.get(page).text
    assert signed_in.post(page, page, mode="selected", **{f"calendar {SHARED}": "on"}).status_code == 303
    listed = tenant.get(f"/calendar/users/{user.id}/calendars").json()["data"]
    assert [one["id"] for one in listed if one["selected"]] == [SHARED]


def test_a_check_says_each_line_with_its_next_step(signed_in: Visitor) -> None:
    user = signed_in.tenant.add_user(state="needs_reconnect", error_code="invalid_grant")
    text = signed_in.get(f"/console/calendars/{user.id}/check").text
    assert text.count(">wrong<") >= 1
    assert "<b>token</b>" in text


def test_a_cancelled_bot_that_shares_another_leads_to_that_one(signed_in: Visitor) -> None:
    tenant = signed_in.tenant
    user = tenant.add_user()
    event = tenant.add_event(user)
    other = tenant.add_bot(tenant.add_event(user, title="Other").meeting_key)
    bot = tenant.add_bot(event.meeting_key, state="cancelled", outcome="shared", shared_bot_id=other.id)
    assert f"/console/bots/{other.id}" in signed_in.get(f"/console/bots/{bot.id}").text
