"""A tenant's own OAuth apps over HTTP; the worker's part is in the integration tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import undefer
from sqlmodel import select

from meetbot.domain.event import Provider
from meetbot.storage.connect_attempts import note_outcome
from meetbot.storage.tables import ConnectAttempt, OAuthApp
from tests.api.conftest import Tenant
from tests.api.consent_flow import begin, come_back, expire_attempts, to_provider, told

APP = {"client_id": "own-client", "client_secret": "own-secret-9f31"}


def put(tenant: Tenant, provider: str = "google", **changes: Any) -> Any:
    return tenant.put(f"/oauth-apps/{provider}", json=APP | changes)


def apps(tenant: Tenant) -> list[OAuthApp]:
    with tenant.front.database.transaction(tenant.id) as session:
        return list(session.exec(select(OAuthApp).options(undefer("*"))))


def attempts(tenant: Tenant) -> list[ConnectAttempt]:
    with tenant.front.database.transaction(tenant.id) as session:
        return list(session.exec(select(ConnectAttempt).options(undefer("*"))))


def actions(tenant: Tenant) -> list[tuple[str, Any]]:
    entries = tenant.get("/audit-log").json()["data"]
    return [(entry["action"], entry["detail"]) for entry in entries if entry["action"].startswith("oauth_app")]


def test_an_app_is_shown_without_its_secret(tenant: Tenant) -> None:
    answer = put(tenant, "microsoft", directory="contoso.onmicrosoft.com")
    assert answer.status_code == 200, answer.text
    shown = tenant.get("/oauth-apps/microsoft").json()
    assert shown == answer.json()
    assert (shown["provider"], shown["client_id"], shown["directory"]) == (
        "microsoft",
        "own-client",
        "contoso.onmicrosoft.com",
    )
    assert (shown["state"], shown["users"], shown["retired"], shown["error_code"]) == ("active", 0, [], None)
    assert shown["redirect_uri"] == "http://127.0.0.1:8000/v1/calendar/callback/microsoft"
    assert APP["client_secret"] not in answer.text


def test_the_secret_is_stored_sealed_only(tenant: Tenant) -> None:
    put(tenant)
    (app,) = apps(tenant)
    assert APP["client_secret"].encode() not in bytes(app.secret_ciphertext)
    assert app.wrapped_key in tenant.front.vault.keys


def test_every_change_has_an_entry_in_the_audit_log(tenant: Tenant) -> None:
    put(tenant)
    tenant.post("/oauth-apps/google/check")
    tenant.delete("/oauth-apps/google")
    named = {"client_id": "own-client"}
    assert sorted(actions(tenant), key=lambda entry: entry[0]) == [
        ("oauth_app.checked", named),
        ("oauth_app.destroyed", named),
        ("oauth_app.put", named),
        ("oauth_app.removed", named),
    ]


def test_an_app_without_users_is_destroyed_at_once(tenant: Tenant) -> None:
    put(tenant)
    assert tenant.delete("/oauth-apps/google").status_code == 204
    assert apps(tenant) == []
    assert tenant.get("/oauth-apps/google").status_code == 404
    assert tenant.delete("/oauth-apps/google").status_code == 404


def test_an_app_with_users_is_retired_and_keeps_its_secret(tenant: Tenant) -> None:
    put(tenant)
    tenant.add_user(oauth_client_id="own-client")
    for _ in range(2):
        assert tenant.delete("/oauth-apps/google").status_code == 204
    shown = tenant.get("/oauth-apps/google").json()
    assert (shown["state"], shown["users"], shown["client_id"]) == ("retired", 1, "own-client")
    assert len(bytes(apps(tenant)[0].secret_ciphertext)) > 0


def test_another_client_retires_the_one_before(tenant: Tenant) -> None:
    put(tenant)
    tenant.add_user(oauth_client_id="own-client")
    shown = put(tenant, client_id="newer-client").json()
    assert (shown["client_id"], shown["state"], shown["users"]) == ("newer-client", "active", 0)
    assert [(app["client_id"], app["users"]) for app in shown["retired"]] == [("own-client", 1)]


def test_the_same_client_again_replaces_its_secret(tenant: Tenant) -> None:
    put(tenant)
    tenant.add_user(oauth_client_id="own-client")
    before = apps(tenant)[0]
    assert put(tenant, client_secret="rotated").json()["users"] == 1
    (after,) = apps(tenant)
    assert after.id == before.id
    assert after.secret_ciphertext != before.secret_ciphertext


def test_a_retired_client_that_is_put_again_is_the_present_one(tenant: Tenant) -> None:
    put(tenant)
    tenant.add_user(oauth_client_id="own-client")
    put(tenant, client_id="newer-client")
    shown = put(tenant).json()
    assert (shown["client_id"], shown["state"], shown["users"], shown["retired"]) == ("own-client", "active", 1, [])
    assert len(apps(tenant)) == 1


def test_nobody_sees_or_changes_another_tenants_app(new_tenant: Callable[[], Tenant]) -> None:
    owner, stranger = new_tenant(), new_tenant()
    put(owner)
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/check")):
        assert stranger.request(method, f"/oauth-apps/google{path}").status_code == 404
    put(stranger, client_id="of-the-stranger")
    assert owner.get("/oauth-apps/google").json()["client_id"] == "own-client"


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "", "tenant:write"),
        ("PUT", "", "tenant:read"),
        ("DELETE", "", "tenant:read"),
        ("POST", "/check", "tenant:read"),
    ],
)
def test_a_key_without_the_scope_is_refused(tenant: Tenant, method: str, path: str, scope: str) -> None:
    headers = {"Authorization": f"Bearer {tenant.key_with(scope)}"}
    answer = tenant.request(method, f"/oauth-apps/google{path}", headers=headers, json=APP if method == "PUT" else None)
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")


@pytest.mark.parametrize(
    "changes",
    [
        {"surprise": 1},
        {"client_id": ""},
        {"client_id": "a\x00b"},
        {"client_id": "a b"},
        {"client_id": "x" * 256},
        {"client_id": None},
        {"client_id": ["x"]},
        {"client_id": "client"},
        {"client_secret": ""},
        {"client_secret": "leak\x00ed"},
        {"client_secret": "leakéd"},
        {"client_secret": "leak" * 300},
        {"client_secret": {"leak": "leaked"}},
        {"directory": "contoso.com"},
        {"directory": "../../common"},
    ],
    ids=lambda changes: f"{next(iter(changes))}={next(iter(changes.values()))!r}"[:40],
)
def test_bad_input_is_refused_and_stores_nothing(tenant: Tenant, changes: dict[str, Any]) -> None:
    answer = put(tenant, **changes)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), answer.text
    assert "leak" not in answer.text
    assert apps(tenant) == []


@pytest.mark.parametrize("directory", ["a/b", "", "x" * 256, "..", "a\x00"])
def test_a_directory_stays_within_its_place_in_an_address(tenant: Tenant, directory: str) -> None:
    assert put(tenant, "microsoft", directory=directory).status_code == 422


def test_an_unknown_provider_is_404(tenant: Tenant) -> None:
    for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/check")):
        answer = tenant.request(method, f"/oauth-apps/apple{path}", json=APP if method == "PUT" else None)
        assert (answer.status_code, answer.json()["code"]) == (404, "provider_unknown")


def test_while_the_vault_is_away_nothing_is_stored(tenant: Tenant) -> None:
    tenant.front.vault.is_up = False
    assert put(tenant).status_code == 503
    assert apps(tenant) == []


def test_a_connect_asks_for_consent_to_the_tenants_app(tenant: Tenant) -> None:
    put(tenant)
    assert "client_id=own-client&" in to_provider(tenant.front.client, begin(tenant))
    assert [attempt.oauth_client_id for attempt in attempts(tenant)] == ["own-client"]


def test_a_tenant_with_an_app_needs_no_client_of_ours(tenant: Tenant) -> None:
    put(tenant, "microsoft")
    answer = tenant.post("/calendar/connect/microsoft", json={"customer_user_id": "customer-1"})
    assert answer.status_code == 201


def leave_code(tenant: Tenant) -> tuple[Any, dict[str, str]]:
    """Consent to the tenant's app, and come back while no worker exchanges the code."""
    put(tenant)
    returned = tenant.front.google.consent(to_provider(tenant.front.client, begin(tenant)))
    return come_back(tenant.front.client, returned), returned


