"""The settings decide where the providers are."""

from __future__ import annotations

import httpx
import pytest
from pydantic import SecretStr

from meetbot.domain.event import Provider
from meetbot.providers.base import CalendarProvider
from meetbot.providers.registry import build_providers, oauth_client
from meetbot.settings import Settings
from tests.unit.providers.scripted import (
    GOOGLE_CLIENT,
    MICROSOFT_CLIENT,
    WINDOW_END,
    WINDOW_START,
    Script,
    client,
    reply,
)


def test_both_providers_are_there_and_know_their_names() -> None:
    with httpx.Client() as http:
        providers: dict[Provider, CalendarProvider] = dict(build_providers(Settings(), http))
    assert {name: provider.name for name, provider in providers.items()} == {name: name for name in Provider}


def test_every_address_can_be_replaced() -> None:
    at = "http://127.0.0.1:9000"
    settings = Settings(
        google_authorize_url=f"{at}/g/auth",
        google_token_url=f"{at}/g/token",
        google_revoke_url=f"{at}/g/revoke",
        google_api_url=f"{at}/g/calendar/v3/",
        microsoft_login_url=f"{at}/m/",
        microsoft_tenant="organizations",
        microsoft_graph_url=f"{at}/m/graph/v1.0/",
    )
    token = reply({"access_token": "a", "expires_in": 60})
    script = Script(
        {
            "/g/token": token,
            "/g/revoke": reply({}),
            "/g/calendar/v3/calendars/primary/events": reply({"items": []}),
            "/m/organizations/oauth2/v2.0/token": token,
            "/m/graph/v1.0/me/calendars": reply({"value": []}),
            "/m/graph/v1.0/me/calendarView": reply({"value": []}),
        }
    )
    providers = build_providers(settings, client(script))
    google, microsoft = providers[Provider.GOOGLE], providers[Provider.MICROSOFT]
    google.refresh(GOOGLE_CLIENT, "r")
    google.revoke(GOOGLE_CLIENT, "r")
    microsoft.refresh(MICROSOFT_CLIENT, "r")
    for provider in (google, microsoft):
        provider.list_events("a", window_start=WINDOW_START, window_end=WINDOW_END, granted=frozenset())
    assert {str(request.url.copy_with(path="/", query=None)) for request in script.requests} == {f"{at}/"}
    page = google.authorization_url(
        GOOGLE_CLIENT, redirect_uri="r", state="s", code_challenge="c", nonce="n", login_hint=None
    )
    assert page.startswith(f"{at}/g/auth?")


@pytest.mark.parametrize("provider", list(Provider))
def test_without_id_or_secret_there_is_no_oauth_client(provider: Provider) -> None:
    assert oauth_client(Settings(), provider) is None
    half = Settings(google_client_id="id", microsoft_client_secret=SecretStr("secret"))
    assert oauth_client(half, provider) is None


@pytest.mark.parametrize("provider", list(Provider))
def test_the_oauth_client_comes_from_the_settings(provider: Provider) -> None:
    settings = Settings(
        google_client_id="g",
        google_client_secret=SecretStr("gs"),
        microsoft_client_id="m",
        microsoft_client_secret=SecretStr("ms"),
    )
    found = oauth_client(settings, provider)
    assert found is not None
    assert (found.provider, found.client_id, found.client_secret) == (
        (provider, "g", "gs") if provider is Provider.GOOGLE else (provider, "m", "ms")
    )
    assert "gs" not in repr(found)
