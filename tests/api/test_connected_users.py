"""What a completed consent stores, and what a repeated one changes."""

from __future__ import annotations

import pytest
from sqlmodel import select

from meetbot.storage.rule_sets import active_rule_set
from meetbot.storage.tables import CalendarUser, WebhookDelivery
from meetbot.temporal.messages import CalendarUserSignal
from tests.api.conftest import Tenant
from tests.api.consent_flow import (
    HOME,
    RULES,
    come_back,
    connect,
    connect_microsoft,
    open_link,
    refresh_token_of,
    to_provider,
    told,
    users,
)
from tests.api.stand_ins import Consent


def test_consent_makes_a_calendar_user_and_tells_the_customer_its_id(tenant: Tenant) -> None:
    answer = connect(tenant, attributes={"manager_email": "mia@own.com"}, rules=RULES)
    (user,) = users(tenant)
    assert answer == {
        "tab": "1",
        "status": "connected",
        "meetbot_calendar_user_id": user.id,
        "customer_user_id": "customer-1",
    }
    assert (user.email, user.state, user.attributes) == ("olga@own.com", "connecting", {"manager_email": "mia@own.com"})


def test_the_refresh_token_is_stored_only_sealed_and_bound_to_its_calendar_user(tenant: Tenant) -> None:
    connect(tenant, Consent(refresh_token="1//canary"))
    (user,) = users(tenant)
    assert b"canary" not in user.refresh_ciphertext
    assert refresh_token_of(tenant, user) == "1//canary"


def test_the_workflow_is_started_after_the_calendar_user_was_stored(tenant: Tenant) -> None:
    answer = connect(tenant)
    assert [user.id for user in tenant.front.orchestrator.started] == [answer["meetbot_calendar_user_id"]]


def test_connecting_succeeds_while_temporal_is_away(tenant: Tenant) -> None:
    tenant.front.orchestrator.is_up = False
    assert connect(tenant)["status"] == "connected"
    assert len(users(tenant)) == 1


def test_the_rules_of_the_request_become_the_first_version(tenant: Tenant) -> None:
    answer = connect(tenant, rules=RULES)
    shown = tenant.get(f"/calendar/users/{answer['meetbot_calendar_user_id']}/rules").json()
    assert (shown["version"], shown["source"], shown["rules"]) == (1, "user", RULES["rules"])


def test_the_accounts_other_addresses_are_those_of_its_last_consent(tenant: Tenant) -> None:
    for aliases in (("olga@own.onmicrosoft.com",), ("o.own@own.com", "olga@own.onmicrosoft.com"), ()):
        connect(tenant, Consent(aliases=aliases))
        (user,) = users(tenant)
        assert tuple(user.email_aliases) == aliases


def test_connecting_again_keeps_id_and_rules_and_takes_the_new_token(tenant: Tenant) -> None:
    first = connect(tenant, rules=RULES)
    second = connect(tenant, Consent(refresh_token="refresh-2"), rules={"rules": []}, attributes={"team": "red"})
    (user,) = users(tenant)
    assert first["meetbot_calendar_user_id"] == second["meetbot_calendar_user_id"] == user.id
    assert refresh_token_of(tenant, user) == "refresh-2"
    assert user.attributes == {"team": "red"}
    assert tenant.front.orchestrator.signals == [(user.id, CalendarUserSignal.RECONNECTED)]
    with tenant.front.database.transaction(tenant.id) as session:
        rules = active_rule_set(session, tenant.id, user.id, "user")
    assert rules is not None
    assert rules.version == 1


def test_a_grant_without_a_refresh_token_keeps_the_old_one_of_the_same_account(tenant: Tenant) -> None:
    connect(tenant)
    assert connect(tenant, Consent(refresh_token=None))["status"] == "connected"
    (user,) = users(tenant)
    assert refresh_token_of(tenant, user) == "refresh-1"


def test_a_first_grant_without_a_refresh_token_is_a_provider_error(tenant: Tenant) -> None:
    assert connect(tenant, Consent(refresh_token=None))["error"] == "provider_error"
    assert users(tenant) == []


