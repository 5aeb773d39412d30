"""The calendar providers and OAuth clients of this process, built from its settings."""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from meetbot.domain.event import Provider
from meetbot.providers.base import CalendarProvider, OAuthClient
from meetbot.providers.channels import ChannelProvider
from meetbot.providers.google.adapter import GoogleAddresses, GoogleCalendar
from meetbot.providers.google.channels import GoogleChannels
from meetbot.providers.http import build_http_client
from meetbot.providers.microsoft.adapter import MicrosoftAddresses, MicrosoftCalendar
from meetbot.providers.microsoft.channels import MicrosoftChannels
from meetbot.settings import Settings


def build_providers(settings: Settings, http: httpx.Client | None = None) -> Mapping[Provider, CalendarProvider]:
    """Build both providers on one shared HTTP client: `http`, or a new one.

    Once per process; they are safe to use from many threads.
    """
    http = http or build_http_client()
    google = GoogleAddresses(
        authorize_url=settings.google_authorize_url,
        token_url=settings.google_token_url,
        revoke_url=settings.google_revoke_url,
        api_url=settings.google_api_url,
    )
    microsoft = MicrosoftAddresses(
        login_url=settings.microsoft_login_url,
        directory=settings.microsoft_tenant,
        graph_url=settings.microsoft_graph_url,
    )
    return {
        Provider.GOOGLE: GoogleCalendar(google, http),
        Provider.MICROSOFT: MicrosoftCalendar(microsoft, http),
    }


def build_channel_providers(settings: Settings, http: httpx.Client) -> Mapping[Provider, ChannelProvider]:
    """Build what opens push channels at both providers, on one shared HTTP client."""
    return {
        Provider.GOOGLE: GoogleChannels(settings.google_api_url, http),
        Provider.MICROSOFT: MicrosoftChannels(settings.microsoft_graph_url, http),
    }


def oauth_client(settings: Settings, provider: Provider) -> OAuthClient | None:
    """Return our OAuth client at a provider, or None if its id or secret is not configured."""
    if provider is Provider.GOOGLE:
        client_id, secret = settings.google_client_id, settings.google_client_secret
    else:
        client_id, secret = settings.microsoft_client_id, settings.microsoft_client_secret
    if client_id is None or secret is None:
        return None
    return OAuthClient(provider, client_id, secret.get_secret_value())
