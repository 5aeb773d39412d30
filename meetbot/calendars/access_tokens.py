"""Access tokens for a calendar user, from memory or by a refresh.

A refresh opens the sealed refresh token, which one process at a time may use (`refresh_lease`).

A token in clear lives only in the memory of the process that runs activities.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

import structlog
from cachetools import TLRUCache

from meetbot.calendars.oauth_clients import OAuthClients
from meetbot.calendars.provider_waits import ProviderWaits
from meetbot.calendars.refresh_lease import RefreshLease, RefreshLeases
from meetbot.domain.event import Provider
from meetbot.errors import (
    AccessTokenRejected,
    MeetbotError,
    OperatorRequired,
    ReconnectRequired,
    RetryLater,
    SecretUnreadable,
)
from meetbot.providers.base import CalendarProvider, TokenGrant
from meetbot.providers.http import Deadline
from meetbot.providers.token_endpoint import TOKEN_SECONDS
from meetbot.storage.calendar_user_context import CalendarUserContext
from meetbot.vault.client import Vault
from meetbot.vault.sealing import DataKey, TokenOwner, refresh_token_binding, seal_refresh_token

Response = TypeVar("Response")

_EXPIRY_MARGIN = timedelta(seconds=60)
_CACHED_TOKENS = 50_000
_LOCK_STRIPES = 256
_PROOF_SECONDS = 5.0
# Two refreshes, each after having waited for another one.
_TOKENS_SECONDS = 80.0
_MEND_KEY = (
    "Check that VAULT_ADDR leads to the service that holds this tenant's key and that its old versions still decrypt. "
    "If the key is lost, have the user connect again."
)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _AccessToken:
    """What is kept of a grant; never its refresh token.

    ``checked_at`` is when the provider last gave it. If it was asked for another one in vain, it is from when it may be asked
    again.
    """

    version: int
    text: str = field(repr=False)
    expires_at: datetime
    checked_at: datetime


class AccessTokens:
    """A cache of access tokens that refreshes them: blocking, and safe to share between threads."""

    def __init__(
        self,
        *,
        leases: RefreshLeases,
        vault: Vault,
        providers: Mapping[Provider, CalendarProvider],
        clients: OAuthClients,
        region: str,
        clock: Callable[[], datetime],
        note_use: Callable[[CalendarUserContext], None],
        waits: ProviderWaits,
    ) -> None:
        self._waits = waits
        self._leases = leases
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
        given_within: timedelta | None = None,
    ) -> Response:
        """Make a request with an access token; if the provider rejects it, with a fresh one.

        ``deadline`` bounds the time to get tokens; the request has to keep to it by itself. ``given_within``: a token that the
        provider gave longer ago is refreshed, which proves that the grant still stands; if the login gives no answer, it
        does. Raises `AccessTokenRejected` if the provider rejects even a token that it has just issued, and `RetryLater` if
        another refresh takes too long, or without asking if the provider asked to wait until later.
        """
        self._waits.check(user)
        try:
            return self._call(user, request, deadline or Deadline(_TOKENS_SECONDS), given_within)
        except RetryLater as refusal:
            self._waits.note(user, refusal)
            raise

    def ready(self, user: CalendarUserContext) -> str | None:
        """Return the access token if there is one and the provider may be asked. It never waits."""
        try:
            self._waits.check(user)
        except RetryLater:
            return None
        token = self._cached(user)
        return token.text if token is not None else None

    def _call(
        self,
        user: CalendarUserContext,
        request: Callable[[str], Response],
        deadline: Deadline,
        given_within: timedelta | None,
    ) -> Response:
        token = self._access_token(user, deadline, given_within=given_within)
        try:
            try:
                return request(token.text)
            except AccessTokenRejected:
                token = self._access_token(user, deadline, rejected=token.text)
            return request(token.text)
        except ReconnectRequired as refusal:
            refusal.token_version = token.version
            raise

    def _access_token(
        self,
        user: CalendarUserContext,
        deadline: Deadline,
        *,
        rejected: str | None = None,
        given_within: timedelta | None = None,
    ) -> _AccessToken:
        cached = self._cached(user)
        if cached is not None and cached.text != rejected and self._is_recent(cached, given_within):
            return cached
        lock = self._locks[hash((user.tenant_id, user.id)) % _LOCK_STRIPES]
        if not lock.acquire(timeout=deadline.remaining()):
            raise RetryLater("token_refresh_slow", "another refresh of this calendar user takes too long")
        try:
            cached = self._cached(user)
            if cached is None or cached.text == rejected:
                return self._refreshed(user, deadline)
            return cached if self._is_recent(cached, given_within) else self._proved(user, cached)
        finally:
            lock.release()

    def _is_recent(self, token: _AccessToken, given_within: timedelta | None) -> bool:
        return given_within is None or self._clock() < token.checked_at + given_within

    def _proved(self, user: CalendarUserContext, cached: _AccessToken) -> _AccessToken:
        """Refresh a token that is still good, only to learn whether the grant still stands.

        An outage of the login, or of our own, is no reason to go without the token, or to wait long for another. If the login
        asks for a wait, the calendar is read on meanwhile.
        """
        try:
            return self._refreshed(user, Deadline(_PROOF_SECONDS))
        except ReconnectRequired:
            raise
        except MeetbotError as error:
            _log.warning("grant.not_proved", tenant_id=user.tenant_id, calendar_user_id=user.id, code=error.code)
            wait = error.retry_after if isinstance(error, RetryLater) else None
            return self._keep(user, replace(cached, checked_at=self._clock() + (wait or timedelta())))

    def forget(self, tenant_id: str, calendar_user_id: str) -> None:
        """Drop the cached token, so that the next call refreshes."""
        with self._tokens_lock:
            self._tokens.pop((tenant_id, calendar_user_id), None)

    def _keep(self, user: CalendarUserContext, token: _AccessToken) -> _AccessToken:
        with self._tokens_lock:
            self._tokens[(user.tenant_id, user.id)] = token
        return token

    def _cached(self, user: CalendarUserContext) -> _AccessToken | None:
        with self._tokens_lock:
            found = self._tokens.get((user.tenant_id, user.id))
        if found is None or found.version >= user.token_version:
            return found
        # The user has connected again since.
        self.forget(user.tenant_id, user.id)
        return None

    def _refreshed(self, user: CalendarUserContext, deadline: Deadline) -> _AccessToken:
        try:
            return self._refresh(user, deadline)
        except _Overtaken:
            # Refused with a token that another process, or a new consent, has replaced meanwhile.
            return self._refresh(user, deadline, is_last=True)

    def _refresh(self, user: CalendarUserContext, deadline: Deadline, *, is_last: bool = False) -> _AccessToken:
        with self._leases.hold(user.tenant_id, user.id, deadline) as lease:
            try:
                return self._ask(user, lease, deadline)
            except ReconnectRequired as refusal:
                refusal.token_version = lease.token.version
                if not is_last and self._leases.is_newer(lease):
                    raise _Overtaken from None
                raise

    def _ask(self, user: CalendarUserContext, lease: RefreshLease, deadline: Deadline) -> _AccessToken:
        stored = lease.token
        with self._clients.asking(user.tenant_id, user.provider, stored.oauth_client_id) as client:
            refresh_token = self._open(user, lease)
            # Before the old token is used up, since nothing that can be waited for may fail once there is a new one.
            data_key = self._vault.new_data_key(user.tenant_id)
            asked_at = self._clock()
            seconds = min(deadline.remaining(), lease.deadline.remaining(), TOKEN_SECONDS)
            grant = self._providers[user.provider].refresh(client, refresh_token, timeout_seconds=seconds)
        # A new refresh token is stored before the access token is used: a crash in between must not lose the newest one.
        version = self._store(user, lease, refresh_token, grant, data_key)
        return self._keep(user, _AccessToken(version, grant.access_token, grant.expires_at, asked_at))

    def _open(self, user: CalendarUserContext, lease: RefreshLease) -> str:
        self._note_use(user)
        binding = refresh_token_binding(self._region, _owner(user, lease, lease.token.sealed_version))
        try:
            return self._vault.open(user.tenant_id, lease.token.sealed, binding).decode("utf-8")
        except SecretUnreadable as error:
            raise OperatorRequired(error.code, "the stored refresh token does not open", next_step=_MEND_KEY) from None

    def _store(
        self, user: CalendarUserContext, lease: RefreshLease, old: str, grant: TokenGrant, data_key: DataKey
    ) -> int:
        version = lease.token.version
        if grant.refresh_token is None or grant.refresh_token == old:
            return version
        binding = refresh_token_binding(self._region, _owner(user, lease, version + 1))
        return self._leases.store(lease, seal_refresh_token(data_key, grant.refresh_token, binding))


class _Overtaken(Exception):
    """A newer refresh token is stored than the one that was refused."""


def _owner(user: CalendarUserContext, lease: RefreshLease, version: int) -> TokenOwner:
    """Return what a refresh token is sealed for, by what is stored of it now."""
    return replace(user.token_owner, token_version=version, oauth_client_id=lease.token.oauth_client_id)
