"""Connecting again through another OAuth client ends the grant to the earlier one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlmodel import select

from activities.background.earlier_grants import end_waiting
from meetbot.dev.postgres import PostgresServer
from meetbot.domain.calendar_user import CalendarUserStatus
from meetbot.domain.erasure import Revocation
from meetbot.domain.event import Provider
from meetbot.domain.push import ChannelState
from meetbot.storage.database import Database
from meetbot.storage.earlier_grants import set_earlier_token_aside
from meetbot.storage.push_channels import want_channel
from meetbot.storage.roles import Role
from meetbot.storage.secret_uses import SecretPurpose
from meetbot.storage.tables import AuditEntry, PendingRevocation, SecretUse
from meetbot.tenants.erase import unfinished_of
from meetbot.tenants.key_rotation import KeyRotation, RotationStep
from tests.integration.erasing import erase
from tests.integration.own_apps import AppRig, open_app_rig
from tests.rig import Rig
from tests.stack import VaultService, url_as

pytestmark = pytest.mark.stack

ADA = "ada@acme.test"
PROJECT = "123456789012"
OLD, NEW = (f"{PROJECT}-{name}.apps.googleusercontent.com" for name in ("old", "new"))


@pytest.fixture
def apps(
    rig: Rig, postgres_server: PostgresServer, fresh_database: str, vault_service: VaultService
) -> Iterator[AppRig]:
    with open_app_rig(rig, url_as(postgres_server, fresh_database, Role.API), vault_service) as opened:
        yield opened


def end_grants(apps: AppRig) -> int:
    rig = apps.rig
    return end_waiting(rig.database, rig.revoker, rig.clock)


def ended(apps: AppRig) -> list[tuple[str, object]]:
    """What the audit log says of grants that ended."""
    with apps.rig.read() as session:
        rows = session.exec(select(AuditEntry).where(AuditEntry.action == "calendar_user.earlier_grant_ended")).all()
        return [(row.target, row.detail) for row in rows]


def kept_tokens(apps: AppRig) -> int:
    with apps.rig.read() as session:
        return len(session.exec(select(PendingRevocation)).all())


def works(apps: AppRig, user: str) -> bool:
    apps.rig.services.tokens.forget(apps.rig.tenant_id, user)
    apps.rig.sync(user)
    return apps.rig.calendar_user(user).state == CalendarUserStatus.ACTIVE


def reconnected(apps: AppRig, provider: Provider, earlier: str | None, later: str | None) -> str:
    """Connect through one client and again through another; None is ours."""
    if earlier is not None:
        apps.use_app(provider, earlier)
    user = apps.connected(ADA, provider)
    if later is None:
        apps.call("DELETE", f"/oauth-apps/{provider}")
    else:
        apps.use_app(provider, later)
    assert apps.connected(ADA, provider, again=user) == user
    assert apps.rig.calendar_user(user).oauth_client_id == later
    return user


@pytest.mark.parametrize(("earlier", "later"), [(None, "own"), ("own", None), ("own", "another")])
def test_the_earlier_clients_grant_is_revoked(apps: AppRig, earlier: str | None, later: str | None) -> None:
    apps.rig.sandbox.account(ADA)
    user = reconnected(apps, Provider.GOOGLE, earlier, later)
    assert end_grants(apps) == 1
    assert apps.rig.sandbox.counts("/google/revoke") == 1
    assert kept_tokens(apps) == 0
    assert ended(apps) == [(user, {"provider": "google", "client_id": earlier, "revocation": "revoked"})]
    assert works(apps, user)
    assert end_grants(apps) == 0


def test_microsofts_grant_cannot_be_revoked_and_the_audit_log_says_so(apps: AppRig) -> None:
    apps.rig.sandbox.account(ADA, Provider.MICROSOFT)
    user = reconnected(apps, Provider.MICROSOFT, None, "own")
    assert end_grants(apps) == 1
    assert kept_tokens(apps) == 0
    assert ended(apps) == [(user, {"provider": "microsoft", "client_id": None, "revocation": "unsupported"})]


def test_connecting_again_through_the_same_client_revokes_nothing(apps: AppRig) -> None:
    apps.rig.sandbox.account(ADA)
    user = apps.connected(ADA, Provider.GOOGLE)
    apps.connected(ADA, Provider.GOOGLE, again=user)
    assert end_grants(apps) == 0
    assert works(apps, user)


def test_a_grant_that_another_connection_needs_stays(apps: AppRig) -> None:
    apps.rig.sandbox.account(ADA)
    other = apps.connected(ADA, Provider.GOOGLE, customer="another")
    user = reconnected(apps, Provider.GOOGLE, None, "own")
    assert end_grants(apps) == 1
    assert ended(apps) == [(user, {"provider": "google", "client_id": None, "revocation": "in_use"})]
    assert works(apps, other)


def test_a_new_client_of_the_same_project_keeps_the_grant(apps: AppRig) -> None:
    """Google knows one grant to a project, and would end the new client's too."""
    apps.rig.sandbox.account(ADA)
    reconnected(apps, Provider.GOOGLE, OLD, NEW)
    assert end_grants(apps) == 1
    assert apps.rig.sandbox.counts("/google/revoke") == 0
    assert [detail for _, detail in ended(apps)] == [
        {"provider": "google", "client_id": OLD, "revocation": Revocation.IN_USE}
    ]


