"""What a layer of the tenant's rules would change, over its calendar users."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.conftest import Tenant, in_hours

CUSTOMERS: dict[str, Any] = {
    "rules": [{"name": "customers", "action": "record", "when": {"attendee_domains": {"any_of": ["customer.com"]}}}]
}
NOBODY: dict[str, Any] = {"rules": [{"name": "nobody", "action": "skip", "when": {"always": True}}]}


def simulated(tenant: Tenant, layer: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = tenant.post(f"/calendar/rules/{layer}/simulate", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_default_changes_those_who_have_no_rules_of_their_own(tenant: Tenant) -> None:
    plain, own = tenant.add_user(), tenant.add_user()
    tenant.put(f"/calendar/users/{own.id}/rules", json=NOBODY)
    event = tenant.add_event(plain)
    tenant.add_event(own)
    found = simulated(tenant, "default", CUSTOMERS)
    assert found["summary"] == {"record": 1, "skip": 1, "flips": 1}
    assert (found["users"], found["sampled_users"], found["truncated"]) == (2, 2, False)
    first = found["data"][0]
    assert (first["event_id"], first["calendar_user_id"], first["changed"]) == (event.id, plain.id, True)
    assert first["after"]["rule_layer"] == "default"
    assert tenant.get("/calendar/rules/default").json()["version"] is None


@pytest.mark.parametrize(("layer", "recorded"), [("locked_before", 0), ("locked_after", 1)])
def test_a_locked_layer_is_asked_at_its_place(tenant: Tenant, layer: str, recorded: int) -> None:
    user = tenant.add_user()
    tenant.put(f"/calendar/users/{user.id}/rules", json=CUSTOMERS)
    tenant.add_event(user)
    assert simulated(tenant, layer, NOBODY)["summary"]["record"] == recorded


def test_a_sample_of_users_shares_the_events_evenly(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.simulation.MAX_USERS", 2)
    monkeypatch.setattr("api.simulation.MAX_EVENTS", 2)
    users = sorted((tenant.add_user() for _ in range(3)), key=lambda user: user.id)
    events = {user.id: [tenant.add_event(user, start_at=in_hours(hours)) for hours in (2, 1)] for user in users}
    found = simulated(tenant, "default", CUSTOMERS)
    assert (found["users"], found["sampled_users"], found["truncated"]) == (3, 2, True)
    assert {row["event_id"] for row in found["data"]} == {events[user.id][1].id for user in users[:2]}


def test_a_user_who_is_being_erased_is_no_part_of_it(tenant: Tenant) -> None:
    tenant.add_event(tenant.add_user(state="disconnecting"))
    found = simulated(tenant, "default", CUSTOMERS)
    assert (found["data"], found["users"], found["sampled_users"]) == ([], 0, 0)


def test_another_tenants_events_are_no_part_of_it(new_tenant: Callable[[], Tenant]) -> None:
    owner, stranger = new_tenant(), new_tenant()
    owner.add_event(owner.add_user())
    assert simulated(stranger, "default", CUSTOMERS)["data"] == []


def test_bad_rules_and_unknown_layers_are_refused(tenant: Tenant) -> None:
    bad = tenant.post("/calendar/rules/default/simulate", json={"rules": [{"name": "x"}]})
    assert bad.status_code == 422
    assert tenant.post("/calendar/rules/user/simulate", json=CUSTOMERS).status_code == 404
