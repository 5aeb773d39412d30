"""The history of an event and the explanation of its decision, over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from meetbot.storage.tables import CalendarEvent, CalendarUser
from tests.api.conftest import Tenant
from tests.api.test_retention import delete

CUSTOMERS = {"name": "customers", "action": "record", "when": {"attendee_domains": {"any_of": ["customer.com"]}}}
NO_MANAGER = {"name": "manager", "action": "skip", "when": {"attendee_emails": {"any_of": ["$manager_email"]}}}


def path_of(event: CalendarEvent, view: str) -> str:
    return f"/calendar/users/{event.calendar_user_id}/events/{event.id}/{view}"


def put(tenant: Tenant, path: str, *rules: dict[str, Any]) -> int:
    answer = tenant.put(path, json={"rules": list(rules)})
    assert answer.status_code == 200, answer.text
    version: int = answer.json()["version"]
    return version


def recorded(tenant: Tenant, user: CalendarUser, **changes: Any) -> CalendarEvent:
    """An event that the user's rules of now record, as a sync would have stored it."""
    put(tenant, f"/calendar/users/{user.id}/rules", CUSTOMERS)
    values = {"outcome": "record", "reason": "rule_matched", "rule": "customers", "rule_layer": "user"}
    return tenant.add_event(user, **(values | {"rule_set_version": "1", "decided_at": datetime.now(UTC)} | changes))


def explained(tenant: Tenant, event: CalendarEvent) -> dict[str, Any]:
    answer = tenant.get(path_of(event, "explain"))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_an_explanation_shows_what_each_condition_saw(tenant: Tenant) -> None:
    found = explained(tenant, recorded(tenant, tenant.add_user()))
    assert (found["agrees"], found["decision"], found["traced"]["rule"]) == (True, found["traced"], "customers")
    (rule,) = found["rules"]
    assert (rule["layer"], rule["version"], rule["reached"], rule["decides"]) == ("user", 1, True, True)
    condition = rule["condition"]
    assert (condition["kind"], condition["test"]) == ("attendee_domains", {"any_of": ["customer.com"]})
    assert condition["seen"] == ["customer.com", "own.com"]
    assert not any(check["holds"] for check in found["fixed_policy"])


def test_an_explanation_asks_the_never_record_list(tenant: Tenant) -> None:
    assert tenant.put("/calendar/never-record", json={"domains": ["customer.com"]}).status_code == 200
    skipped = {"outcome": "skip", "reason": "never_record", "rule": None, "rule_layer": None, "rule_set_version": None}
    found = explained(tenant, recorded(tenant, tenant.add_user(), **skipped))
    assert (found["agrees"], found["traced"]["reason"]) == (True, "never_record")
    assert [check["reason"] for check in found["fixed_policy"] if check["holds"]] == ["never_record"]


def test_an_explanation_is_by_the_version_that_decided(tenant: Tenant) -> None:
    user = tenant.add_user()
    event = recorded(tenant, user)
    put(tenant, f"/calendar/users/{user.id}/rules")
    found = explained(tenant, event)
    assert found["rule_sets"] == [{"layer": "user", "version": 1}]
    assert found["agrees"]


def test_locked_layers_and_the_default_are_those_in_force_then(tenant: Tenant) -> None:
    locked, default = "/calendar/rules/locked_before", "/calendar/rules/default"
    put(tenant, locked, NO_MANAGER)
    put(tenant, default, CUSTOMERS)
    user = tenant.add_user()
    event = tenant.add_event(
        user, outcome="record", reason="rule_matched", rule="customers", rule_layer="default", rule_set_version="1"
    )
    assert tenant.delete(locked).status_code == 204
    put(tenant, locked, CUSTOMERS)
    put(tenant, f"/calendar/users/{user.id}/rules")
    found = explained(tenant, event)
    assert found["rule_sets"] == [{"layer": "locked_before", "version": 1}, {"layer": "default", "version": 1}]
    assert [(rule["name"], rule["decides"]) for rule in found["rules"]] == [("manager", False), ("customers", True)]
    assert found["agrees"]


