"""Access tokens for a calendar user, from memory or by a refresh.

A refresh opens the sealed refresh token.

A token in clear lives only in the memory of the process that runs activities.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

from cachetools import TLRUCache

from meetbot.calendars.oauth_clients import OAuthClients
from meetbot.calendars.provider_waits import ProviderWaits
from meetbot.domain.event import Provider
from meetbot.errors import AccessTokenRejected, OperatorRequired, RetryLater, SecretUnreadable
from meetbot.providers.base import CalendarProvider, TokenGrant
from meetbot.providers.http import Deadline
from meetbot.providers.token_endpoint import TOKEN_SECONDS
from meetbot.storage.calendar_user_context import CalendarUserContext
from meetbot.storage.database import Database
from meetbot.storage.refresh_tokens import store_rotated
from meetbot.vault.client import Vault
from meetbot.vault.sealing import DataKey, refresh_token_binding, seal_refresh_token

Response = TypeVar("Response")

_EXPIRY_MARGIN = timedelta(seconds=60)
_CACHED_TOKENS = 50_000
# Microsoft gives a new refresh token with every access token, Google hardly ever.
_ROTATES_TOKENS = frozenset({Provider.MICROSOFT})
_LOCK_STRIPES = 256
# Two refreshes, each after having waited for another one.
_TOKENS_SECONDS = 80.0
_MEND_KEY = (
    "Check that VAULT_ADDR leads to the service that holds this tenant's key and that its old versions still decrypt. "
    "If the key is lost, have the user connect again."
)


@dataclass(frozen=True, slots=True)
class _AccessToken:
    """What is kept of a grant; never its refresh token."""

    version: int
    text: str = field(repr=False)
    expires_at: datetime


class AccessTokens:
    """A cache of access tokens that refreshes them: blocking, and safe to share between threads.

    There is one refresh at a time per calendar user and process.
    """

    def __init__(
        self,
        *,
        database: Database,
        vault: Vault,
        providers: Mapping[Provider, CalendarProvider],
        clients: OAuthClients,
        region: str,
        clock: Callable[[], datetime],
        note_use: Callable[[CalendarUserContext], None],
        waits: ProviderWaits,
    ) -> None:
        self._waits = waits
        self._database = database
        self._vault = vault
        self._providers = providers
        self._clients = clients
        self._region = region
        self._clock = clock
        self._note_use = note_use
        self._tokens: TLRUCache[tuple[str, str], _AccessToken] = TLRUCache(
            _CACHED_TOKENS,
            ttu=lambda _key, token, _now: (token.expires_at - _EXPIRY_MARGIN).timestamp(),
            timer=lambda: clock().timestamp(),
        )
        self._tokens_lock = threading.Lock()
        self._locks = tuple(threading.Lock() for _ in range(_LOCK_STRIPES))

    def call(
        self,
        user: CalendarUserContext,
        request: Callable[[str], Response],
        *,
        deadline: Deadline | None = None,
    ) -> Response:
        """Make a request with an access token; if the provider rejects it, with a fresh one.

        ``deadline`` bounds the time to get tokens; the request has to keep to it by itself. Raises `AccessTokenRejected` if
        the provider rejects even a token that it has just issued, and `RetryLater` if another refresh takes too long, or
        without asking if the provider asked to wait until later.
        """
        self._waits.check(user)
        try:
            return self._call(user, request, deadline or Deadline(_TOKENS_SECONDS))
        except RetryLater as refusal:
            self._waits.note(user, refusal)
            raise

    def ready(self, user: CalendarUserContext) -> str | None:
        """Return the access token if there is one and the provider may be asked. It never waits."""
        try:
            self._waits.check(user)
        except RetryLater:
            return None
        return self._cached(user)

    def _call(self, user: CalendarUserContext, request: Callable[[str], Response], deadline: Deadline) -> Response:
        token = self._access_token(user, deadline)
        try:
            return request(token)
        except AccessTokenRejected:
            fresh = self._access_token(user, deadline, rejected=token)
        return request(fresh)

    def _access_token(self, user: CalendarUserContext, deadline: Deadline, *, rejected: str | None = None) -> str:
        lock = self._locks[hash((user.tenant_id, user.id)) % _LOCK_STRIPES]
        if not lock.acquire(timeout=deadline.remaining()):
            raise RetryLater("token_refresh_slow", "another refresh of this calendar user takes too long")
        try:
            cached = self._cached(user)
            if cached is not None and cached != rejected:
                return cached
            return self._refresh(user, deadline)
        finally:
            lock.release()

    def forget(self, tenant_id: str, calendar_user_id: str) -> None:
        """Drop the cached token, so that the next call refreshes."""
        with self._tokens_lock:
            self._tokens.pop((tenant_id, calendar_user_id), None)

    def _cached(self, user: CalendarUserContext) -> str | None:
        with self._tokens_lock:
            found = self._tokens.get((user.tenant_id, user.id))
        if found is None or found.version >= user.token_version:
            return None if found is None else found.text
        # The user has connected again since.
        self.forget(user.tenant_id, user.id)
        return None

    def _refresh(self, user: CalendarUserContext, deadline: Deadline) -> str:
        with self._clients.asking(user.tenant_id, user.provider, user.oauth_client_id) as client:
            refresh_token = self._open(user)
            # Before the old token is used up, since nothing that can be waited for may fail once there is a new one.
            data_key = self._vault.new_data_key(user.tenant_id) if user.provider in _ROTATES_TOKENS else None
            grant = self._providers[user.provider].refresh(
                client, refresh_token, timeout_seconds=min(deadline.remaining(), TOKEN_SECONDS)
            )
        # A rotated token is stored before its access token is used: a crash in between must not lose the newest one.
        version = self._store_rotated(user, refresh_token, grant, data_key)
        with self._tokens_lock:
            self._tokens[(user.tenant_id, user.id)] = _AccessToken(version, grant.access_token, grant.expires_at)
        return grant.access_token

    def _open(self, user: CalendarUserContext) -> str:
        binding = refresh_token_binding(self._region, user.token_owner)
        self._note_use(user)
        try:
            return self._vault.open(user.tenant_id, user.sealed_refresh_token, binding).decode("utf-8")
        except SecretUnreadable as error:
            raise OperatorRequired(error.code, "the stored refresh token does not open", next_step=_MEND_KEY) from None

    def _store_rotated(self, user: CalendarUserContext, old: str, grant: TokenGrant, data_key: DataKey | None) -> int:
        if grant.refresh_token is None or grant.refresh_token == old:
            return user.token_version
        owner = replace(user.token_owner, token_version=user.token_version + 1)
        binding = refresh_token_binding(self._region, owner)
        sealed = seal_refresh_token(data_key or self._vault.new_data_key(user.tenant_id), grant.refresh_token, binding)
        with self._database.transaction(user.tenant_id) as session:
            return store_rotated(session, user.tenant_id, user.id, sealed, replaces=user.token_version)
