"""The tenant's never-record list over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from meetbot.storage.calendar_user_context import load_context
from meetbot.temporal.messages import CalendarUserSignal
from tests.api.conftest import Tenant

PATH = "/calendar/never-record"
LISTED = {"domains": ["lawfirm.com"], "emails": ["doctor@clinic.org"], "title_markers": ["[private]"]}


def test_a_tenant_begins_with_an_empty_list(tenant: Tenant) -> None:
    assert tenant.get(PATH).json() == {"domains": [], "emails": [], "title_markers": []}


def test_a_put_replaces_the_whole_list_and_has_all_calendars_decided_anew(tenant: Tenant) -> None:
    user = tenant.add_user()
    assert tenant.put(PATH, json=LISTED).json() == LISTED
    shorter = {"domains": ["lawfirm.com", "LawFirm.com"]}
    assert tenant.put(PATH, json=shorter).json() == {"domains": ["lawfirm.com"], "emails": [], "title_markers": []}
    assert tenant.get(PATH).json()["emails"] == []
    assert tenant.front.orchestrator.signals == [(user.id, CalendarUserSignal.RULES_CHANGED)] * 2


def test_a_calendar_is_decided_by_the_list_in_force(tenant: Tenant) -> None:
    user = tenant.add_user()
    before = _policy(tenant, user.id)
    tenant.put(PATH, json=LISTED)
    after = _policy(tenant, user.id)
    assert after.never_record.domains == ("lawfirm.com",)
    assert before.digest != after.digest


def test_the_audit_log_counts_what_was_put_and_names_nobody(tenant: Tenant) -> None:
    tenant.put(PATH, json=LISTED)
    entry = tenant.get("/audit-log?action=never_record.put").json()["data"][0]
    assert entry["detail"] == {"domains": 1, "emails": 1, "title_markers": 1}


@pytest.mark.parametrize(
    "body",
    [
        {"domains": ["not a domain"]},
        {"domains": [""]},
        {"emails": ["nobody"]},
        {"emails": ["@clinic.org"]},
        {"title_markers": ["  "]},
        {"title_markers": ["x" * 201]},
        {"domains": ["a.com"] * 501},
        {"unknown": []},
        [],
    ],
)
def test_a_bad_list_is_refused_whole(tenant: Tenant, body: Any) -> None:
    assert tenant.put(PATH, json=body).status_code == 422
    assert tenant.get(PATH).json() == {"domains": [], "emails": [], "title_markers": []}


def _policy(tenant: Tenant, user_id: str) -> Any:
    with tenant.front.database.transaction(tenant.id) as session:
        user = load_context(session, tenant.id, user_id, with_secret=False)
    assert user is not None
    return user.policy