def test_attributes_are_those_that_the_decision_saw(tenant: Tenant) -> None:
    user = tenant.add_user(attributes={"manager_email": "other@own.com"})
    put(tenant, f"/calendar/users/{user.id}/rules", NO_MANAGER)
    then = {"attributes": {"manager_email": "ben@customer.com"}}
    event = tenant.add_event(
        user, outcome="skip", reason="rule_matched", rule="manager", rule_layer="user", rule_set_version="1", facts=then
    )
    found = explained(tenant, event)
    assert found["agrees"]
    assert found["rules"][0]["condition"]["attributes"] == then["attributes"]


def test_what_other_things_than_rules_decided_does_not_agree(tenant: Tenant) -> None:
    event = recorded(tenant, tenant.add_user(), outcome="skip", reason="daily_limit")
    found = explained(tenant, event)
    assert (found["agrees"], found["decision"]["reason"], found["traced"]["reason"]) == (
        False, "daily_limit", "rule_matched",
    )  # fmt: skip


def test_an_explanation_needs_both_scopes(tenant: Tenant) -> None:
    event = recorded(tenant, tenant.add_user())
    for scopes, status in ((("calendars:read",), 403), (("rules:read",), 403), (("calendars:read", "rules:read"), 200)):
        headers = {"Authorization": f"Bearer {tenant.key_with(*scopes)}"}
        assert tenant.get(path_of(event, "explain"), headers=headers).status_code == status


def test_a_history_is_read_in_pages_with_who_set_an_override(tenant: Tenant) -> None:
    event = recorded(tenant, tenant.add_user())
    tenant.add_bot(event.meeting_key, event_id=event.id)
    override = path_of(event, "override")
    tenant.put(override, json={"recording": "skip", "scope": "series"})
    tenant.delete(override, params={"scope": "series"})
    tenant.delete(override, params={"scope": "series"})
    seen, cursor = [], None
    for _ in range(5):
        page = tenant.get(
            path_of(event, "history"), params={"limit": 1} | ({"cursor": cursor} if cursor else {})
        ).json()
        seen += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [entry["changes"] for entry in seen] == [
        ["first_seen"], ["bot_linked"], ["override_set"], ["override_cleared"],
    ]  # fmt: skip
    assert (seen[2]["after"]["override"], seen[2]["after"]["scope"]) == ("skip", "series")
    assert seen[3]["after"]["by"] is not None
    assert seen[3]["after"]["by"] in tenant.key
    (only,) = tenant.get(path_of(event, "history"), params={"change": "override_set"}).json()["data"]
    assert only == seen[2]


def test_a_history_stays_for_the_days_of_events_and_no_longer(tenant: Tenant) -> None:
    event = recorded(tenant, tenant.add_user())
    tenant.put(path_of(event, "override"), json={"recording": "skip"})
    run = tenant.front.database.transaction
    with run(tenant.id) as session:
        session.execute(text("update event_history set at = now() - interval '91 days'"))
    assert delete(tenant) == {}
    with run(tenant.id) as session:
        session.execute(text("delete from calendar_event"))
    assert delete(tenant) == {"event_history": 1}


def test_a_calendar_users_history_holds_all_its_events_the_newest_first(tenant: Tenant) -> None:
    user, other = tenant.add_user(), tenant.add_user()
    events = [recorded(tenant, user), recorded(tenant, user)]
    for event in (*events, recorded(tenant, other)):
        tenant.put(path_of(event, "override"), json={"recording": "skip"})
    path = f"/calendar/users/{user.id}/history"
    first = tenant.get(path, params={"limit": 1}).json()
    rest = tenant.get(path, params={"limit": 1, "cursor": first["next_cursor"]}).json()
    assert [row["event_id"] for row in first["data"] + rest["data"]] == [events[1].id, events[0].id]
    assert rest["next_cursor"] is None
    assert tenant.get(path, params={"change": "moved"}).json()["data"] == []
    assert tenant.get(path, params={"to": "2026-01-01T00:00:00Z"}).json()["data"] == []
    assert len(tenant.get(path, params={"from": "2026-01-01T00:00:00Z"}).json()["data"]) == 2
