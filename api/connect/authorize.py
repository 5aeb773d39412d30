"""The first half of connecting: from the customer's request to the provider's consent page."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from api.dependencies import ApiServices
from api.problems import Problem
from meetbot.calendars.connect_flow import (
    LIFETIME,
    Token,
    browser_hash,
    callback_address,
    check_redirect_url,
    code_verifier,
    new_browser_secret,
    new_token,
)
from meetbot.calendars.oauth_clients import client_of_app
from meetbot.domain.event import Provider
from meetbot.providers.base import OAuthClient
from meetbot.providers.oauth import code_challenge_s256
from meetbot.storage import connect_attempts
from meetbot.storage.oauth_apps import present_app
from meetbot.storage.tables import CalendarUser, ConnectAttempt, WaitingUser
from meetbot.storage.tenants import find_tenant

ADMIN_LIFETIME = timedelta(hours=1)
"""How long an administrator may take on the provider's pages."""


def configured_client(services: ApiServices, provider: Provider) -> OAuthClient:
    """Return the OAuth client of a provider. Raises the problem ``provider_not_configured``."""
    client = services.clients.get(provider)
    if client is None:
        raise Problem(409, "provider_not_configured", f"no OAuth client is configured for {provider}")
    return client


@dataclass(frozen=True, slots=True)
class ConsentClient:
    """The client that asks for consent: ours, or the tenant's own, named without its secret."""

    client: OAuthClient
    oauth_client_id: str | None


def consent_client(session: Session, services: ApiServices, tenant_id: str, provider: Provider) -> ConsentClient:
    """Return the client by which the tenant connects calendars now.

    Raises the problem ``provider_not_configured``.
    """
    app = present_app(session, tenant_id, provider)
    if app is not None:
        return ConsentClient(client_of_app(app), app.client_id)
    return ConsentClient(configured_client(services, provider), None)


def client_name(services: ApiServices, attempt: ConnectAttempt) -> str:
    """Return the id of the client that asked in this attempt; empty if it is gone."""
    if attempt.oauth_client_id is not None:
        return attempt.oauth_client_id
    client = services.clients.get(Provider(attempt.provider))
    return client.client_id if client is not None else ""


def redirect_uri(services: ApiServices, provider: Provider) -> str:
    """Return where the provider sends the browser back to."""
    return callback_address(services.settings.public_url, provider)


def authorize_url(services: ApiServices, ticket: Token) -> str:
    """Return the address on which the end-user's browser begins."""
    return f"{services.settings.public_url.rstrip('/')}/v1/calendar/authorize/{ticket.text}"


@dataclass(frozen=True, slots=True)
class RequestedConnection:
    """Which calendar a customer asked to connect, and what with."""

    provider: Provider
    customer_user_id: str
    redirect_url: str | None = None
    login_hint: str | None = None
    attributes: Mapping[str, Any] | None = None
    rules: Mapping[str, Any] | None = None
    reconnect_calendar_user_id: str | None = None
    waiting_user_id: str | None = None


@dataclass(frozen=True, slots=True)
class IssuedTicket:
    """A one-time ticket for the end-user's browser."""

    ticket: Token
    expires_at: datetime


def check_tenants_redirect(session: Session, services: ApiServices, tenant_id: str, redirect_url: str | None) -> None:
    """Raise `InvalidInput` for a redirect URL that the tenant may not use."""
    if redirect_url is None:
        return
    tenant = find_tenant(session, tenant_id)
    check_redirect_url(
        redirect_url,
        allowed_networks=services.settings.outbound_allow_cidrs,
        origins=tenant.redirect_origins if tenant is not None else (),
    )


