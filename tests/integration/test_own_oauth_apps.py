"""A tenant's own OAuth app, from the consent to the erasure, at both providers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlmodel import select

from meetbot.dev.postgres import PostgresServer
from meetbot.domain.calendar_user import CalendarUserStatus
from meetbot.domain.erasure import Revocation
from meetbot.domain.event import Provider
from meetbot.errors import OperatorRequired, VaultUnavailable
from meetbot.storage.roles import Role
from meetbot.storage.secret_uses import SecretPurpose
from meetbot.storage.tables import AuditEntry, CalendarUser, ConnectAttempt, SecretUse
from meetbot.tenants.key_rotation import KeyRotation, RotationStep
from meetbot.vault.sealing import DataKey
from tests.integration.erasing import erase
from tests.integration.own_apps import AppRig, open_app_rig
from tests.rig import Rig
from tests.stack import VaultService, url_as

pytestmark = pytest.mark.stack

BOTH = pytest.mark.parametrize("provider", list(Provider))
ADA = "ada@acme.test"


@pytest.fixture
def apps(
    rig: Rig, postgres_server: PostgresServer, fresh_database: str, vault_service: VaultService
) -> Iterator[AppRig]:
    with open_app_rig(rig, url_as(postgres_server, fresh_database, Role.API), vault_service) as opened:
        yield opened


def client_of(apps: AppRig, user: str) -> str | None:
    return apps.rig.calendar_user(user).oauth_client_id


def sync_later(apps: AppRig, user: str) -> None:
    """Sync when the access token has ended, so that it is refreshed."""
    apps.rig.services.tokens.forget(apps.rig.tenant_id, user)
    apps.rig.sync(user)


@BOTH
def test_a_calendar_is_connected_through_the_tenants_app_and_read(apps: AppRig, provider: Provider) -> None:
    apps.rig.sandbox.account(ADA, provider)
    apps.use_app(provider, "own-client")
    user = apps.connected(ADA, provider)
    apps.rig.sandbox.event(ADA, title="Planning")
    sync_later(apps, user)
    assert client_of(apps, user) == "own-client"
    assert [event.title for event in apps.rig.events(user)] == ["Planning"]
    assert (apps.app(provider)["users"], apps.app(provider)["error_code"]) == (1, None)


@BOTH
def test_a_tenant_without_an_app_uses_ours(apps: AppRig, provider: Provider) -> None:
    apps.rig.sandbox.account(ADA, provider)
    user = apps.connected(ADA, provider)
    sync_later(apps, user)
    assert client_of(apps, user) is None


def test_an_application_of_one_directory_is_asked_there(apps: AppRig) -> None:
    apps.rig.sandbox.account(ADA, Provider.MICROSOFT)
    apps.use_app(Provider.MICROSOFT, "own-client", directory="acme.test")
    user = apps.connected(ADA, Provider.MICROSOFT)
    sync_later(apps, user)
    assert apps.rig.calendar_user(user).state == CalendarUserStatus.ACTIVE


@BOTH
def test_users_stay_on_their_client_until_they_reconnect(apps: AppRig, provider: Provider) -> None:
    apps.rig.sandbox.account(ADA, provider)
    user = apps.connected(ADA, provider)
    apps.use_app(provider, "own-client")
    sync_later(apps, user)
    assert client_of(apps, user) is None
    assert apps.connected(ADA, provider, again=user) == user
    sync_later(apps, user)
    assert client_of(apps, user) == "own-client"
    assert apps.rig.calendar_user(user).state == CalendarUserStatus.ACTIVE


@BOTH
def test_a_retired_app_refreshes_until_its_last_user_is_gone(apps: AppRig, provider: Provider) -> None:
    apps.rig.sandbox.account(ADA, provider)
    apps.use_app(provider, "own-client")
    user = apps.connected(ADA, provider)
    assert apps.call("DELETE", f"/oauth-apps/{provider}").status_code == 204
    sync_later(apps, user)
    assert (apps.app(provider)["state"], apps.app(provider)["users"]) == ("retired", 1)
    erase(apps.rig, user)
    assert apps.stored_apps() == []
    assert apps.call("GET", f"/oauth-apps/{provider}").status_code == 404
    with apps.rig.read() as session:
        destroyed = session.exec(select(AuditEntry).where(AuditEntry.action == "oauth_app.destroyed")).one()
    assert (destroyed.actor, destroyed.target, destroyed.detail) == ("service", provider, {"client_id": "own-client"})


@BOTH
def test_the_secret_of_a_retired_app_goes_with_the_last_reconnection(apps: AppRig, provider: Provider) -> None:
    grace = "grace@acme.test"
    for email in (ADA, grace):
        apps.rig.sandbox.account(email, provider)
    apps.use_app(provider, "old-client")
    ada, other = apps.connected(ADA, provider), apps.connected(grace, provider)
    apps.use_app(provider, "new-client")
    apps.connected(ADA, provider, again=ada)
    assert [app["client_id"] for app in apps.app(provider)["retired"]] == ["old-client"]
    apps.call("DELETE", f"/oauth-apps/{provider}")
    apps.connected(grace, provider, again=other)
    assert [app.client_id for app in apps.stored_apps()] == ["new-client"]
    sync_later(apps, ada)
    sync_later(apps, other)
    assert (client_of(apps, ada), client_of(apps, other)) == ("new-client", None)


@BOTH
def test_a_rotated_secret_is_used_at_the_next_refresh(apps: AppRig, provider: Provider) -> None:
    apps.rig.sandbox.account(ADA, provider)
    apps.use_app(provider, "own-client")
    user = apps.connected(ADA, provider)
    apps.use_app(provider, "own-client")
    sync_later(apps, user)
    assert apps.app(provider)["error_code"] is None


@BOTH
def test_a_refused_app_is_the_tenants_matter_and_disconnects_nobody(apps: AppRig, provider: Provider) -> None:
    apps.rig.sandbox.account(ADA, provider)
    apps.use_app(provider, "own-client")
    user = apps.connected(ADA, provider)
    apps.rig.sync(user)
    apps.register(provider, "own-client", "changed-by-the-tenant")
    with pytest.raises(OperatorRequired) as refused:
        sync_later(apps, user)
    assert refused.value.code == "oauth_app_refused"
    shown = apps.call("GET", f"/calendar/users/{user}").json()
    assert (shown["state"], shown["error_code"]) == ("active", "oauth_app_refused")
    assert apps.app(provider)["error_code"] == "oauth_app_refused"
    apps.call(
        "PUT",
        f"/oauth-apps/{provider}",
        json={"client_id": "own-client", "client_secret": "changed-by-the-tenant"},
    )
    sync_later(apps, user)
    assert apps.app(provider)["error_code"] is None
    assert apps.call("GET", f"/calendar/users/{user}").json()["error_code"] is None


@BOTH
def test_a_wrong_secret_ends_a_consent_as_a_providers_error(apps: AppRig, provider: Provider) -> None:
    apps.rig.sandbox.account(ADA, provider)
    apps.use_app(provider, "own-client")
    apps.register(provider, "own-client", "another")
    assert apps.connect(ADA, provider)["error"] == "provider_error"
    assert apps.app(provider)["error_code"] == "oauth_app_refused"
    with apps.rig.read() as session:
        assert session.exec(select(CalendarUser)).all() == []


def test_erasing_revokes_the_grant_that_the_tenants_app_got(apps: AppRig) -> None:
    apps.rig.sandbox.account(ADA)
    apps.use_app(Provider.GOOGLE, "own-client")
    user = apps.connected(ADA, Provider.GOOGLE)
    done = erase(apps.rig, user)
    assert done.revocation is Revocation.REVOKED
    assert apps.rig.sandbox.counts("/google/revoke") == 1


def test_a_connection_by_another_client_keeps_no_grant_alive(apps: AppRig) -> None:
    apps.rig.sandbox.account(ADA)
    by_ours = apps.rig.connect(ADA)
    apps.use_app(Provider.GOOGLE, "own-client")
    by_own = apps.connected(ADA, Provider.GOOGLE, customer="another")
    assert (client_of(apps, by_ours), client_of(apps, by_own)) == (None, "own-client")
    assert erase(apps.rig, by_own).revocation is Revocation.REVOKED
    sync_later(apps, by_ours)
    assert apps.rig.calendar_user(by_ours).state == CalendarUserStatus.ACTIVE


def test_a_connection_by_the_same_client_keeps_the_grant(apps: AppRig) -> None:
    apps.rig.sandbox.account(ADA)
    apps.use_app(Provider.GOOGLE, "own-client")
    user = apps.connected(ADA, Provider.GOOGLE)
    with apps.rig.database.transaction(apps.rig.tenant_id) as session:
        row = session.get_one(CalendarUser, (apps.rig.tenant_id, user)).model_dump(exclude={"token_digest"})
        more = {"wrapped_key": "vault:v1:AAAA", "refresh_ciphertext": b"1"}
        session.add(CalendarUser(**(row | more | {"id": "cu_other", "customer_user_id": "other"})))
    assert erase(apps.rig, user).revocation is Revocation.IN_USE
    assert apps.rig.sandbox.counts("/google/revoke") == 0
    assert apps.app(Provider.GOOGLE)["users"] == 1


@BOTH
def test_every_opening_of_a_secret_is_put_down(apps: AppRig, provider: Provider) -> None:
    apps.rig.sandbox.account(ADA, provider)
    apps.use_app(provider, "own-client")
    apps.connected(ADA, provider)
    with apps.rig.read() as session:
        uses = {use.purpose for use in session.exec(select(SecretUse))}
    assert {SecretPurpose.OAUTH_APP, SecretPurpose.CONSENT_CODE} <= uses


def left_pending(apps: AppRig, provider: Provider) -> str:
    """Consent while the worker cannot open the code; return the address to ask again."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(apps.rig.connecting_activities, "_vault", FrozenVault())
        told = apps.connect(ADA, provider)
    assert (told["status"], apps.worker.failure) == ("pending", "vault_unreachable")
    return told["location"]


