"""The vault behind a breaker and a limit of calls at once.

A frozen service holds every call until its timeout. Without a limit its callers take all threads of the process, and requests
that need no key wait behind them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from meetbot.errors import VaultUnavailable
from meetbot.vault.sealing import DataKey

CALLS_AT_ONCE = 8
_PLACE_SECONDS = 0.25
_FAILURES_TO_OPEN = 5
_OPEN_SECONDS = 5.0
Result = TypeVar("Result")


class SealingVault(Protocol):
    """The part of `meetbot.vault.client.Vault` that seals."""

    def new_data_key(self, tenant_id: str) -> DataKey:
        """Return a fresh key for one secret of the tenant. Raises `VaultError`."""
        ...

    def check(self) -> None:
        """Return if the vault answers and takes our credentials. Raises `VaultError`."""
        ...


class GuardedSealer:
    """A sealing vault that fails at once while its service does not answer.

    Raises `VaultUnavailable` with ``vault_busy`` if no place is free, and ``vault_breaker_open`` for five seconds after five
    failures in a row; then one call tries whether it answers again. `refuse_unsafe` is run until it succeeds once, before the
    first key is asked for.
    """

    def __init__(
        self,
        vault: SealingVault,
        *,
        refuse_unsafe: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._vault = vault
        self._refuse_unsafe = refuse_unsafe
        self._clock = clock
        self._places = threading.BoundedSemaphore(CALLS_AT_ONCE)
        self._lock = threading.Lock()
        self._failures = 0
        self._next_try_at = 0.0

    def new_data_key(self, tenant_id: str) -> DataKey:
        """Return a fresh key for one secret of the tenant. Raises `VaultError`."""
        return self._guarded(lambda: self._checked_key(tenant_id))

    def check(self) -> None:
        """Return if the vault answers, and as a safe one. Raises `VaultError`."""
        self._vault.check()
        self._check_rights()

    def _checked_key(self, tenant_id: str) -> DataKey:
        self._check_rights()
        return self._vault.new_data_key(tenant_id)

    def _check_rights(self) -> None:
        if self._refuse_unsafe is not None:
            self._refuse_unsafe()
            self._refuse_unsafe = None

    def _guarded(self, call: Callable[[], Result]) -> Result:
        self._refuse_while_open()
        if not self._places.acquire(timeout=_PLACE_SECONDS):
            raise VaultUnavailable("vault_busy", "too many calls wait for the key management service")
        try:
            result = call()
        except VaultUnavailable:
            self._note_failure()
            raise
        finally:
            self._places.release()
        with self._lock:
            self._failures = 0
        return result

    def _refuse_while_open(self) -> None:
        """The one that is let through while the breaker is open postpones the next one."""
        with self._lock:
            if self._failures < _FAILURES_TO_OPEN:
                return
            if self._clock() < self._next_try_at:
                raise VaultUnavailable("vault_breaker_open", "the key management service did not answer just now")
            self._next_try_at = self._clock() + _OPEN_SECONDS

    def _note_failure(self) -> None:
        with self._lock:
            self._failures += 1
            if self._failures == _FAILURES_TO_OPEN:
                self._next_try_at = self._clock() + _OPEN_SECONDS
