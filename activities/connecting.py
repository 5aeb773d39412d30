"""What only the worker can do with a tenant's own OAuth app: it opens the secret."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import structlog
from temporalio import activity

from activities.services import Services
from meetbot.calendars.complete_connect import (
    CompletedConnect,
    ConnectContext,
    ReturnedCode,
    complete_connect,
    error_of_exchange,
)
from meetbot.calendars.connect_flow import ConnectError, callback_address
from meetbot.calendars.sealed_codes import code_binding, read_code
from meetbot.calendars.turned_away import keep_turned_away
from meetbot.domain.event import Provider
from meetbot.errors import ProviderError, SecretUnreadable
from meetbot.providers.oauth import new_code_verifier
from meetbot.storage import connect_attempts
from meetbot.storage.oauth_apps import get_app
from meetbot.storage.secret_uses import SecretPurpose
from meetbot.storage.tables import ConnectAttempt
from meetbot.temporal.connect_messages import (
    ExchangeRef,
    ExchangeResult,
    OAuthAppRef,
    ProbeResult,
)
from meetbot.temporal.messages import (
    ActivityName,
)
from meetbot.vault.sealing import DataKey, SealedSecret, SecretBinding, kek_name

_NO_CODE = "meetbot-check"
_log = structlog.get_logger(__name__)


class ConnectingVault(Protocol):
    """The vault as an exchange uses it."""

    def open(self, tenant_id: str, sealed: SealedSecret, binding: SecretBinding) -> bytes:
        """Return the secret in clear. Raises `VaultError`."""
        ...

    def forget(self, sealed: SealedSecret) -> None:
        """Drop the cached key of one secret."""
        ...

    def new_data_key(self, tenant_id: str) -> DataKey:
        """Return a fresh key for one secret of the tenant. Raises `VaultError`."""
        ...


class ConnectingActivities:
    """The activities that use the secret of a tenant's app for other things than refreshing."""

    def __init__(
        self,
        services: Services,
        vault: ConnectingVault,
        region: str,
        note_use: Callable[[str, SecretPurpose, str], None],
    ) -> None:
        self._services = services
        self._vault = vault
        self._region = region
        self._note_use = note_use

    def all(self) -> Sequence[Callable[..., Any]]:
        """Return all activities, for the worker that runs them."""
        return [self.exchange_code, self.probe]

    @activity.defn(name=ActivityName.CONNECT_EXCHANGE, no_thread_cancel_exception=True)
    def exchange_code(self, ref: ExchangeRef) -> ExchangeResult:
        """Exchange the sealed code and store the calendar user.

        Raises `VaultError`, and then the code is not spent.
        """
        with self._services.database.transaction(ref.tenant_id) as session:
            attempt = connect_attempts.find_exchange(session, ref.tenant_id, ref.exchange_id)
        if attempt is None or attempt.oauth_client_id is None:
            return ExchangeResult()
        if attempt.outcome is not None:
            return ExchangeResult(attempt.connected_user_id or "")
        completed = self._complete(attempt, attempt.oauth_client_id)
        if completed.user is not None:
            return ExchangeResult(completed.user.id)
        if completed.approved is not None:
            return ExchangeResult()
        error = completed.error or ConnectError.PROVIDER_ERROR
        if error is ConnectError.ADMIN_CONSENT_REQUIRED and attempt.admin_consent_id is None:
            # Before the outcome is noted: whoever reads that finds the link to forward.
            keep_turned_away(self._context(), attempt)
        with self._services.database.transaction(ref.tenant_id) as session:
            connect_attempts.note_outcome(session, attempt, error=error)
        return ExchangeResult()

    @activity.defn(name=ActivityName.OAUTH_APP_PROBE, no_thread_cancel_exception=True)
    def probe(self, ref: OAuthAppRef) -> ProbeResult:
        """Offer the token endpoint a code that cannot be good, and return the code of its refusal."""
        with self._services.database.transaction(ref.tenant_id) as session:
            app = get_app(session, ref.tenant_id, ref.app_id)
        if app is None:
            return ProbeResult("oauth_app_missing")
        provider = Provider(app.provider)
        try:
            with self._services.clients.asking(ref.tenant_id, provider, app.client_id) as client:
                try:
                    self._services.providers[provider].exchange_code(
                        client,
                        code=_NO_CODE,
                        code_verifier=new_code_verifier(),
                        redirect_uri=callback_address(self._services.public_url, provider),
                        nonce="",
                    )
                except ProviderError as error:
                    if error.code != "invalid_grant":
                        raise
        except ProviderError as error:
            return ProbeResult(error.code)
        return ProbeResult("invalid_grant")

    def _complete(self, attempt: ConnectAttempt, client_id: str) -> CompletedConnect:
        provider = Provider(attempt.provider)
        try:
            # Both before the code is spent.
            returned, data_key = self._opened(attempt, client_id), self._vault.new_data_key(attempt.tenant_id)
            with self._services.clients.asking(attempt.tenant_id, provider, client_id) as client:
                return complete_connect(self._context(), client, attempt, returned, data_key)
        except SecretUnreadable as error:
            _log.warning("connect.code_unreadable", provider=attempt.provider, code=error.code)
            return CompletedConnect(error=ConnectError.PROVIDER_ERROR)
        except ProviderError as error:
            _log.warning("connect.code_exchange_failed", provider=attempt.provider, code=error.code)
            return CompletedConnect(error=error_of_exchange(error))

    def _opened(self, attempt: ConnectAttempt, client_id: str) -> ReturnedCode:
        exchange_id = attempt.exchange_id or ""
        sealed = SealedSecret(
            kek_name(attempt.tenant_id),
            attempt.kek_version or 0,
            attempt.wrapped_key or "",
            bytes(attempt.code_ciphertext or b""),
        )
        self._note_use(attempt.tenant_id, SecretPurpose.CONSENT_CODE, exchange_id)
        binding = code_binding(self._region, attempt.tenant_id, exchange_id, client_id)
        try:
            code, code_verifier = read_code(self._vault.open(attempt.tenant_id, sealed, binding))
        finally:
            self._vault.forget(sealed)
        return ReturnedCode(code, code_verifier, callback_address(self._services.public_url, attempt.provider))

    def _context(self) -> ConnectContext:
        services = self._services
        return ConnectContext(
            services.database,
            services.providers,
            self._region,
            services.clock,
            push_is_on=services.push.is_on,
            ours=services.clients.ours,
            public_url=services.public_url,
        )
