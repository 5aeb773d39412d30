"""The way of an administrator's browser: to the provider's page, back, and the proof.

1. The forwarded link leads to the provider's admin consent page. It may be opened more than once, since mail filters open links
   too: it is used up by an approval. The browser that opens it gets a cookie, and only it can come back.
2. What the provider's redirect says of the directory could be written by anybody who holds the link. So the browser goes on to
   sign in to the directory that was named, through the same steps as a connection.
3. The ID token of that sign-in names the directory (`meetbot.calendars.approved_directories`).
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from sqlmodel import Session

from api.connect.authorize import (
    ADMIN_LIFETIME,
    ProviderRedirect,
    browser_binding,
    consent_client,
    redirect_to_provider,
    redirect_uri,
)
from api.connect.callback import ConsentResult
from api.dependencies import ApiServices
from meetbot.calendars.connect_flow import ConnectError, Token, browser_hash, error_from_provider, new_token
from meetbot.domain.event import Provider
from meetbot.providers.microsoft.directories import read_directory_id
from meetbot.storage import connect_attempts
from meetbot.storage.admin_consents import find_admin_consent
from meetbot.storage.tables import AdminConsent, ConnectAttempt

_log = structlog.get_logger(__name__)
_GRANTED = "true"


@dataclass(frozen=True, slots=True)
class AdminAnswer:
    """What an administrator's browser brings back from the provider's admin consent page."""

    state: Token
    browser_secret: str
    admin_consent: str
    directory: str
    error: str
    error_description: str


def to_admin_page(session: Session, services: ApiServices, link: AdminConsent) -> ProviderRedirect | None:
    """Return the way to the provider's admin consent page, bound to the opening browser.

    None if the provider has no such page.
    """
    provider = Provider(link.provider)
    asking = consent_client(session, services, link.tenant_id, provider)
    binding = browser_binding(link.tenant_id)
    url = services.providers[provider].admin_consent_url(
        asking.client,
        directory=link.directory,
        redirect_uri=redirect_uri(services, provider),
        state=binding.state.text,
    )
    if url is None:
        return None
    attempt = _attempt(link, services)
    connect_attempts.add_attempt(session, attempt)
    connect_attempts.use_ticket(
        session,
        link.tenant_id,
        attempt.ticket_hash,
        state_hash=binding.state.digest,
        browser_hash=browser_hash(binding.browser_secret),
        nonce=binding.nonce,
        oauth_client_id=asking.oauth_client_id,
        lifetime=ADMIN_LIFETIME,
    )
    return ProviderRedirect(url, binding.state, binding.browser_secret, ADMIN_LIFETIME)


def go_on(
    services: ApiServices, attempt: ConnectAttempt, answer: AdminAnswer
) -> ProviderRedirect | ConsentResult | None:
    """Take what the admin consent page answered: on to the sign-in, or to the end.

    None if the state was used meanwhile. Nothing is stored of it but the attempt to sign in.
    """
    if attempt.expires_at <= services.clock():
        return ConsentResult(attempt, error=ConnectError.EXPIRED)
    with services.database.transaction(attempt.tenant_id) as session:
        if not connect_attempts.use_state(
            session,
            attempt.tenant_id,
            state_hash=answer.state.digest,
            browser_hash=browser_hash(answer.browser_secret),
        ):
            return None
        link = find_admin_consent(session, attempt.tenant_id, attempt.admin_consent_id or "")
        directory = read_directory_id(answer.directory)
        error = _error(services, link, directory, answer)
        if error is not None or link is None or directory is None:
            _log.info("admin_consent.refused", provider=attempt.provider, error=error)
            return ConsentResult(attempt, error=error or ConnectError.PROVIDER_ERROR)
        proof = _attempt(link, services)
        proof.directory = directory
        connect_attempts.add_attempt(session, proof)
        return redirect_to_provider(services, proof, session)


def _error(
    services: ApiServices, link: AdminConsent | None, directory: str | None, answer: AdminAnswer
) -> ConnectError | None:
    if answer.error:
        return error_from_provider(answer.error, answer.error_description)
    # A refusal has the flag too, so that it is looked at last.
    if directory is None or answer.admin_consent.lower() != _GRANTED:
        return ConnectError.PROVIDER_ERROR
    if link is None or link.expires_at <= services.clock():
        return ConnectError.EXPIRED
    named = read_directory_id(link.directory or "")
    return ConnectError.ACCOUNT_MISMATCH if named is not None and named != directory else None


def _attempt(link: AdminConsent, services: ApiServices) -> ConnectAttempt:
    """An attempt that connects nobody."""
    return ConnectAttempt(
        tenant_id=link.tenant_id,
        ticket_hash=new_token(link.tenant_id).digest,
        expires_at=services.clock() + ADMIN_LIFETIME,
        provider=link.provider,
        customer_user_id="",
        redirect_url=link.redirect_url,
        admin_consent_id=link.id,
    )
