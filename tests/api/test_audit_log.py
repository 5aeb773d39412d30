"""The audit log: one entry for each change, and a chain that shows what was tampered with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from api.access import ROUTES
from meetbot.domain.audit import AuditFact, DetailValue
from meetbot.domain.ids import new_id
from meetbot.storage.audit_log import append
from meetbot.storage.secret_uses import OpenedSecret, SecretPurpose, note_secret_use
from tests.api.conftest import Front, Tenant, in_hours
from tests.api.test_isolation import BODIES, call

CHANGING = sorted((method.lower(), f"/v1{path}") for (method, path), access in ROUTES.items() if access.action)
MORE_BODIES: dict[str, Any] = {"/v1/webhook-endpoints/{endpoint_id}/replay": {"state": "delivered"}}


def entries(tenant: Tenant, **filters: Any) -> list[dict[str, Any]]:
    answer = tenant.get("/audit-log", params=filters)
    assert answer.status_code == 200, answer.text
    data: list[dict[str, Any]] = answer.json()["data"]
    return data


def things_of(tenant: Tenant) -> dict[str, str]:
    user = tenant.add_user()
    event = tenant.add_event(user)
    endpoint = tenant.post("/webhook-endpoints", json={"url": "https://example.com/h"}).json()["id"]
    delivery = tenant.post(f"/webhook-endpoints/{endpoint}/test").json()["id"]
    with tenant.front.database.transaction(tenant.id) as session:
        session.execute(text("update webhook_delivery set state = 'dead'"))
    tenant.put(f"/calendar/users/{user.id}/rules", json={"rules": []})
    tenant.put("/calendar/rules/default", json={"rules": []})
    tenant.put("/oauth-apps/google", json=BODIES["/v1/oauth-apps/{provider}"])
    tenant.put("/oauth-apps/microsoft", json=BODIES["/v1/oauth-apps/{provider}"])
    # With a user of its own it is retired and not destroyed, which has an entry too.
    tenant.add_user(oauth_client_id="own-client")
    return {
        "calendar_user_id": user.id,
        "event_id": event.id,
        "bot_id": tenant.add_bot(event.meeting_key).id,
        "endpoint_id": endpoint,
        "delivery_id": delivery,
        "key_id": tenant.post("/api-keys", json=BODIES["/v1/api-keys"]).json()["id"],
    }


@pytest.mark.parametrize(("method", "path"), CHANGING)
def test_every_change_writes_one_entry(tenant: Tenant, method: str, path: str) -> None:
    ids = things_of(tenant)
    before = len(entries(tenant))
    answer = call(tenant.front, method, path, tenant.headers, ids)
    assert answer.status_code < 300, answer.text
    found = entries(tenant)
    assert len(found) == before + 1
    entry = found[0]
    assert entry["action"] == ROUTES[method.upper(), path.removeprefix("/v1")].action
    assert (entry["actor"], entry["ip"]) == (tenant.key.split("_")[2], "testclient")
    assert entry["request_id"] == answer.headers["x-request-id"]
    assert entry["target"]
    assert "example.com" not in json.dumps(entry)


def test_a_refused_change_writes_no_entry(tenant: Tenant) -> None:
    user = tenant.add_user()
    tenant.request("PATCH", f"/calendar/users/{user.id}", json={"attributes": {f"a{i}": 1 for i in range(51)}})
    tenant.post("/calendar/users/cu_none/sync")
    tenant.request("PATCH", "/tenant", json={"name": None})
    tenant.request("DELETE", f"/api-keys/{tenant.key.split('_')[2]}")
    assert entries(tenant) == []


def test_a_repeated_request_writes_one_entry(tenant: Tenant) -> None:
    for _ in range(2):
        tenant.post("/api-keys", json=BODIES["/v1/api-keys"], headers={"Idempotency-Key": "one"})
    assert [entry["action"] for entry in entries(tenant)] == ["api_key.created"]


def test_entries_are_filtered_and_paged(tenant: Tenant, new_tenant: Callable[[], Tenant]) -> None:
    write(new_tenant(), 1)
    write(tenant, 5)
    assert [entry["target"] for entry in entries(tenant, actor="key_1")] == ["t4", "t1"]
    assert [entry["target"] for entry in entries(tenant, action="a.b2")] == ["t2"]
    bounds = {"from": OLDEST + timedelta(days=1), "to": OLDEST + timedelta(days=3)}
    assert [entry["target"] for entry in entries(tenant, **bounds)] == ["t2", "t1"]
    page = tenant.get("/audit-log", params={"limit": 3}).json()
    rest = tenant.get("/audit-log", params={"limit": 3, "cursor": page["next_cursor"]}).json()
    assert [entry["target"] for entry in page["data"] + rest["data"]] == ["t4", "t3", "t2", "t1", "t0"]


def test_the_hash_can_be_computed_from_what_is_shown(tenant: Tenant) -> None:
    write(tenant, 2)
    entry = entries(tenant)[0]
    shown = {name: value for name, value in entry.items() if name not in ("hash", "previous_hash")}
    text_ = json.dumps(shown | {"tenant_id": tenant.id}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.sha256(bytes.fromhex(entry["previous_hash"]) + text_.encode())
    assert digest.hexdigest() == entry["hash"]


def test_a_whole_chain_verifies_to_its_end(tenant: Tenant) -> None:
    assert verified(tenant) == (True, 0, None)
    write(tenant, 3)
    assert verified(tenant) == (True, 3, None)
    assert verified(tenant, after=2) == (True, 3, None)
    assert tenant.get("/audit-log/verify").json()["hash"] == entries(tenant)[0]["hash"]


def test_entries_written_at_once_make_one_chain(tenant: Tenant) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: write(tenant, 1), range(24)))
    assert verified(tenant) == (True, 24, None)


@pytest.mark.parametrize(
    ("statement", "sequence", "reason"),
    [
        ("update audit_entry set actor = 'other' where sequence = 3", 3, "entry_changed"),
        ("update audit_entry set detail = '{}' where sequence = 3", 3, "entry_changed"),
        ("update audit_entry set at = at + interval '1 microsecond' where sequence = 3", 3, "entry_changed"),
        ("update audit_entry set hash = previous_hash where sequence = 3", 3, "entry_changed"),
        ("update audit_entry set previous_hash = hash where sequence = 3", 3, "link_broken"),
        ("delete from audit_entry where sequence = 3", 3, "entry_missing"),
        ("delete from audit_entry where sequence = 1", 1, "entry_missing"),
        ("delete from audit_entry where sequence = 5", 5, "entry_missing"),
        ("delete from audit_entry", 1, "entry_missing"),
    ],
)
def test_what_was_tampered_with_is_found(tenant: Tenant, statement: str, sequence: int, reason: str) -> None:
    write(tenant, 5)
    with without_trigger(tenant) as run:
        run(statement)
    assert verified(tenant) == (False, sequence - 1, {"sequence": sequence, "reason": reason})


def test_verifying_after_an_entry_that_is_not_there_finds_a_break(tenant: Tenant) -> None:
    write(tenant, 2)
    assert verified(tenant, after=7)[0] is False


@pytest.mark.parametrize(
    "statement",
    [
        "update audit_entry set actor = 'other'",
        "delete from audit_entry",
        "truncate audit_entry",
    ],
)
def test_the_database_refuses_to_change_an_entry(tenant: Tenant, statement: str) -> None:
    write(tenant, 2)
    with pytest.raises(DBAPIError, match="audit entries are final"), tenant.front.database.transaction(tenant.id) as s:
        s.execute(text(statement))
    assert verified(tenant) == (True, 2, None)


def test_uses_of_secrets_are_counted_by_workflow_and_hour(tenant: Tenant) -> None:
    began = in_hours(0).replace(minute=0)
    with tenant.front.database.transaction(tenant.id) as session:
        for minutes, workflow in ((1, "cu/1"), (2, "cu/1"), (2, "bot/1"), (61, "cu/1")):
            opened = OpenedSecret(SecretPurpose.TOKEN_REFRESH, "cu_1", workflow)
            note_secret_use(session, tenant.id, opened, at=began + timedelta(minutes=minutes))
    page = tenant.get("/audit-log/decryptions", params={"limit": 2}).json()
    rest = tenant.get("/audit-log/decryptions", params={"limit": 2, "cursor": page["next_cursor"]}).json()
    assert [(one["used_by"], one["uses"]) for one in page["data"] + rest["data"]] == [
        ("cu/1", 1),
        ("cu/1", 2),
        ("bot/1", 1),
    ]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/audit-log?since=x", 422),
        ("/audit-log?from=yesterday", 422),
        ("/audit-log?actor=a%00b", 400),
        ("/audit-log?limit=0", 422),
        ("/audit-log?cursor=x", 400),
        ("/audit-log/verify?after=-1", 422),
        ("/audit-log/verify?after=99999999999999999999", 422),
        ("/audit-log/decryptions?who=me", 422),
    ],
)
def test_a_question_that_cannot_be_read_is_refused(tenant: Tenant, path: str, status: int) -> None:
    answer = tenant.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


OLDEST = datetime(2026, 1, 1, 12, 0, 0, 5, tzinfo=UTC)


def write(tenant: Tenant, count: int) -> None:
    for number in range(count):
        at = OLDEST + timedelta(days=number)
        detail: dict[str, DetailValue] = {"scopes": ["a", "ü"], "count": number, "again": True}
        fact = AuditFact(at, f"key_{number % 3}", f"a.b{number}", f"t{number}", new_id("req"), "::1", detail)
        with tenant.front.database.transaction(tenant.id) as session:
            append(session, tenant.id, fact)


def verified(tenant: Tenant, **query: Any) -> tuple[bool, int, Any]:
    answer = tenant.get("/audit-log/verify", params=query)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    return found["ok"], found["verified_to"], found["broken_at"]


@contextmanager
def without_trigger(tenant: Tenant) -> Iterator[Callable[[str], object]]:
    """As the owner of the database could."""
    with tenant.front.database.transaction(tenant.id) as session:
        session.execute(text("alter table audit_entry disable trigger user"))
        yield lambda statement: [session.execute(text(statement))]
        session.execute(text("alter table audit_entry enable trigger user"))


def test_no_listing_shows_another_tenants_entries(front: Front, new_tenant: Callable[[], Tenant]) -> None:
    owner, stranger = new_tenant(), new_tenant()
    write(owner, 2)
    assert entries(stranger) == []