class FrozenVault:
    def open(self, *_: object) -> bytes:
        raise VaultUnavailable("vault_unreachable", "stands still")

    def forget(self, *_: object) -> None: ...

    def new_data_key(self, tenant_id: str) -> DataKey:
        raise VaultUnavailable("vault_unreachable", "stands still")


@BOTH
def test_a_vault_that_stands_still_costs_no_consent(apps: AppRig, provider: Provider) -> None:
    apps.rig.sandbox.account(ADA, provider)
    apps.use_app(provider, "own-client")
    told = apps.come_back(left_pending(apps, provider))
    assert told["status"] == "connected"
    sync_later(apps, told["meetbot_calendar_user_id"])


def test_secret_and_code_outlive_the_rotation_of_the_tenants_key(apps: AppRig) -> None:
    apps.rig.sandbox.account(ADA)
    apps.use_app(Provider.GOOGLE, "own-client")
    location = left_pending(apps, Provider.GOOGLE)
    for step in (RotationStep.ROTATE, RotationStep.REWRAP, RotationStep.TRIM):
        list(KeyRotation(apps.rig.database, apps.rig.vault, settling=timedelta()).run(step, apps.rig.tenant_id))
    apps.rig.vault.forget_tenant(apps.rig.tenant_id)
    told = apps.come_back(location)
    assert told["status"] == "connected"
    sync_later(apps, told["meetbot_calendar_user_id"])
    assert {app.kek_version for app in apps.stored_apps()} == {2}


