"""What is past a tenant's days is deleted for good, and the nightly run says so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from activities.background.retention import run_due
from meetbot.domain.audit import AuditFact
from meetbot.storage.audit_log import append
from meetbot.storage.retention import begin_run, delete_old
from meetbot.storage.tenants import find_tenant
from tests.api.conftest import Tenant


def days_ago(days: float) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


def delete(tenant: Tenant, now: datetime | None = None) -> dict[str, int]:
    database = tenant.front.database
    with database.transaction(tenant.id) as session:
        row = find_tenant(session, tenant.id)
    assert row is not None
    deleted = delete_old(database, row, now=now or datetime.now(UTC))
    return {kind: count for kind, count in deleted.items() if count}


def add_old_event(tenant: Tenant, user: Any, days: float) -> Any:
    event = tenant.add_event(user, start_at=days_ago(days))
    run(tenant, f"update calendar_event set updated_at = end_at where id = '{event.id}'")
    return event


def run(tenant: Tenant, statement: str) -> None:
    with tenant.front.database.transaction(tenant.id) as session:
        session.execute(text(statement))


def test_the_days_have_defaults_and_can_be_changed(tenant: Tenant) -> None:
    assert tenant.get("/tenant").json()["retention"] == {
        "event_days": 90, "bot_days": 365, "delivery_days": 30, "audit_days": 365,
    }  # fmt: skip
    answer = tenant.request("PATCH", "/tenant", json={"retention": {"event_days": 7}, "max_bots_per_day": 3})
    assert (answer.json()["retention"]["event_days"], answer.json()["retention"]["bot_days"]) == (7, 365)
    assert answer.json()["max_bots_per_day"] == 3


@pytest.mark.parametrize(
    "body",
    [
        {"retention": {"event_days": 1}},
        {"retention": {"audit_days": 29}},
        {"retention": {"bot_days": 99999}},
        {"retention": {"delivery_days": "7"}},
        {"retention": {"event_days": None}},
        {"retention": {"years": 1}},
        {"retention": 7},
        {"retention": None},
        {"max_bots_per_day": -1},
        {"max_bots_per_day": 1001},
        {"max_bots_per_day": None},
    ],
)
def test_days_out_of_bounds_are_refused(tenant: Tenant, body: dict[str, Any]) -> None:
    answer = tenant.request("PATCH", "/tenant", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), answer.text
    assert tenant.get("/tenant").json()["max_bots_per_day"] == 50


def test_events_and_bots_go_after_their_days_with_all_that_hangs_on_them(tenant: Tenant) -> None:
    user = tenant.add_user()
    old, recent = add_old_event(tenant, user, 400), add_old_event(tenant, user, 80)
    for event, days in ((old, 400), (recent, 80)):
        tenant.add_claim(user, event)
        tenant.add_bot(event.meeting_key, state="completed", end_at=days_ago(days), event_id=event.id)
        run(tenant, f"insert into meeting values ('{tenant.id}', '{event.meeting_key}', 1)")
    for table in ("bot", "bot_claim", "meeting"):
        column = "updated_at = end_at" if table == "bot" else "created_at = now() - interval '400 days'"
        run(tenant, f"update {table} set {column} where meeting_key = '{old.meeting_key}'")
    assert delete(tenant) == {"events": 1, "bots": 1, "claims": 1, "meetings": 1}
    assert [bot["meeting_key"] for bot in tenant.get("/bots").json()["data"]] == [recent.meeting_key]
    assert delete(tenant) == {}


def test_a_live_bot_and_a_waiting_delivery_stay(tenant: Tenant) -> None:
    tenant.add_bot("mtg_1", end_at=days_ago(999))
    run(tenant, "update bot set updated_at = end_at")
    endpoint = tenant.post("/webhook-endpoints", json={"url": "https://example.com/h"}).json()["id"]
    for _ in range(2):
        tenant.post(f"/webhook-endpoints/{endpoint}/test")
    run(tenant, "update webhook_delivery set created_at = now() - interval '31 days'")
    run(tenant, "update webhook_delivery set state = 'dead' where id = (select min(id) from webhook_delivery)")
    assert delete(tenant) == {"deliveries": 1}


def test_the_audit_chain_survives_the_deletion_of_its_oldest_entries(tenant: Tenant) -> None:
    with tenant.front.database.transaction(tenant.id) as session:
        for number, days in enumerate((400, 380, 370, 40, 366, 1)):
            append(session, tenant.id, AuditFact(days_ago(days), "key", "a.b", f"t{number}"))
    assert delete(tenant) == {"audit_entries": 3}
    found = tenant.get("/audit-log/verify").json()
    assert (found["ok"], found["checked"], found["anchor_sequence"]) == (True, 3, 3)
    assert [entry["target"] for entry in tenant.get("/audit-log").json()["data"]] == ["t5", "t4", "t3"]
    tenant.request("PATCH", "/tenant", json={"name": "Another"})
    assert tenant.get("/audit-log/verify").json()["ok"]
    assert delete(tenant) == {}


def test_a_night_has_one_run_for_each_tenant(new_tenant: Callable[[], Tenant]) -> None:
    first, second = new_tenant(), new_tenant()
    add_old_event(first, first.add_user(), 100)
    now = datetime.now(UTC)
    assert run_due(first.front.database, lambda: now) >= 2
    assert run_due(first.front.database, lambda: now) == 0
    (told,) = first.get("/tenant/retention-runs").json()["data"]
    assert (told["day"], told["deleted"]["events"]) == (now.date().isoformat(), 1)
    assert told["finished_at"] is not None
    assert second.get("/tenant/retention-runs").json()["data"][0]["deleted"]["events"] == 0


def test_a_run_that_died_is_done_again_after_an_hour(tenant: Tenant) -> None:
    now = datetime.now(UTC).replace(hour=3)
    begun = []
    for minutes in (0, 30, 61):
        with tenant.front.database.transaction(tenant.id) as session:
            begun.append(begin_run(session, tenant.id, now=now + timedelta(minutes=minutes)))
    assert begun == [True, False, True]
