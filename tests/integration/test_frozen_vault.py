"""The worker on a real OpenBao that stands still: no bot is missed, no user is disconnected."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial

import pytest

from activities.sync import SyncActivities
from activities.wiring import build_services
from meetbot.domain.event import Provider
from meetbot.errors import VaultError, VaultUnavailable
from meetbot.temporal.messages import DispatchOutcome
from meetbot.vault.client import TokenAuth, Vault
from meetbot.vault.guarded import Breaker
from meetbot.vault.rights import ProcessKind, refuse_unsafe_rights
from tests.dispatching import SingleDispatch
from tests.integration.meetings import BOTH, dispatch, scheduled
from tests.rig import Rig, open_rig
from tests.stack import OwnVault

pytestmark = pytest.mark.stack


@pytest.fixture
def frozen_rig(fresh_database: str, own_vault: OwnVault, sandbox_server: str) -> Iterator[Rig]:
    """A rig on a vault that the test may freeze."""
    service = own_vault.service
    with open_rig(fresh_database, service.address, service.root_token, sandbox_server) as opened:
        opened.sandbox.post("/control/reset", {"seed": False})
        yield opened


def restarted(rig: Rig, own_vault: OwnVault, breaker: Breaker | None = None) -> tuple[Rig, Vault]:
    """The same worker with the rights and breaker of a real one, and nothing in memory."""
    service = own_vault.service
    vault = Vault(service.address, TokenAuth(service.tokens.worker_token), breaker=breaker or Breaker())
    services = build_services(rig.settings, rig.database, vault, clock=rig.clock)
    dispatching = SingleDispatch(services, sleep_until=rig.clock.sleep_until)
    sync_activities = SyncActivities(services)
    return (
        replace(rig, vault=vault, services=services, sync_activities=sync_activities, dispatch_activity=dispatching),
        vault,
    )


@BOTH
def test_a_due_bot_goes_by_the_last_sync_while_no_key_can_be_had(
    frozen_rig: Rig, own_vault: OwnVault, provider: Provider
) -> None:
    ada = frozen_rig.sandbox.account("ada@acme.test", provider)
    user = frozen_rig.connect(ada, provider)
    frozen_rig.sandbox.event(ada)
    key, step = scheduled(frozen_rig, user)
    rig, vault = restarted(frozen_rig, own_vault)
    with closing(vault), closing(rig.services), own_vault.frozen():
        assert dispatch(rig, key, step).outcome is DispatchOutcome.DISPATCHED
    assert len(frozen_rig.sandbox.jobs()) == 1


def test_a_due_bot_is_re_checked_with_the_token_in_memory(frozen_rig: Rig, own_vault: OwnVault) -> None:
    ada = frozen_rig.sandbox.account("ada@acme.test")
    user = frozen_rig.connect(ada)
    event = frozen_rig.sandbox.event(ada)
    key, step = scheduled(frozen_rig, user)
    frozen_rig.sandbox.cancel(event)
    with own_vault.frozen():
        assert dispatch(frozen_rig, key, step).outcome is DispatchOutcome.CHANGED
    assert frozen_rig.sandbox.jobs() == []


def test_syncs_fail_at_once_after_a_few_tries_and_disconnect_nobody(frozen_rig: Rig, own_vault: OwnVault) -> None:
    user = frozen_rig.connect(frozen_rig.sandbox.account("ada@acme.test"))
    frozen_rig.sync(user)
    now = [0.0]
    rig, vault = restarted(frozen_rig, own_vault, Breaker(clock=lambda: now[0]))
    codes = []
    with closing(vault), closing(rig.services):
        with own_vault.frozen():
            for _ in range(8):
                with pytest.raises(VaultUnavailable) as failed:
                    rig.sync(user)
                codes.append(failed.value.code)
        row = rig.calendar_user(user)
        now[0] = 5.0
        recovered = rig.sync(user).state
    assert codes == ["vault_unreachable"] * 5 + ["vault_breaker_open"] * 3
    assert (row.state, row.error_code) == ("active", "vault_breaker_open")
    assert (recovered, rig.calendar_user(user).error_code) == ("active", None)


def test_a_worker_that_began_while_it_stood_still_asks_for_its_rights_before_the_first_key(
    frozen_rig: Rig, own_vault: OwnVault
) -> None:
    user = frozen_rig.connect(frozen_rig.sandbox.account("ada@acme.test"))
    rig, vault = restarted(frozen_rig, own_vault)
    vault.require(partial(refuse_unsafe_rights, vault, ProcessKind.WORKER))
    with closing(vault), closing(rig.services):
        with own_vault.frozen(), pytest.raises(VaultUnavailable):
            vault.ensure_safe()
        # This one has no audit device, which production refuses.
        with pytest.raises(VaultError, match="vault_audit_missing"):
            rig.sync(user)
        with pytest.raises(VaultError, match="vault_audit_missing"):
            vault.check()
    assert rig.calendar_user(user).error_code == "vault_audit_missing"