def test_an_erasure_spares_the_grant_of_another_client_of_the_project(apps: AppRig) -> None:
    apps.rig.sandbox.account(ADA)
    apps.use_app(Provider.GOOGLE, OLD)
    user = apps.connected(ADA, Provider.GOOGLE)
    apps.use_app(Provider.GOOGLE, NEW)
    apps.connected(ADA, Provider.GOOGLE, customer="another")
    assert erase(apps.rig, user).revocation is Revocation.IN_USE
    assert apps.rig.sandbox.counts("/google/revoke") == 0


def test_while_the_provider_is_down_it_is_tried_again(apps: AppRig) -> None:
    apps.rig.sandbox.account(ADA)
    user = reconnected(apps, Provider.GOOGLE, None, "own")
    apps.rig.sandbox.fault(path="/google/revoke", status=503, times=1)
    assert end_grants(apps) == 0
    assert (kept_tokens(apps), ended(apps)) == (1, [])
    assert unfinished_of(apps.rig.database, apps.rig.tenant_id).erasures == 1
    assert end_grants(apps) == 1
    assert [target for target, _ in ended(apps)] == [user]
    assert unfinished_of(apps.rig.database, apps.rig.tenant_id).erasures == 0


def test_after_a_week_the_token_is_destroyed_and_that_is_told(apps: AppRig) -> None:
    apps.rig.sandbox.account(ADA)
    user = reconnected(apps, Provider.GOOGLE, None, "own")
    apps.rig.sandbox.fault(path="/google/revoke", status=503)
    apps.rig.clock.offset += timedelta(days=7, minutes=1)
    assert end_grants(apps) == 1
    assert kept_tokens(apps) == 0
    assert ended(apps) == [(user, {"provider": "google", "client_id": None, "revocation": "given_up"})]


def test_the_token_that_is_kept_outlives_the_rotation_of_the_tenants_key(apps: AppRig) -> None:
    apps.rig.sandbox.account(ADA)
    reconnected(apps, Provider.GOOGLE, None, "own")
    rig = apps.rig
    for step in (RotationStep.ROTATE, RotationStep.REWRAP, RotationStep.TRIM):
        list(KeyRotation(rig.database, rig.vault, settling=timedelta()).run(step, rig.tenant_id))
    rig.vault.forget_tenant(rig.tenant_id)
    assert end_grants(apps) == 1
    assert apps.rig.sandbox.counts("/google/revoke") == 1


def test_the_opening_of_the_earlier_token_is_put_down(apps: AppRig) -> None:
    apps.rig.sandbox.account(ADA)
    user = reconnected(apps, Provider.GOOGLE, None, "own")
    end_grants(apps)
    with apps.rig.read() as session:
        uses = session.exec(select(SecretUse).where(SecretUse.purpose == SecretPurpose.REVOCATION)).all()
    assert [use.subject_id for use in uses] == [user]
    assert uses[0].used_by.startswith("earlier-grant/rvk_")


@pytest.mark.parametrize(("later", "state"), [("own", ChannelState.ENDING), (None, ChannelState.WANTED)])
def test_channels_of_the_earlier_client_are_replaced(apps: AppRig, later: str | None, state: ChannelState) -> None:
    """They end with the grant they were opened by, and nothing would tell."""
    apps.rig.sandbox.account(ADA)
    user = apps.connected(ADA, Provider.GOOGLE)
    with apps.rig.database.transaction(apps.rig.tenant_id) as session:
        want_channel(
            session, apps.rig.tenant_id, user, provider="google", calendar_id="primary", failures=0, retry_at=None
        )
    if later is not None:
        apps.use_app(Provider.GOOGLE, later)
    apps.connected(ADA, Provider.GOOGLE, again=user)
    assert [row.state for row in apps.rig.channels(user)] == [state]


def test_no_other_tenants_token_can_be_set_aside(apps: AppRig, login: Callable[[Role | None], Database]) -> None:
    apps.rig.sandbox.account(ADA)
    user = apps.connected(ADA, Provider.GOOGLE)
    with login(Role.API).transaction("ten_another") as session:
        set_earlier_token_aside(session, apps.rig.tenant_id, user)
    assert kept_tokens(apps) == 0