def issue_ticket(
    session: Session, services: ApiServices, tenant_id: str, requested: RequestedConnection
) -> IssuedTicket:
    """Store the attempt and return its ticket.

    Raises `InvalidInput` for a redirect URL that the tenant may not use.
    """
    consent_client(session, services, tenant_id, requested.provider)
    check_tenants_redirect(session, services, tenant_id, requested.redirect_url)
    issued = IssuedTicket(new_token(tenant_id), services.clock() + LIFETIME)
    connect_attempts.add_attempt(
        session,
        ConnectAttempt(
            tenant_id=tenant_id,
            ticket_hash=issued.ticket.digest,
            expires_at=issued.expires_at,
            provider=requested.provider,
            customer_user_id=requested.customer_user_id,
            redirect_url=requested.redirect_url,
            login_hint=requested.login_hint,
            attributes=dict(requested.attributes) if requested.attributes is not None else None,
            rules=dict(requested.rules) if requested.rules is not None else None,
            reconnect_calendar_user_id=requested.reconnect_calendar_user_id,
            waiting_user_id=requested.waiting_user_id,
        ),
    )
    return issued


def go_on_at_once(
    session: Session, services: ApiServices, tenant_id: str, requested: RequestedConnection
) -> ProviderRedirect | None:
    """Store the attempt and use its ticket for the browser that is here.

    None as of `redirect_to_provider`.
    """
    issued = issue_ticket(session, services, tenant_id, requested)
    attempt = connect_attempts.find_by_ticket(session, tenant_id, issued.ticket.digest)
    return redirect_to_provider(services, attempt, session) if attempt is not None else None


def requested_reconnection(user: CalendarUser, redirect_url: str | None = None) -> RequestedConnection:
    """Return the request to give access to this very calendar again."""
    return RequestedConnection(
        provider=Provider(user.provider),
        customer_user_id=user.customer_user_id,
        redirect_url=redirect_url,
        login_hint=user.email,
        reconnect_calendar_user_id=user.id,
    )


def requested_continuation(row: WaitingUser, redirect_url: str | None = None) -> RequestedConnection:
    """Return the request to connect somebody who waits for an administrator."""
    return RequestedConnection(
        provider=Provider(row.provider),
        customer_user_id=row.customer_user_id,
        redirect_url=redirect_url if redirect_url is not None else row.redirect_url,
        login_hint=row.login_hint,
        waiting_user_id=row.id,
    )


@dataclass(frozen=True, slots=True)
class ProviderRedirect:
    """A browser on its way to the provider, with a cookie to bring back within ``lifetime``."""

    provider_url: str
    state: Token
    browser_secret: str
    lifetime: timedelta = LIFETIME


@dataclass(frozen=True, slots=True)
class BrowserBinding:
    """What binds one visit of the provider to one browser."""

    state: Token
    browser_secret: str
    nonce: str


def browser_binding(tenant_id: str) -> BrowserBinding:
    """Return a fresh binding."""
    return BrowserBinding(new_token(tenant_id), new_browser_secret(), secrets.token_urlsafe(24))


def redirect_to_provider(services: ApiServices, attempt: ConnectAttempt, session: Session) -> ProviderRedirect | None:
    """Use up the ticket and bind the attempt to this browser.

    None if the ticket was used meanwhile or has expired.
    """
    provider = Provider(attempt.provider)
    asking = consent_client(session, services, attempt.tenant_id, provider)
    binding = browser_binding(attempt.tenant_id)
    lifetime = LIFETIME if attempt.admin_consent_id is None else ADMIN_LIFETIME
    bound = connect_attempts.use_ticket(
        session,
        attempt.tenant_id,
        attempt.ticket_hash,
        state_hash=binding.state.digest,
        browser_hash=browser_hash(binding.browser_secret),
        nonce=binding.nonce,
        oauth_client_id=asking.oauth_client_id,
        lifetime=lifetime,
    )
    if not bound:
        return None
    if attempt.directory is not None:
        # Signing in there is the proof.
        asking = replace(asking, client=replace(asking.client, directory=attempt.directory))
    url = services.providers[provider].authorization_url(
        asking.client,
        redirect_uri=redirect_uri(services, provider),
        state=binding.state.text,
        code_challenge=code_challenge_s256(code_verifier(binding.browser_secret, binding.state)),
        nonce=binding.nonce,
        login_hint=attempt.login_hint,
    )
    return ProviderRedirect(url, binding.state, binding.browser_secret, lifetime)
