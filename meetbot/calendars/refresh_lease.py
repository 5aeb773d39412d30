"""One refresh at a time for each calendar user, across all processes.

Whoever refreshes holds the refresh token for half a minute at most, which is noted on the calendar user's row: no transaction
and no connection stays open while a provider is asked. A process that is killed meanwhile delays the next refresh by that time.
What a provider gave is stored before it is used. If the database fails just then, the new token is kept, sealed, until the
same process refreshes again.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

import structlog
from cachetools import LRUCache
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from meetbot.errors import RetryLater
from meetbot.providers.http import Deadline
from meetbot.storage.database import Database
from meetbot.storage.refresh_tokens import StoredToken, end_hold, store_rotated, take_token, token_version
from meetbot.vault.sealing import SealedSecret

LEASE_SECONDS: Final = 30.0
# What storing and ending the lease may take, after the provider has answered.
_STORING_SECONDS = 5.0
_PAUSE_SECONDS = 0.2
_STORE_ATTEMPTS = 4
_KEPT = 10_000
_log = structlog.get_logger(__name__)


def pause(seconds: float) -> None:
    """Wait between two looks at a lease of another process, and between attempts to store."""
    time.sleep(seconds)


@dataclass(frozen=True, slots=True)
class RefreshLease:
    """The right to use one refresh token, and the token as it is stored.

    ``deadline`` is when the provider must have answered, so that the lease still holds while the answer is stored.
    """

    tenant_id: str
    calendar_user_id: str
    holder: str
    token: StoredToken
    deadline: Deadline


@dataclass(frozen=True, slots=True)
class _Unstored:
    """A new refresh token that could not be stored yet."""

    sealed: SealedSecret
    replaces: int


class RefreshLeases:
    """The leases of this process; safe to share between threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._unstored: LRUCache[tuple[str, str], _Unstored] = LRUCache(_KEPT)
        self._lock = threading.Lock()

    @contextmanager
    def hold(self, tenant_id: str, calendar_user_id: str, deadline: Deadline) -> Iterator[RefreshLease]:
        """Hold the refresh token alone, from now until the block ends.

        Raises `RetryLater` (``token_refresh_slow``) if another process holds it for longer than the deadline.
        """
        self._store_kept(tenant_id, calendar_user_id)
        lease = self._taken(tenant_id, calendar_user_id, deadline)
        try:
            yield lease
        finally:
            # A lease that cannot be ended ends by itself.
            with suppress(SQLAlchemyError), self._database.transaction(tenant_id) as session:
                end_hold(session, tenant_id, calendar_user_id, holder=lease.holder)

    def store(self, lease: RefreshLease, sealed: SealedSecret) -> int:
        """Store the refresh token that replaces the leased one, and return its version.

        Raises `RetryLater` (``token_not_stored``) if the database does not take it; then it is kept for the next refresh.
        """
        replaces = lease.token.version
        for attempt in range(1, _STORE_ATTEMPTS + 1):
            try:
                with self._database.transaction(lease.tenant_id) as session:
                    return store_and_end(session, lease, sealed)
            except SQLAlchemyError as error:
                # Its text may quote what was to be written.
                _log.warning("refresh_token.not_stored", attempt=attempt, code=type(error).__name__)
            if attempt < _STORE_ATTEMPTS:
                pause(_PAUSE_SECONDS * 2**attempt)
        with self._lock:
            self._unstored[lease.tenant_id, lease.calendar_user_id] = _Unstored(sealed, replaces)
        raise RetryLater("token_not_stored", "the database did not take a new refresh token")

    def is_newer(self, lease: RefreshLease) -> bool:
        """Return whether another refresh token has been stored since the lease was taken."""
        with self._database.transaction(lease.tenant_id) as session:
            version = token_version(session, lease.tenant_id, lease.calendar_user_id)
        return version is not None and version > lease.token.version

    def _taken(self, tenant_id: str, calendar_user_id: str, deadline: Deadline) -> RefreshLease:
        holder = secrets.token_hex(8)
        while True:
            # Begins before the database's own count, so that it ends before it too.
            answered_by = Deadline(LEASE_SECONDS - _STORING_SECONDS)
            with self._database.transaction(tenant_id) as session:
                token = take_token(session, tenant_id, calendar_user_id, holder=holder, seconds=LEASE_SECONDS)
            if token is not None:
                return RefreshLease(tenant_id, calendar_user_id, holder, token, answered_by)
            if deadline.remaining() <= _PAUSE_SECONDS:
                raise RetryLater("token_refresh_slow", "another refresh of this calendar user takes too long")
            pause(_PAUSE_SECONDS)

    def _store_kept(self, tenant_id: str, calendar_user_id: str) -> None:
        key = (tenant_id, calendar_user_id)
        with self._lock:
            kept = self._unstored.get(key)
        if kept is None:
            return
        with self._database.transaction(tenant_id) as session:
            store_rotated(session, tenant_id, calendar_user_id, kept.sealed, replaces=kept.replaces)
        with self._lock:
            self._unstored.pop(key, None)


def store_and_end(session: Session, lease: RefreshLease, sealed: SealedSecret) -> int:
    """Store a new refresh token and end its lease, in one transaction."""
    version = store_rotated(session, lease.tenant_id, lease.calendar_user_id, sealed, replaces=lease.token.version)
    end_hold(session, lease.tenant_id, lease.calendar_user_id, holder=lease.holder)
    return version