def test_the_api_leaves_the_code_sealed_to_the_worker(tenant: Tenant) -> None:
    page, returned = leave_code(tenant)
    (attempt,) = attempts(tenant)
    assert tenant.front.google.exchanges == 0
    assert tenant.front.orchestrator.exchanges == [(tenant.id, attempt.exchange_id, "google")]
    assert attempt.code_ciphertext is not None
    assert returned["code"].encode() not in bytes(attempt.code_ciphertext)
    assert page.status_code == 202
    assert "goes on by itself" in page.text


def test_the_page_goes_on_once_the_worker_is_done(tenant: Tenant) -> None:
    _, returned = leave_code(tenant)
    front = tenant.front

    def done(tenant_id: str, _: str) -> None:
        with front.database.transaction(tenant_id) as session:
            (attempt,) = session.exec(select(ConnectAttempt))
            note_outcome(session, attempt, connected_user_id="cu_late")

    front.orchestrator.exchange = done
    answer = told(come_back(front.client, returned))
    assert (answer["status"], answer["meetbot_calendar_user_id"]) == ("connected", "cu_late")
    assert attempts(tenant)[0].code_ciphertext is None
    assert come_back(front.client, returned).status_code == 400


def test_another_browser_does_not_see_how_it_ended(tenant: Tenant) -> None:
    _, returned = leave_code(tenant)
    assert come_back(tenant.front.browser(), returned).status_code == 400