def test_a_repeated_exchange_connects_once(apps: AppRig) -> None:
    apps.rig.sandbox.account(ADA)
    apps.use_app(Provider.GOOGLE, "own-client")
    user = apps.connected(ADA, Provider.GOOGLE)
    with apps.rig.read() as session:
        (attempt,) = session.exec(select(ConnectAttempt))
    assert attempt.exchange_id is not None
    apps.worker.exchange_code(apps.rig.tenant_id, attempt.exchange_id, "google")
    assert apps.rig.calendar_user(user).token_version == 1
    assert apps.rig.sandbox.counts("/google/token") == 1


def test_an_app_that_goes_while_the_consent_is_given_connects_nobody(
    apps: AppRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    apps.rig.sandbox.account(ADA)
    apps.use_app(Provider.GOOGLE, "own-client")
    adapter = apps.rig.services.providers[Provider.GOOGLE]
    exchange = adapter.exchange_code

    def removed_meanwhile(*arguments: object, **more: object) -> object:
        grant = exchange(*arguments, **more)  # type: ignore[arg-type]
        assert apps.call("DELETE", "/oauth-apps/google").status_code == 204
        return grant

    monkeypatch.setattr(adapter, "exchange_code", removed_meanwhile)
    assert apps.connect(ADA, Provider.GOOGLE)["error"] == "provider_error"
    assert apps.rig.sandbox.counts("/google/revoke") == 1
    assert apps.stored_apps() == []


def checks(apps: AppRig, provider: Provider) -> dict[str, bool | None]:
    answer = apps.call("POST", f"/oauth-apps/{provider}/check")
    assert answer.status_code == 200, answer.text
    return {check["check"]: check["ok"] for check in answer.json()["data"]}


@BOTH
def test_a_check_knows_a_good_client_from_a_bad_one(apps: AppRig, provider: Provider) -> None:
    apps.use_app(provider, "own-client")
    assert checks(apps, provider)["credentials"] is True
    apps.register(provider, "own-client", "another")
    assert checks(apps, provider)["credentials"] is False
    assert apps.app(provider)["error_code"] == "oauth_app_refused"


@BOTH
def test_a_check_knows_an_address_that_is_not_registered(apps: AppRig, provider: Provider) -> None:
    apps.use_app(provider, "own-client", redirect_uris=["https://elsewhere.test/callback"])
    assert checks(apps, provider)["redirect_uri"] is False


@BOTH
def test_a_check_sees_what_its_users_have_granted(apps: AppRig, provider: Provider) -> None:
    apps.rig.sandbox.account(ADA, provider)
    apps.use_app(provider, "own-client")
    apps.connected(ADA, provider)
    found = checks(apps, provider)
    assert (found["scopes"], found["redirect_uri"], found["publisher_verification"]) == (True, True, None)


def test_a_check_sees_a_published_app_by_the_age_of_its_grants(apps: AppRig) -> None:
    apps.rig.sandbox.account(ADA)
    apps.use_app(Provider.GOOGLE, "own-client")
    apps.connected(ADA, Provider.GOOGLE)
    assert checks(apps, Provider.GOOGLE)["testing_mode"] is None
    apps.rig.clock.offset += timedelta(days=8)
    assert checks(apps, Provider.GOOGLE)["testing_mode"] is True