def test_a_first_consent_at_microsoft_without_offline_access_lacks_a_scope(tenant: Tenant) -> None:
    assert connect_microsoft(tenant, Consent(refresh_token=None))["error"] == "scope_missing"
    assert users(tenant) == []


def test_access_that_was_lost_is_not_given_again_without_a_refresh_token(tenant: Tenant) -> None:
    known = connect_microsoft(tenant, Consent())["meetbot_calendar_user_id"]
    with tenant.front.database.transaction(tenant.id) as session:
        session.get_one(CalendarUser, (tenant.id, known)).state = "needs_reconnect"
    assert connect_microsoft(tenant, Consent(refresh_token=None))["error"] == "scope_missing"
    assert [user.state for user in users(tenant)] == ["needs_reconnect"]


@pytest.mark.parametrize(
    ("consent", "customer_user_id"), [(Consent(subject="subject-2"), "customer-1"), (Consent(), "customer-2")]
)
def test_another_account_or_another_customer_user_is_another_calendar_user(
    tenant: Tenant, consent: Consent, customer_user_id: str
) -> None:
    connect(tenant)
    connect(tenant, consent, customer_user_id=customer_user_id)
    assert len(users(tenant)) == 2


def test_reconnecting_needs_the_same_account(tenant: Tenant) -> None:
    front = tenant.front
    known = connect(tenant)["meetbot_calendar_user_id"]
    answer = tenant.post(f"/calendar/users/{known}/reconnect", json={"redirect_url": HOME})
    assert answer.status_code == 201
    location = to_provider(front.client, answer.json()["authorization_url"])
    other = Consent(f"subject-{tenant.id}", refresh_token="x")
    mismatch = told(come_back(front.client, front.google.consent(location, other)))
    assert mismatch["error"] == "account_mismatch"
    assert front.google.revoked == ["x"]
    (user,) = users(tenant)
    assert refresh_token_of(tenant, user) == "refresh-1"


def test_reconnecting_wakes_a_calendar_user_that_had_lost_access(tenant: Tenant) -> None:
    front = tenant.front
    known = connect(tenant)["meetbot_calendar_user_id"]
    with front.database.transaction(tenant.id) as session:
        user = session.get_one(CalendarUser, (tenant.id, known))
        user.state, user.error_code = "needs_reconnect", "invalid_grant"
        session.add(user)
    shown = tenant.get(f"/calendar/users/{known}").json()
    location = to_provider(front.client, shown["reconnect_url"])
    page = come_back(front.client, front.google.consent(location, Consent(refresh_token="refresh-2")))
    assert page.status_code == 200
    after = tenant.get(f"/calendar/users/{known}").json()
    assert (after["state"], after["error_code"], "reconnect_url" in after) == ("connecting", None, False)
    assert open_link(front.client, shown["reconnect_url"]).status_code == 400


def test_a_reconnect_link_is_opened_a_few_times_at_once_only(tenant: Tenant) -> None:
    user, other = (tenant.add_user(state="needs_reconnect") for _ in range(2))
    link, others = (tenant.get(f"/calendar/users/{known.id}").json()["reconnect_url"] for known in (user, other))
    answers = [open_link(tenant.front.client, link) for _ in range(12)]
    assert [answer.status_code for answer in answers] == [302] * 10 + [429] * 2
    assert answers[-1].headers["retry-after"] == "600"
    assert open_link(tenant.front.client, others).status_code == 302


def test_a_reconnect_link_cannot_be_made_up(tenant: Tenant) -> None:
    user = tenant.add_user(state="needs_reconnect")
    forged = f"/v1/calendar/reconnect/{tenant.id}.{user.id}.{'A' * 43}"
    assert tenant.front.client.get(forged).status_code == 400


def test_a_completed_consent_tells_the_tenants_webhooks(tenant: Tenant) -> None:
    assert (
        tenant.post("/webhook-endpoints", json={"url": "https://example.com/h", "event_types": ["*"]}).status_code
        == 201
    )
    connected = connect(tenant)
    deliveries = tenant.front.services.database
    with deliveries.transaction(tenant.id) as session:
        (delivery,) = session.exec(select(WebhookDelivery)).all()
    assert (delivery.event_type, delivery.data["id"]) == (
        "calendar_user.connected",
        connected["meetbot_calendar_user_id"],
    )