def test_a_code_that_is_never_exchanged_ends_as_expired(tenant: Tenant) -> None:
    _, returned = leave_code(tenant)
    expire_attempts(tenant)
    assert told(come_back(tenant.front.client, returned))["error"] == "expired"


def test_while_the_vault_is_away_the_code_is_not_spent(tenant: Tenant) -> None:
    put(tenant)
    returned = tenant.front.google.consent(to_provider(tenant.front.client, begin(tenant)))
    tenant.front.vault.is_up = False
    assert come_back(tenant.front.client, returned).status_code == 503
    tenant.front.vault.is_up = True
    assert come_back(tenant.front.client, returned).status_code == 202


def test_the_api_may_not_read_what_is_sealed(tenant: Tenant) -> None:
    leave_code(tenant)
    with tenant.front.services.database.transaction(tenant.id) as session:
        for statement in ("select secret_ciphertext from oauth_app", "select code_ciphertext from connect_attempt"):
            with pytest.raises(Exception, match="permission denied"), session.begin_nested():
                session.connection().exec_driver_sql(statement)


def checks(tenant: Tenant) -> dict[str, Any]:
    answer = tenant.post("/oauth-apps/google/check")
    assert answer.status_code == 200, answer.text
    return {check["check"]: check for check in answer.json()["data"]}


@pytest.mark.parametrize(
    ("probed", "credentials", "redirect"),
    [
        ("invalid_grant", True, None),
        ("oauth_app_refused", False, None),
        ("redirect_uri_mismatch", True, False),
        ("login_unavailable", None, None),
        (None, None, None),
    ],
)
def test_a_check_tells_what_the_token_endpoint_thinks(
    tenant: Tenant, probed: str | None, credentials: bool | None, redirect: bool | None
) -> None:
    put(tenant)
    tenant.front.orchestrator.probed = probed
    found = checks(tenant)
    assert (found["credentials"]["ok"], found["redirect_uri"]["ok"]) == (credentials, redirect)
    assert found["publisher_verification"]["ok"] is None
    assert tenant.front.orchestrator.probes == [(tenant.id, apps(tenant)[0].id)]


def test_a_check_does_not_accept_another_verb_or_an_unknown_field(tenant: Tenant) -> None:
    put(tenant)
    assert tenant.post("/oauth-apps/google/check", json={"surprise": 1}).status_code in (400, 422)
    assert tenant.get("/oauth-apps/google/check").status_code == 405


def test_both_providers_have_an_app_of_their_own(tenant: Tenant) -> None:
    for provider in Provider:
        assert put(tenant, provider).status_code == 200
    assert {app.provider for app in apps(tenant)} == set(Provider)
