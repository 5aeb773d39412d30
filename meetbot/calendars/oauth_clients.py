"""Which OAuth client a provider is asked with: ours, or the tenant's own app."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlmodel import Session

from meetbot.domain.audit import AuditFact, DetailValue
from meetbot.domain.event import Provider
from meetbot.errors import OperatorRequired, SecretUnreadable
from meetbot.providers.base import OAuthClient
from meetbot.providers.token_endpoint import CLIENT_REFUSALS
from meetbot.storage.audit_log import append
from meetbot.storage.database import Database
from meetbot.storage.oauth_apps import destroy_unused, find_app, lock_apps, note_app_error
from meetbot.storage.secret_uses import SecretPurpose
from meetbot.storage.tables import OAuthApp
from meetbot.vault.sealing import SealedSecret, SecretBinding, kek_name

APP_REFUSED = "oauth_app_refused"
_BY_THE_SERVICE = "service"
_SECRET = "oauth_client_secret"  # noqa: S105 - a kind of secret
_MEND_APP = "Check the app's client id, its secret and the secret's expiry at the provider, then PUT the app again."


class Opener(Protocol):
    """The vault as it opens an app's secret."""

    def open(self, tenant_id: str, sealed: SealedSecret, binding: SecretBinding) -> bytes:
        """Return the secret in clear. Raises `VaultError`."""
        ...


def app_secret_binding(region: str, tenant_id: str, provider: str, client_id: str) -> SecretBinding:
    """Return what an app's sealed secret is bound to: it opens for no other client."""
    return SecretBinding(region, tenant_id, _SECRET, client_id, (("provider", provider),))


def client_of_app(app: OAuthApp, secret: str = "") -> OAuthClient:
    """Return the client of a tenant's app.

    Without its secret it does for whatever only names the client.
    """
    return OAuthClient(Provider(app.provider), app.client_id, secret, app.directory)


def destroy_retired(session: Session, tenant_id: str, provider: str, *, now: datetime) -> None:
    """Destroy the retired apps that no calendar user needs any more.

    Each gets an entry in the audit log. It locks the apps (`lock_apps`), as the caller may have done.
    """
    lock_apps(session, tenant_id, provider)
    for client_id in destroy_unused(session, tenant_id, provider):
        detail: dict[str, DetailValue] = {"client_id": client_id}
        append(session, tenant_id, AuditFact(now, _BY_THE_SERVICE, "oauth_app.destroyed", provider, detail=detail))


@dataclass(frozen=True, slots=True)
class OAuthClients:
    """The clients of a worker.

    ``note_use`` is told of each secret before it is opened: tenant, purpose, id.
    """

    database: Database
    vault: Opener
    ours: Mapping[Provider, OAuthClient]
    region: str
    note_use: Callable[[str, SecretPurpose, str], None]

    def named(self, provider: Provider, oauth_client_id: str | None) -> OAuthClient:
        """Return the client; a tenant's own one without its secret. Raises `OperatorRequired`."""
        if oauth_client_id is not None:
            return OAuthClient(provider, oauth_client_id, "")
        client = self.ours.get(provider)
        if client is None:
            raise OperatorRequired(
                "provider_not_configured",
                "no OAuth client is configured for this provider",
                next_step=f"set MEETBOT_{provider.upper()}_CLIENT_ID and _CLIENT_SECRET",
            )
        return client

    @contextmanager
    def asking(self, tenant_id: str, provider: Provider, oauth_client_id: str | None) -> Iterator[OAuthClient]:
        """Yield the client to ask the provider with.

        Raises `OperatorRequired`: ``oauth_app_refused`` if the provider refuses the tenant's own client, which is noted on the
        app until it is taken again.
        """
        if oauth_client_id is None:
            yield self.named(provider, None)
            return
        app = self._load(tenant_id, provider, oauth_client_id)
        try:
            yield self._opened(app)
        except OperatorRequired as error:
            if error.code not in CLIENT_REFUSALS:
                raise
            self._note(app, APP_REFUSED)
            raise OperatorRequired(APP_REFUSED, error.detail, next_step=_MEND_APP) from None
        self._note(app, None)

    def _load(self, tenant_id: str, provider: Provider, client_id: str) -> OAuthApp:
        with self.database.transaction(tenant_id) as session:
            app = find_app(session, tenant_id, provider, client_id, with_secret=True)
        if app is None:
            raise OperatorRequired(
                "oauth_app_missing", "the tenant's OAuth app is gone", next_step="Connect the calendar again."
            )
        return app

    def _opened(self, app: OAuthApp) -> OAuthClient:
        sealed = SealedSecret(kek_name(app.tenant_id), app.kek_version, app.wrapped_key, bytes(app.secret_ciphertext))
        binding = app_secret_binding(self.region, app.tenant_id, app.provider, app.client_id)
        self.note_use(app.tenant_id, SecretPurpose.OAUTH_APP, app.id)
        try:
            secret = self.vault.open(app.tenant_id, sealed, binding).decode("utf-8")
        except SecretUnreadable as error:
            raise OperatorRequired(error.code, "the app's secret does not open", next_step=_MEND_APP) from None
        return client_of_app(app, secret)

    def _note(self, app: OAuthApp, code: str | None) -> None:
        if app.error_code == code:
            return
        with self.database.transaction(app.tenant_id) as session:
            note_app_error(session, app.tenant_id, app.id, code)
