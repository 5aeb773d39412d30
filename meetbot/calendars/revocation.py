"""Ending the grant of an erased calendar user at its provider, with the token kept for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from meetbot.calendars.oauth_clients import OAuthClients
from meetbot.domain.erasure import Revocation
from meetbot.domain.event import Provider
from meetbot.errors import SecretUnreadable
from meetbot.providers.base import CalendarProvider
from meetbot.storage.database import Database
from meetbot.storage.erasures import is_connected_anywhere
from meetbot.storage.tables import PendingRevocation
from meetbot.vault.sealing import SealedSecret, SecretBinding, TokenOwner, kek_name, refresh_token_binding

_REVOKE_SECONDS = 10.0


class Opener(Protocol):
    """The vault as a revocation uses it."""

    def open(self, tenant_id: str, sealed: SealedSecret, binding: SecretBinding) -> bytes:
        """Return the secret in clear. Raises `VaultError`."""
        ...

    def forget(self, sealed: SealedSecret) -> None:
        """Drop the cached key of one secret."""
        ...


@dataclass(frozen=True, slots=True)
class Revoker:
    """What ends grants: the kept tokens, the vault that opens them, and the providers."""

    database: Database
    vault: Opener
    providers: Mapping[Provider, CalendarProvider]
    clients: OAuthClients
    region: str
    note_use: Callable[[PendingRevocation], None]

    def revoke(self, pending: PendingRevocation) -> Revocation:
        """End the grant and return how that ended.

        Raises `ProviderError` or `VaultError` if asking again may help.
        """
        provider = Provider(pending.provider)
        ours = self.clients.ours.get(provider)
        with self.database.subject_lookup(pending.subject) as session:
            if is_connected_anywhere(
                session,
                pending.provider,
                pending.subject,
                pending.oauth_client_id,
                ours=ours.client_id if ours is not None else None,
            ):
                return Revocation.IN_USE
        client = self.clients.named(provider, pending.oauth_client_id)
        try:
            token = self._open(pending)
        except SecretUnreadable:
            return Revocation.UNREADABLE
        return self.providers[provider].revoke(client, token, timeout_seconds=_REVOKE_SECONDS)

    def access_token(self, pending: PendingRevocation) -> str:
        """Return a last access token, to close what the provider would otherwise keep open.

        A new refresh token that comes with it is not stored: at no provider does it end the one that is kept. Raises
        `ProviderError` or `VaultError`.
        """
        provider = Provider(pending.provider)
        client = self.clients.named(provider, pending.oauth_client_id)
        grant = self.providers[provider].refresh(client, self._open(pending), timeout_seconds=_REVOKE_SECONDS)
        return grant.access_token

    def _open(self, pending: PendingRevocation) -> str:
        sealed = SealedSecret(
            kek_name(pending.tenant_id), pending.kek_version, pending.wrapped_key, bytes(pending.refresh_ciphertext)
        )
        binding = refresh_token_binding(
            self.region,
            TokenOwner(
                pending.tenant_id,
                pending.calendar_user_id,
                pending.provider,
                pending.subject,
                pending.token_version,
                pending.oauth_client_id,
            ),
        )
        self.note_use(pending)
        try:
            return self.vault.open(pending.tenant_id, sealed, binding).decode("utf-8")
        finally:
            self.vault.forget(sealed)
