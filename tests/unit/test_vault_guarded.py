"""A vault that does not answer costs its callers no time and no threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from meetbot.errors import VaultError, VaultUnavailable
from meetbot.vault.guarded import CALLS_AT_ONCE, GuardedSealer
from meetbot.vault.sealing import DataKey, kek_name


class ScriptedVault:
    """Counts its calls; fails while `is_down`, and holds each call until `released`."""

    def __init__(self) -> None:
        self.calls = 0
        self.is_down = False
        self.released = threading.Event()
        self.released.set()
        self.entered = threading.Semaphore(0)

    def new_data_key(self, tenant_id: str) -> DataKey:
        self.calls += 1
        self.entered.release()
        self.released.wait(30)
        self.check()
        return DataKey(b"k" * 32, "vault:v1:AAAA", kek_name(tenant_id), 1)

    def check(self) -> None:
        if self.is_down:
            raise VaultUnavailable("vault_unreachable", "stands still")


def failed_codes(sealer: GuardedSealer, times: int) -> list[str]:
    codes = []
    for _ in range(times):
        with pytest.raises(VaultUnavailable) as caught:
            sealer.new_data_key("ten_1")
        codes.append(caught.value.code)
    return codes


def test_after_five_failures_nobody_waits_for_the_vault() -> None:
    vault, now = ScriptedVault(), [0.0]
    sealer = GuardedSealer(vault, clock=lambda: now[0])
    vault.is_down = True
    assert failed_codes(sealer, 8) == ["vault_unreachable"] * 5 + ["vault_breaker_open"] * 3
    assert vault.calls == 5


def test_after_five_seconds_one_call_tries_again_and_closes_the_breaker() -> None:
    vault, now = ScriptedVault(), [0.0]
    sealer = GuardedSealer(vault, clock=lambda: now[0])
    vault.is_down = True
    failed_codes(sealer, 5)
    now[0] = 5.0
    assert failed_codes(sealer, 2) == ["vault_unreachable", "vault_breaker_open"]
    now[0], vault.is_down = 10.0, False
    assert sealer.new_data_key("ten_1").wrapped_key == "vault:v1:AAAA"
    assert sealer.new_data_key("ten_1").wrapped_key == "vault:v1:AAAA"


def test_a_refusal_is_an_answer_and_opens_no_breaker() -> None:
    class Denying(ScriptedVault):
        def new_data_key(self, tenant_id: str) -> DataKey:
            self.calls += 1
            raise VaultError("vault_denied", "permission denied")

    vault = Denying()
    sealer = GuardedSealer(vault)
    for _ in range(10):
        with pytest.raises(VaultError, match="vault_denied"):
            sealer.new_data_key("ten_1")
    assert vault.calls == 10


def test_a_frozen_vault_holds_a_few_callers_and_no_more() -> None:
    vault = ScriptedVault()
    sealer = GuardedSealer(vault)
    vault.released.clear()
    with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
        held = [pool.submit(sealer.new_data_key, "ten_1") for _ in range(CALLS_AT_ONCE)]
        for _ in held:
            assert vault.entered.acquire(timeout=30)
        assert failed_codes(sealer, 1) == ["vault_busy"]
        vault.released.set()
        assert all(future.result(timeout=30).wrapped_key for future in held)
    assert sealer.new_data_key("ten_1").wrapped_key


def test_an_unsafe_vault_gives_no_key_and_a_safe_one_is_asked_once() -> None:
    vault, checks = ScriptedVault(), []
    unsafe = [True]

    def refuse_unsafe() -> None:
        checks.append(1)
        if unsafe[0]:
            raise VaultError("vault_rights_unsafe", "may decrypt")

    sealer = GuardedSealer(vault, refuse_unsafe=refuse_unsafe)
    with pytest.raises(VaultError, match="vault_rights_unsafe"):
        sealer.new_data_key("ten_1")
    assert vault.calls == 0
    unsafe[0] = False
    for _ in range(3):
        sealer.new_data_key("ten_1")
    assert len(checks) == 2
