"""Rule sets: putting, versions, going back, layers, simulation; and overrides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import select

from meetbot.rules.faults import Finding
from meetbot.rules.validator import check_document
from meetbot.storage.calendar_user_context import load_context
from meetbot.storage.tables import CalendarUser, Meeting
from meetbot.temporal.messages import CalendarUserSignal
from tests.api.conftest import Tenant, in_hours

BRIEF = {
    "rules": [
        {
            "name": "no 1:1s with my manager",
            "action": "skip",
            "when": {"all": [{"one_to_one": True}, {"attendee_emails": {"any_of": ["$manager_email"]}}]},
        },
        {"name": "customers", "action": "record", "when": {"attendee_domains": {"any_of": ["customer.com"]}}},
        {"name": "internal meetings", "action": "record", "when": {"internal": True}},
    ]
}


def one(name: str, action: str = "record") -> dict[str, Any]:
    return {"rules": [{"name": name, "action": action, "when": {"attendee_domains": {"any_of": ["customer.com"]}}}]}


@pytest.fixture
def user(tenant: Tenant) -> CalendarUser:
    return tenant.add_user(attributes={"manager_email": "mia@own.com"})


def test_the_three_rules_of_the_brief_are_read_back_as_they_were(tenant: Tenant, user: CalendarUser) -> None:
    path = f"/calendar/users/{user.id}/rules"
    put = tenant.put(path, json=BRIEF)
    assert put.status_code == 200, put.text
    assert set(put.json()) == {"version", "created_at", "rules", "all_day"}
    got = tenant.get(path).json()
    assert (got["version"], got["rules"], got["all_day"], got["source"]) == (1, BRIEF["rules"], False, "user")


def test_each_put_makes_a_version_and_wakes_the_workflow(tenant: Tenant, user: CalendarUser) -> None:
    path = f"/calendar/users/{user.id}/rules"
    versions = [tenant.put(path, json=one(name)).json()["version"] for name in ("a", "b")]
    assert versions == [1, 2]
    assert tenant.front.orchestrator.signals == [(user.id, CalendarUserSignal.RULES_CHANGED)] * 2
    listed = tenant.get(f"{path}/versions").json()["data"]
    assert [(row["version"], row["active"], row["rules"][0]["name"]) for row in listed] == [
        (2, True, "b"),
        (1, False, "a"),
    ]


def test_versions_come_in_pages(tenant: Tenant, user: CalendarUser) -> None:
    path = f"/calendar/users/{user.id}/rules"
    for name in "abc":
        tenant.put(path, json=one(name))
    first = tenant.get(f"{path}/versions", params={"limit": 2}).json()
    rest = tenant.get(f"{path}/versions", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [row["version"] for page in (first, rest) for row in page["data"]] == [3, 2, 1]
    assert rest["next_cursor"] is None


def test_going_back_puts_the_old_rules_as_a_new_version(tenant: Tenant, user: CalendarUser) -> None:
    path = f"/calendar/users/{user.id}/rules"
    tenant.put(path, json=one("a"))
    tenant.put(path, json=one("b"))
    answer = tenant.post(f"{path}/rollback", json={"version": 1})
    assert (answer.status_code, answer.json()["version"], answer.json()["rules"][0]["name"]) == (201, 3, "a")
    assert tenant.get(path).json()["version"] == 3
    assert tenant.post(f"{path}/rollback", json={"version": 99}).json()["code"] == "rule_set_version_not_found"


def test_removing_the_own_rules_shows_the_tenants_default(tenant: Tenant, user: CalendarUser) -> None:
    path = f"/calendar/users/{user.id}/rules"
    assert tenant.get(path).json() == {
        "version": None,
        "created_at": None,
        "rules": [],
        "all_day": False,
        "source": "none",
    }
    tenant.put("/calendar/rules/default", json=one("default"))
    tenant.put(path, json=one("own"))
    assert tenant.get(path).json()["source"] == "user"
    assert tenant.request("DELETE", path).status_code == 204
    shown = tenant.get(path).json()
    assert (shown["source"], shown["rules"][0]["name"]) == ("tenant_default", "default")
    assert tenant.put(path, json=one("again")).json()["version"] == 2


def test_what_is_put_is_what_the_worker_decides_by(tenant: Tenant, user: CalendarUser) -> None:
    tenant.put("/calendar/rules/locked_before", json=one("first"))
    tenant.put(f"/calendar/users/{user.id}/rules", json=one("own"))
    with tenant.front.database.transaction(tenant.id) as session:
        context = load_context(session, tenant.id, user.id)
    assert context is not None
    assert {(rules.layer, rules.version) for rules in context.policy.rule_sets} == {("locked_before", 1), ("user", 1)}


@pytest.mark.parametrize(
    ("rules", "path"),
    [
        ([{"name": "x", "action": "record", "when": {"nonsense": True}}], "rules.0.when.nonsense"),
        ([{"name": "x", "action": "keep", "when": {"internal": True}}], "rules.0.action"),
        ([{"name": "x", "action": "record", "when": {"title": {"matches": "("}}}], "rules.0.when.title.matches"),
        ([{"name": "x", "action": "record"}], "rules.0"),
        ("all", "rules"),
        ([{"name": "x", "action": "record", "when": {"attendee_count": 10**30}}], "rules.0.when.attendee_count"),
    ],
)
def test_a_bad_rule_is_refused_whole_with_its_path(tenant: Tenant, user: CalendarUser, rules: Any, path: str) -> None:
    answer = tenant.put(f"/calendar/users/{user.id}/rules", json={"rules": rules})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert any(fault["path"].startswith(path) for fault in answer.json()["errors"]), answer.text
    assert tenant.get(f"/calendar/users/{user.id}/rules").json()["version"] is None


def test_every_fault_is_named_at_once(tenant: Tenant, user: CalendarUser) -> None:
    bad = {"name": "x", "action": "keep", "when": {"nonsense": True}}
    answer = tenant.put(f"/calendar/users/{user.id}/rules", json={"rules": [bad, {**bad, "name": "y"}]})
    assert len(answer.json()["errors"]) >= 4


def test_a_tenants_layer_wakes_its_own_calendar_users_only(tenant: Tenant, new_tenant: Callable[[], Tenant]) -> None:
    known = {tenant.add_user(customer_user_id=str(number)).id for number in range(3)}
    tenant.add_user(customer_user_id="lost", state="needs_reconnect")
    new_tenant().add_user()
    assert tenant.put("/calendar/rules/locked_after", json=one("x")).status_code == 200
    assert {user for user, _ in tenant.front.orchestrator.signals} == known


@pytest.mark.parametrize("layer", ["middle", "user", "ahead", "LOCKED_BEFORE"])
def test_an_unknown_layer_is_404(tenant: Tenant, layer: str) -> None:
    answer = tenant.put(f"/calendar/rules/{layer}", json=one("x"))
    assert (answer.status_code, answer.json()["code"]) == (404, "rule_layer_not_found")


def test_the_tenant_s_owner_name_is_no_calendar_user(tenant: Tenant) -> None:
    tenant.put("/calendar/rules/default", json=one("default"))
    for answer in (
        tenant.get("/calendar/users/tenant/rules"),
        tenant.put("/calendar/users/tenant/rules", json=one("x")),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "calendar_user_not_found")


def test_changing_attributes_merges_and_wakes_the_workflow(tenant: Tenant, user: CalendarUser) -> None:
    answer = tenant.request(
        "PATCH", f"/calendar/users/{user.id}", json={"attributes": {"team": ["a", "b"], "manager_email": None}}
    )
    assert answer.json()["attributes"] == {"team": ["a", "b"]}
    assert tenant.front.orchestrator.signals == [(user.id, CalendarUserSignal.RULES_CHANGED)]


def test_a_simulation_says_which_events_flip_and_why_and_stores_nothing(tenant: Tenant, user: CalendarUser) -> None:
    customer = tenant.add_event(user)
    declined = tenant.add_event(user, owner_response="declined", reason="owner_declined")
    path = f"/calendar/users/{user.id}"
    answer = tenant.post(f"{path}/rules/simulate", json=BRIEF)
    assert answer.status_code == 200, answer.text
    simulation = answer.json()
    assert simulation["summary"] == {"record": 1, "skip": 1, "flips": 1}
    first = simulation["data"][0]
    assert (first["event_id"], first["changed"]) == (customer.id, True)
    assert (first["before"]["outcome"], first["after"]["outcome"], first["after"]["rule"]) == (
        "skip",
        "record",
        "customers",
    )
    assert {row["event_id"] for row in simulation["data"]} == {customer.id, declined.id}
    assert tenant.get(f"{path}/rules").json()["version"] is None
    assert tenant.get(f"{path}/events/{customer.id}").json()["decision"]["outcome"] == "skip"


def test_a_simulation_compares_with_rules_that_are_not_applied_yet(tenant: Tenant, user: CalendarUser) -> None:
    tenant.add_event(user, outcome="skip", reason="no_rule_matched")
    path = f"/calendar/users/{user.id}/rules"
    assert tenant.put(path, json=BRIEF).status_code == 200
    simulation = tenant.post(f"{path}/simulate", json=BRIEF).json()
    assert simulation["summary"] == {"record": 1, "skip": 0, "flips": 0}


def test_a_simulation_is_asked_after_the_tenants_locked_layer(tenant: Tenant, user: CalendarUser) -> None:
    tenant.add_event(user)
    tenant.put("/calendar/rules/locked_before", json=one("never customers", action="skip"))
    simulation = tenant.post(f"/calendar/users/{user.id}/rules/simulate", json=BRIEF).json()
    assert simulation["data"][0]["after"]["rule"] == "never customers"


def test_a_simulation_takes_the_next_events_and_says_that_there_are_more(
    tenant: Tenant, user: CalendarUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = tenant.add_event(user, start_at=in_hours(9))
    soon = tenant.add_event(user, start_at=in_hours(1))
    next_one = tenant.add_event(user, start_at=in_hours(3))
    path = f"/calendar/users/{user.id}/rules/simulate"
    whole = tenant.post(path, json=BRIEF).json()
    assert [row["event_id"] for row in whole["data"]] == [soon.id, next_one.id, later.id]
    assert whole["truncated"] is False
    monkeypatch.setattr("api.simulation.MAX_EVENTS", 2)
    part = tenant.post(path, json=BRIEF).json()
    assert [row["event_id"] for row in part["data"]] == [soon.id, next_one.id]
    assert part["truncated"] is True
    assert part["summary"] == {"record": 2, "skip": 0, "flips": 2}


@pytest.mark.parametrize(("hours_ago", "reason", "flips"), [(25, "access_revoked", 0), (23, "rule_matched", 1)])
def test_no_rule_set_records_after_access_was_revoked_past_its_grace(
    tenant: Tenant, hours_ago: int, reason: str, flips: int
) -> None:
    user = tenant.add_user(state="needs_reconnect", state_changed_at=in_hours(-hours_ago))
    tenant.add_event(user, outcome="skip", reason="no_rule_matched")
    simulation = tenant.post(f"/calendar/users/{user.id}/rules/simulate", json=BRIEF).json()
    (row,) = simulation["data"]
    assert row["after"]["reason"] == reason
    assert simulation["summary"] == {"record": flips, "skip": 1 - flips, "flips": flips}
    assert flips or row["before"] == row["after"]


def test_an_override_is_shown_and_wakes_the_workflow(tenant: Tenant, user: CalendarUser) -> None:
    event = tenant.add_event(user)
    path = f"/calendar/users/{user.id}/events/{event.id}"
    answer = tenant.put(f"{path}/override", json={"recording": "record", "scope": "occurrence"})
    assert answer.status_code == 200, answer.text
    override = answer.json()["override"]
    assert (override["recording"], override["scope"]) == ("record", "occurrence")
    assert override["set_by"] in tenant.key
    assert tenant.front.orchestrator.signals == [(user.id, CalendarUserSignal.RULES_CHANGED)]
    assert tenant.get(path).json()["override"] == override


def test_an_occurrences_override_beats_its_series(tenant: Tenant, user: CalendarUser) -> None:
    event = tenant.add_event(user, series_key="ser_1")
    sibling = tenant.add_event(user, series_key="ser_1")
    path = f"/calendar/users/{user.id}/events"
    tenant.put(f"{path}/{event.id}/override", json={"recording": "skip", "scope": "series"})
    tenant.put(f"{path}/{event.id}/override", json={"recording": "record", "scope": "occurrence"})
    assert tenant.get(f"{path}/{event.id}").json()["override"]["recording"] == "record"
    assert tenant.get(f"{path}/{sibling.id}").json()["override"]["scope"] == "series"
    removed = tenant.request("DELETE", f"{path}/{event.id}/override", params={"scope": "occurrence"})
    assert removed.json()["override"]["scope"] == "series"


def test_overriding_with_record_lifts_a_cancellation_by_hand(tenant: Tenant, user: CalendarUser) -> None:
    event = tenant.add_event(user)
    bot = tenant.add_bot(event.meeting_key)
    assert tenant.post(f"/bots/{bot.id}/cancel").status_code == 202
    path = f"/calendar/users/{user.id}/events/{event.id}/override"
    tenant.put(path, json={"recording": "skip"})
    assert held(tenant, event.meeting_key)
    tenant.put(path, json={"recording": "record", "scope": "series"})
    assert not held(tenant, event.meeting_key)


def test_a_deleted_event_takes_no_override(tenant: Tenant, user: CalendarUser) -> None:
    event = tenant.add_event(user, deleted=True, status="cancelled")
    answer = tenant.put(f"/calendar/users/{user.id}/events/{event.id}/override", json={"recording": "record"})
    assert (answer.status_code, answer.json()["code"]) == (409, "event_deleted")


def held(tenant: Tenant, meeting_key: str) -> bool:
    with tenant.front.database.transaction(tenant.id) as session:
        meeting = session.exec(select(Meeting).where(Meeting.meeting_key == meeting_key)).one()
    return meeting.suppressed_at is not None


_BAD_RULES = {"rules": [{"name": "x", "action": "keep", "when": {"nonsense": True}}]}


@pytest.mark.parametrize(("method", "end"), [("PUT", ""), ("POST", "/simulate")])
def test_rules_are_checked_away_from_the_event_loop(
    tenant: Tenant, user: CalendarUser, monkeypatch: pytest.MonkeyPatch, method: str, end: str
) -> None:
    on_the_loop: list[bool] = []

    def noting_where(document: object) -> list[Finding]:
        on_the_loop.append(asyncio._get_running_loop() is not None)
        return check_document(document)

    monkeypatch.setattr("meetbot.rules.rule_set.check_document", noting_where)
    answer = tenant.request(method, f"/calendar/users/{user.id}/rules{end}", json=_BAD_RULES)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert on_the_loop == [False]


@pytest.mark.parametrize(("method", "end"), [("PUT", ""), ("POST", "/simulate")])
def test_a_strangers_rules_are_not_even_read(tenant: Tenant, user: CalendarUser, method: str, end: str) -> None:
    path = f"/v1/calendar/users/{user.id}/rules{end}"
    answer = tenant.front.client.request(method, path, json=_BAD_RULES)
    assert answer.status_code == 401


def test_of_many_faults_the_last_entry_says_that_there_are_more(tenant: Tenant, user: CalendarUser) -> None:
    rules = [{"name": str(n), "action": "skip", "when": {"all": [{"nonsense": n}] * 40}} for n in range(5)]
    errors = tenant.put(f"/calendar/users/{user.id}/rules", json={"rules": rules}).json()["errors"]
    assert (len(errors), errors[-1]["code"]) == (100, "more_faults")


@pytest.mark.parametrize("version", [True, "1", 1.0, 0])
def test_a_version_to_go_back_to_is_a_whole_number(tenant: Tenant, user: CalendarUser, version: object) -> None:
    path = f"/calendar/users/{user.id}/rules"
    tenant.put(path, json=BRIEF)
    assert tenant.post(f"{path}/rollback", json={"version": version}).status_code == 422
    assert tenant.get(path).json()["version"] == 1


@pytest.mark.parametrize(
    ("method", "end", "body", "own_scope"),
    [
        ("POST", "/rules/simulate", BRIEF, "rules:read"),
        ("PUT", "/events/{event}/override", {"recording": "skip"}, "rules:write"),
        ("DELETE", "/events/{event}/override", None, "rules:write"),
    ],
)
def test_a_route_that_shows_events_needs_the_scope_that_reading_events_needs(
    tenant: Tenant, user: CalendarUser, method: str, end: str, body: Any, own_scope: str
) -> None:
    path = f"/v1/calendar/users/{user.id}" + end.format(event=tenant.add_event(user).id)

    def asked_with(*scopes: str) -> tuple[int, str | None]:
        headers = {"Authorization": f"Bearer {tenant.key_with(*scopes)}"}
        answer = tenant.front.client.request(method, path, json=body, headers=headers)
        return answer.status_code, answer.json().get("code")

    assert asked_with(own_scope) == (403, "missing_scope")
    assert asked_with("calendars:read") == (403, "missing_scope")
    assert asked_with(own_scope, "calendars:read") == (200, None)
