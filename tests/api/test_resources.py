"""Calendar users, bots, the tenant, reports, idempotent creation, health and OpenAPI."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from api.connect import authorize
from api.health import create_ops_app
from meetbot.calendars.connect_flow import new_token
from meetbot.domain.dispatch_state import DispatchState
from meetbot.settings import Environment
from meetbot.storage.calendar_user_state import note_wait
from meetbot.storage.tables import CalendarUser, Dispatch, Meeting
from meetbot.temporal.messages import CalendarUserSignal
from meetbot.tenants.api_keys import KeyMode, hash_api_key, matches_hash, new_api_key, public_id_in
from meetbot.tenants.create import ensure_demo_tenant
from tests.api.conftest import BACKEND_SECRET, Front, Tenant
from tests.api.consent_flow import connect


def test_a_calendar_user_reads_as_the_contract_says(tenant: Tenant) -> None:
    user = tenant.add_user(last_synced_at=datetime.now(UTC) - timedelta(seconds=100))
    shown = tenant.get(f"/calendar/users/{user.id}").json()
    assert set(shown) == {
        "id", "customer_user_id", "provider", "email", "state", "error_code", "state_detail", "next_step", "attributes",
        "calendars_mode",
        "last_synced_at", "sync_lag_seconds", "push", "scopes", "created_at", "updated_at",
    }  # fmt: skip
    assert 100 <= shown["sync_lag_seconds"] < 200
    assert shown["push"] == {"state": "pending", "expires_at": None}


@pytest.mark.parametrize(
    ("state", "code", "detail"),
    [
        ("active", None, None),
        ("active", "rate_limited", "retry:rate_limited"),
        ("active", "oauth_app_refused", "operator:oauth_app_refused"),
        ("needs_reconnect", "invalid_grant", "reconnect:invalid_grant"),
        ("needs_reconnect", "oauth_client_in_testing", "reconnect:oauth_client_in_testing"),
    ],
)
def test_a_calendar_user_says_whose_matter_an_error_is(
    tenant: Tenant, state: str, code: str | None, detail: str | None
) -> None:
    user = tenant.add_user(state=state, error_code=code)
    shown = tenant.get(f"/calendar/users/{user.id}").json()
    assert shown["state_detail"] == detail
    assert (shown["next_step"] is None) is (detail is None)


def test_calendar_users_are_listed_in_pages_and_by_filters(tenant: Tenant) -> None:
    users = [tenant.add_user(customer_user_id=name) for name in ("a", "b", "b")]
    lost = tenant.add_user(customer_user_id="d", state="needs_reconnect", provider="microsoft")
    first = tenant.get("/calendar/users", params={"limit": 3}).json()
    rest = tenant.get("/calendar/users", params={"limit": 3, "cursor": first["next_cursor"]}).json()
    assert [row["id"] for page in (first, rest) for row in page["data"]] == [row.id for row in [*users, lost]]
    for query in ({"provider": "microsoft"}, {"state": "needs_reconnect"}, {"customer_user_id": "d"}):
        assert [row["id"] for row in tenant.get("/calendar/users", params=query).json()["data"]] == [lost.id]


def test_sync_now_reaches_the_workflow(tenant: Tenant) -> None:
    user = tenant.add_user()
    assert tenant.post(f"/calendar/users/{user.id}/sync").status_code == 202
    assert tenant.front.orchestrator.signals == [(user.id, CalendarUserSignal.SYNC_NOW)]


def test_sync_now_ends_the_wait_that_the_provider_asked_for(tenant: Tenant) -> None:
    user = tenant.add_user()
    with tenant.front.database.transaction(tenant.id) as session:
        note_wait(session, tenant.id, user.id, until=datetime(2099, 1, 1, tzinfo=UTC))
    tenant.post(f"/calendar/users/{user.id}/sync")
    with tenant.front.database.transaction(tenant.id) as session:
        row = session.get_one(CalendarUser, (tenant.id, user.id))
        assert row.not_before is None
        assert row.asked_at is not None


def test_a_calendar_without_access_cannot_be_synced(tenant: Tenant) -> None:
    user = tenant.add_user(state="needs_reconnect")
    answer = tenant.post(f"/calendar/users/{user.id}/sync")
    assert (answer.status_code, answer.json()["code"]) == (409, "calendar_user_not_connected")


def test_bots_are_listed_newest_first_and_by_filters(tenant: Tenant) -> None:
    user = tenant.add_user()
    event = tenant.add_event(user)
    old = tenant.add_bot("mtg_old", state="completed", created_at=datetime.now(UTC) - timedelta(days=1))
    new = tenant.add_bot(event.meeting_key)
    tenant.add_claim(user, event)
    first = tenant.get("/bots", params={"limit": 1}).json()
    rest = tenant.get("/bots", params={"limit": 1, "cursor": first["next_cursor"]}).json()
    assert [row["id"] for page in (first, rest) for row in page["data"]] == [new.id, old.id]
    for query in ({"state": "scheduled"}, {"meeting_key": event.meeting_key}, {"calendar_user_id": user.id}):
        (row,) = tenant.get("/bots", params=query).json()["data"]
        assert (row["id"], row["claims"]) == (new.id, [user.id])


def test_cancelling_holds_the_meeting_and_tells_its_workflow_however_often(tenant: Tenant) -> None:
    bot = tenant.add_bot("mtg_1")
    answers = [tenant.post(f"/bots/{bot.id}/cancel") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert tenant.front.orchestrator.cancelled == [(tenant.id, "mtg_1")] * 2
    with tenant.front.database.transaction(tenant.id) as session:
        meeting = session.get_one(Meeting, (tenant.id, "mtg_1"))
    assert meeting.suppressed_at is not None
    assert meeting.suppressed_by is not None
    assert meeting.suppressed_by in tenant.key


def test_cancelling_a_bot_that_has_ended_changes_nothing(tenant: Tenant) -> None:
    bot = tenant.add_bot("mtg_1", state="completed")
    assert tenant.post(f"/bots/{bot.id}/cancel").status_code == 200
    assert tenant.front.orchestrator.cancelled == []


def test_a_tenant_changes_its_settings_one_by_one(tenant: Tenant) -> None:
    tenant.add_user()
    assert tenant.get("/tenant").json()["join_lead_seconds"] == 90
    changed = tenant.request(
        "PATCH", "/tenant", json={"internal_domains": ["Own.COM", "münchen.de"], "join_lead_seconds": 30}
    ).json()
    assert changed["internal_domains"] == ["own.com", "xn--mnchen-3ya.de"]
    assert (changed["join_lead_seconds"], changed["name"]) == (30, "Test")
    assert [signal for _, signal in tenant.front.orchestrator.signals] == [CalendarUserSignal.RULES_CHANGED]
    assert tenant.request("PATCH", "/tenant", json={"join_lead_seconds": None}).json()["join_lead_seconds"] == 90


@pytest.mark.parametrize(
    "changes",
    [
        {"internal_domains": ["not a domain"]},
        {"join_lead_seconds": -1},
        {"join_lead_seconds": 901},
        {"redirect_origins": ["https://a.example/path"]},
        {"redirect_origins": ["https://*.a.example"]},
        {"redirect_origins": ["http://a.example"]},
        {"region": "us"},
        {"name": None},
    ],
)
def test_settings_that_make_no_sense_are_refused(tenant: Tenant, changes: dict[str, Any]) -> None:
    assert tenant.request("PATCH", "/tenant", json=changes).status_code == 422


def signed(document: Any, secret: str = BACKEND_SECRET) -> dict[str, Any]:
    raw = json.dumps(document).encode()
    signature = hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
    return {
        "content": raw,
        "headers": {"Content-Type": "application/json", "x-meetbot-signature": f"sha256={signature}"},
    }


def report(external_id: str, *, age: timedelta = timedelta(), status: str = "joining") -> dict[str, Any]:
    return {
        "deliveryId": "dlv_1",
        "event": "job.status_changed",
        "emittedAt": (datetime.now(UTC) - age).isoformat(),
        "attempt": 1,
        "version": 2,
        "data": {"id": "job_1", "externalId": external_id, "status": status},
    }


def test_a_signed_report_of_a_bots_end_wakes_its_workflow(tenant: Tenant) -> None:
    bot = tenant.add_bot("mtg_1", state="dispatched")
    external_id = f"{bot.id}-1"
    with tenant.front.database.transaction(tenant.id) as session:
        session.add(
            Dispatch(
                tenant_id=tenant.id,
                meeting_key="mtg_1",
                generation=1,
                bot_id=bot.id,
                external_id=external_id,
                state=DispatchState.ACCEPTED,
            )
        )
    ended = report(external_id, status="completed")
    answer = tenant.front.client.post("/v1/backends/meetbot/events", **signed(ended))
    assert (answer.status_code, answer.json()) == (200, {"status": "taken"})
    assert tenant.front.orchestrator.reported == [(tenant.id, "mtg_1")]


def test_a_report_with_an_api_key_beside_its_signature_is_read(front: Front) -> None:
    arguments = signed(report("bot_none-1"))
    arguments["headers"]["Authorization"] = "Bearer its-own"
    assert front.client.post("/v1/backends/meetbot/events", **arguments).status_code == 200


def test_a_report_about_an_unknown_job_is_taken_and_ignored(front: Front) -> None:
    answer = front.client.post("/v1/backends/meetbot/events", **signed(report("bot_none-1")))
    assert (answer.status_code, answer.json()) == (200, {"status": "ignored"})


@pytest.mark.parametrize("case", ["wrong secret", "other body", "none", "strange letters"])
def test_a_report_that_is_not_signed_by_the_backend_is_401(front: Front, case: str) -> None:
    arguments = signed(report("bot_none-1"), "wrong" if case == "wrong secret" else BACKEND_SECRET)
    if case == "other body":
        arguments["content"] += b" "
    if case in ("none", "strange letters"):
        arguments["headers"]["x-meetbot-signature"] = "" if case == "none" else "sha256=\u00e4".encode()
    answer = front.client.post("/v1/backends/meetbot/events", **arguments)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_signature")


@pytest.mark.parametrize("age", [timedelta(days=12), timedelta(days=-8)])
def test_a_signed_report_of_another_time_is_refused(front: Front, age: timedelta) -> None:
    answer = front.client.post("/v1/backends/meetbot/events", **signed(report("bot_none-1", age=age)))
    assert (answer.status_code, answer.json()["code"]) == (401, "stale_report")


def test_a_report_is_taken_as_long_as_the_backend_repeats_it(front: Front) -> None:
    answer = front.client.post("/v1/backends/meetbot/events", **signed(report("bot_none-1", age=timedelta(hours=77))))
    assert answer.status_code == 200


@pytest.mark.parametrize("emitted_at", [None, 17, "", "yesterday", "2026-01-01T00:00:00", "9" * 50])
def test_a_report_without_an_instant_is_422(front: Front, emitted_at: object) -> None:
    document = report("bot_none-1") | {"emittedAt": emitted_at}
    answer = front.client.post("/v1/backends/meetbot/events", **signed(document))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_report")


def test_a_signed_body_that_is_no_report_is_422(front: Front) -> None:
    assert front.client.post("/v1/backends/meetbot/events", **signed({"event": 1})).status_code == 422


URL = "/calendar/connect/google"
BODY = {"customer_user_id": "c", "login_hint": "olga@own.com"}


def test_the_same_key_and_body_give_the_same_answer(tenant: Tenant) -> None:
    first = tenant.post(URL, json=BODY, headers={"Idempotency-Key": "k1"})
    reordered = json.dumps(dict(reversed(BODY.items())), indent=3)
    again = tenant.post(URL, content=reordered, headers={"Idempotency-Key": "k1", "Content-Type": "application/json"})
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert (first.headers.get("idempotency-replayed"), again.headers["idempotency-replayed"]) == (None, "true")
    assert tenant.post(URL, json=BODY).json() != first.json()


def test_the_same_key_with_another_body_is_422(tenant: Tenant) -> None:
    tenant.post(URL, json=BODY, headers={"Idempotency-Key": "k1"})
    answer = tenant.post(URL, json=BODY | {"customer_user_id": "d"}, headers={"Idempotency-Key": "k1"})
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


def test_a_failed_request_does_not_use_the_key_up(tenant: Tenant) -> None:
    headers = {"Idempotency-Key": "k1"}
    assert tenant.post(URL, json=BODY | {"redirect_url": "http://x.example"}, headers=headers).status_code == 422
    assert tenant.post(URL, json=BODY, headers=headers).status_code == 201


def test_a_kept_answer_ages_out_after_a_day(tenant: Tenant) -> None:
    first = tenant.post(URL, json=BODY, headers={"Idempotency-Key": "k1"})
    with tenant.front.database.transaction(tenant.id) as session:
        session.execute(text("update idempotency_record set created_at = now() - interval '24 hours'"))
    assert tenant.post(URL, json=BODY, headers={"Idempotency-Key": "k1"}).json() != first.json()


def test_a_kept_answer_cannot_be_read_in_the_database(tenant: Tenant) -> None:
    ticket = tenant.post(URL, json=BODY, headers={"Idempotency-Key": "k1"}).json()["authorization_url"][-43:]
    with tenant.front.database.transaction(tenant.id) as session:
        kept = session.execute(text("select body::text from idempotency_record")).scalar_one()
    assert "sealed" in kept
    assert ticket not in kept


@pytest.mark.parametrize("key", ["", "a b", "\u00e4", "k" * 256])
def test_a_key_of_strange_form_is_refused(tenant: Tenant, key: str) -> None:
    answer = tenant.post(URL, json=BODY, headers={"Idempotency-Key": key.encode("utf-8")})
    assert answer.status_code == 422


def test_a_request_under_way_makes_its_repetition_a_409(tenant: Tenant, monkeypatch: Any) -> None:
    entered, leave = threading.Event(), threading.Event()
    real = new_token

    def slow(tenant_id: str) -> Any:
        entered.set()
        assert leave.wait(timeout=30)
        return real(tenant_id)

    monkeypatch.setattr(authorize, "new_token", slow)
    answers: list[Any] = []
    first = threading.Thread(
        target=lambda: answers.append(tenant.post(URL, json=BODY, headers={"Idempotency-Key": "k1"}))
    )
    first.start()
    assert entered.wait(timeout=30)
    second = tenant.post(URL, json=BODY, headers={"Idempotency-Key": "k1"})
    leave.set()
    first.join(timeout=30)
    assert (second.status_code, second.json()["code"]) == (409, "idempotency_key_in_flight")
    assert answers[0].status_code == 201


def test_the_public_port_says_only_that_it_answers(front: Front) -> None:
    assert front.client.get("/healthz").json() == {"status": "ok"}
    assert front.client.get("/readyz").status_code == 404
    assert front.client.get("/metrics").status_code == 404


@pytest.mark.parametrize("part", ["none", "temporal", "vault"])
def test_readiness_names_what_does_not_answer(front: Front, part: str) -> None:
    front.orchestrator.is_up = part != "temporal"
    front.vault.is_up = part != "vault"
    with TestClient(create_ops_app(front.services)) as operations:
        answer = operations.get("/readyz")
    failed = {name for name, state in answer.json()["checks"].items() if state != "ok"}
    assert (answer.status_code, failed) == ((200, set()) if part == "none" else (503, {part}))


def test_metrics_count_requests_by_route_and_consents_by_result(tenant: Tenant) -> None:
    connect(tenant)
    with TestClient(create_ops_app(tenant.front.services)) as operations:
        metrics = operations.get("/metrics").text
    assert 'meetbot_connects_total{provider="google",result="connected"}' in metrics
    assert 'route="/calendar/callback/{provider}",status="302"' in metrics


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/console/sign-in"])
def test_pages_work_without_another_servers_files_and_without_inline_script(front: Front, path: str) -> None:
    page = front.client.get(path)
    assert page.status_code == 200
    assert "https://" not in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]
    for part in page.text.split('src="')[1:] + page.text.split('href="')[1:]:
        address = part.split('"')[0]
        if address.startswith("/static"):
            assert front.client.get(address).status_code == 200, address


def test_the_api_document_declares_keys_errors_and_closed_bodies(front: Front) -> None:
    document = front.client.get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["api_key"]["scheme"] == "bearer"
    connect_route = document["paths"]["/v1/calendar/connect/{provider}"]["post"]
    assert connect_route["security"] == [{"api_key": []}]
    assert "application/problem+json" in connect_route["responses"]["422"]["content"]
    assert document["components"]["schemas"]["ConnectRequest"]["additionalProperties"] is False
    example = document["components"]["schemas"]["RuleSetBody"]["examples"][0]
    assert len(example["rules"]) == 3
    assert not [path for path in document["paths"] if path.startswith("/api/")]


def test_the_api_document_says_what_webhooks_about_calendars_hold(front: Front) -> None:
    document = front.client.get("/openapi.json").json()
    assert set(document["webhooks"]) == {
        "calendar_events.changed",
        "calendar_user.connected",
        "calendar_user.needs_reconnect",
    }
    schemas = document["components"]["schemas"]
    for name in ("ChangedEvents", "ToldCalendarUser", "LostCalendarUser"):
        assert "sequence" in schemas[name]["required"]
    assert "at_risk" in schemas["LostCalendarUser"]["required"]


def test_a_key_is_proved_by_all_of_it() -> None:
    key = new_api_key(KeyMode.LIVE)
    assert public_id_in(key.text) == key.public_id
    assert matches_hash(key.text, key.secret_hash)
    assert not matches_hash(key.text[:-1] + "2", hash_api_key(key.text[:-1] + "3"))
    assert key.text not in repr(key)


def test_the_demo_tenant_is_the_same_at_every_start(front: Front) -> None:
    class KeyMaker:
        def create_tenant_key(self, tenant_id: str) -> None: ...

    maker: Any = KeyMaker()
    first_id, first_key = ensure_demo_tenant(front.database, maker, "eu", None)
    assert ensure_demo_tenant(front.database, maker, "eu", first_key) == (first_id, first_key)
    again_id, new_key = ensure_demo_tenant(front.database, maker, "eu", "lost")
    assert (again_id, new_key != first_key) == (first_id, True)
    answer = front.client.get("/v1/tenant", headers={"Authorization": f"Bearer {new_key}"})
    assert answer.json()["name"] == "Demo"


@pytest.mark.parametrize(("env", "taken"), [(Environment.DEVELOPMENT, True), (Environment.PRODUCTION, False)])
def test_the_console_takes_a_key_from_its_address_in_development_only(
    front: Front, env: Environment, taken: bool
) -> None:
    front.with_settings(env=env)
    assert ("/static/console/sign-in.js" in front.client.get("/console/sign-in").text) is taken
