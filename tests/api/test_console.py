"""The pages of the console: what each shows, and what it does."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest

from tests.api.console_visitor import PAGES, Visitor, signed_in, visitor
from tests.api.test_calendars import SHARED, of_three

__all__ = ["signed_in", "visitor"]

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


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


def test_a_simulation_of_the_tenants_rules_is_over_all_its_calendars(signed_in: Visitor) -> None:
    tenant = signed_in.tenant
    for name in ("alice", "bob"):
        tenant.add_event(tenant.add_user(customer_user_id=name), outcome="skip", reason="no_rule_matched", rule=None)
    text = signed_in.post("/console/rules", "/console/rules", do="simulate", base_version="0", rules=RULES).text
    assert "<b>2 would change</b>" in text


def test_a_meetings_page_explains_rule_by_rule_and_tells_what_happened(signed_in: Visitor) -> None:
    tenant = signed_in.tenant
    user = tenant.add_user()
    tenant.put("/calendar/rules/default", json=json.loads(RULES))
    event = tenant.add_event(user, rule="all", rule_layer="default", rule_set_version=1)
    text = signed_in.get(f"/console/calendars/{user.id}/meetings/{event.id}").text
    assert "Rule by rule" in text
    assert "<b>all</b>" in text
    assert "seen for the first time" in text


def test_a_piece_of_a_title_finds_the_meeting(signed_in: Visitor) -> None:
    tenant = signed_in.tenant
    user = tenant.add_user()
    event = tenant.add_event(user, title="Quarterly figures")
    location = signed_in.get("/console/search?q=quarterly").headers["location"]
    assert location == f"/console/calendars/{user.id}/meetings/{event.id}"


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
    assert "webhook.ping" in signed_in.get(f"{page}/deliveries").text
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
