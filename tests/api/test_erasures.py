"""DELETE of a calendar user, and the certificate of its erasure."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from meetbot.domain.erasure import Revocation
from meetbot.storage.erasure_rows import delete_calendar_user
from meetbot.storage.erasures import finish_erasure, settle_revocation
from tests.api.conftest import Tenant


def test_a_deleted_user_is_accepted_and_its_workflow_started(tenant: Tenant) -> None:
    user = tenant.add_user(state="active")
    answer = tenant.delete(f"/calendar/users/{user.id}")
    assert answer.status_code == 202
    erasure_id = answer.json()["erasure_id"]
    assert tenant.front.orchestrator.erasures == [(tenant.id, erasure_id, user.id)]
    certificate = tenant.get(f"/erasures/{erasure_id}").json()
    assert (certificate["state"], certificate["revocation"]) == ("running", "pending")
    assert [step["step"] for step in certificate["steps"]] == ["disconnected"]


def test_deleting_again_is_the_same_erasure(tenant: Tenant) -> None:
    user = tenant.add_user(state="active")
    first = tenant.delete(f"/calendar/users/{user.id}")
    with tenant.front.database.transaction(tenant.id) as session:
        delete_calendar_user(session, tenant.id, user.id)
    second = tenant.delete(f"/calendar/users/{user.id}")
    assert (second.status_code, second.json()) == (202, first.json())


def test_an_unknown_user_cannot_be_deleted(tenant: Tenant) -> None:
    assert tenant.delete("/calendar/users/cu_unknown").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("get", "", None),
        ("patch", "", {"attributes": {"a": "b"}}),
        ("post", "/sync", None),
        ("post", "/reconnect", None),
        ("get", "/events", None),
        ("get", "/events/{event}", None),
        ("put", "/events/{event}/override", {"recording": "record"}),
        ("delete", "/events/{event}/override", None),
        ("get", "/rules", None),
        ("put", "/rules", {"rules": []}),
        ("delete", "/rules", None),
        ("get", "/rules/versions", None),
        ("post", "/rules/rollback", {"version": 1}),
        ("post", "/rules/simulate", {"rules": []}),
    ],
)
def test_from_then_on_every_other_route_answers_404(
    tenant: Tenant, method: str, path: str, body: dict[str, object] | None
) -> None:
    user = tenant.add_user(state="active")
    event = tenant.add_event(user)
    tenant.delete(f"/calendar/users/{user.id}")
    filled = f"/v1/calendar/users/{user.id}{path.replace('{event}', event.id)}"
    answer = tenant.front.client.request(method.upper(), filled, headers=tenant.headers, json=body)
    assert answer.status_code == 404, answer.text
    assert tenant.get("/calendar/users").json()["data"] == []


def test_a_kept_answer_about_an_erased_user_is_not_shown_again(tenant: Tenant) -> None:
    user = tenant.add_user(state="active")
    headers = tenant.headers | {"Idempotency-Key": "again"}
    path = f"/v1/calendar/users/{user.id}/reconnect"
    assert tenant.front.client.post(path, headers=headers).status_code == 201
    tenant.delete(f"/calendar/users/{user.id}")
    assert tenant.front.client.post(path, headers=headers).status_code == 404


def test_the_certificate_says_what_could_not_be_done_and_why(tenant: Tenant) -> None:
    erasure_id = tenant.delete(f"/calendar/users/{tenant.add_user(state='active').id}").json()["erasure_id"]
    with tenant.front.database.transaction(tenant.id) as session:
        settle_revocation(session, tenant.id, erasure_id, Revocation.UNSUPPORTED, now=datetime.now(UTC))
        finish_erasure(session, tenant.id, erasure_id, now=datetime.now(UTC))
    certificate = tenant.get(f"/erasures/{erasure_id}").json()
    assert certificate["state"] == "completed_with_exceptions"
    assert [exception["code"] for exception in certificate["exceptions"]] == ["unsupported"]
