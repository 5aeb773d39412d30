"""Consent, its scopes, and its end."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import parse_qs, urlsplit

import pytest

from meetbot.errors import RetryLater
from meetbot.providers.google.adapter import CALENDAR_LIST_SCOPE, EVENTS_SCOPE
from meetbot.providers.oauth import code_challenge_s256, new_code_verifier, url_with_query
from tests.unit.providers.scripted import (
    GOOGLE_CLIENT,
    MICROSOFT_CLIENT,
    Script,
    google,
    microsoft,
    reply,
)
from tests.unit.providers.token_endpoint import GOOGLE_REVOKE, REDIRECT


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


# PKCE and the consent page


def test_the_challenge_is_the_one_of_rfc_7636_appendix_b() -> None:
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert code_challenge_s256(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_every_verifier_is_new_and_as_long_as_rfc_7636_asks() -> None:
    verifiers = {new_code_verifier() for _ in range(100)}
    assert len(verifiers) == 100
    assert all(43 <= len(verifier) <= 128 for verifier in verifiers)
    verifier = verifiers.pop()
    digest = hashlib.sha256(verifier.encode()).digest()
    assert base64.urlsafe_b64decode(code_challenge_s256(verifier) + "=") == digest


def test_googles_consent_page_is_asked_for_offline_access_with_pkce() -> None:
    url = google(Script({})).authorization_url(
        GOOGLE_CLIENT,
        redirect_uri=REDIRECT,
        state="s&t",
        code_challenge="challenge",
        nonce="n",
        login_hint="ann@acme.example",
    )
    assert url.startswith("https://accounts.google.com/o/oauth2/v2/auth?")
    assert query_of(url) == {
        "response_type": "code",
        "client_id": "google-client",
        "redirect_uri": REDIRECT,
        "scope": f"openid email {EVENTS_SCOPE} {CALENDAR_LIST_SCOPE}",
        "access_type": "offline",
        "prompt": "consent",
        "state": "s&t",
        "nonce": "n",
        "code_challenge": "challenge",
        "code_challenge_method": "S256",
        "login_hint": "ann@acme.example",
    }


def test_microsofts_sign_in_page_lets_the_person_choose_the_account() -> None:
    url = microsoft(Script({}), directory="organizations").authorization_url(
        MICROSOFT_CLIENT, redirect_uri=REDIRECT, state="s", code_challenge="challenge", nonce="n", login_hint=None
    )
    assert url.startswith("https://login.microsoftonline.com/organizations/oauth2/v2.0/authorize?")
    assert query_of(url) == {
        "response_type": "code",
        "response_mode": "query",
        "client_id": "microsoft-client",
        "redirect_uri": REDIRECT,
        "scope": "openid profile email offline_access Calendars.Read",
        "prompt": "select_account",
        "state": "s",
        "nonce": "n",
        "code_challenge": "challenge",
        "code_challenge_method": "S256",
    }


def test_the_secret_is_not_in_the_browsers_address() -> None:
    for provider, oauth_client in ((google(Script({})), GOOGLE_CLIENT), (microsoft(Script({})), MICROSOFT_CLIENT)):
        url = provider.authorization_url(
            oauth_client, redirect_uri=REDIRECT, state="s", code_challenge="c", nonce="n", login_hint=None
        )
        assert "secret" not in url


def test_a_configured_address_may_have_a_query_of_its_own() -> None:
    assert (
        url_with_query("https://login.example/auth?realm=x", {"a": "b c"}) == "https://login.example/auth?realm=x&a=b+c"
    )


# Revoking


def test_revoking_ends_the_grant_at_google() -> None:
    script = Script({GOOGLE_REVOKE: reply({})})
    google(script).revoke(GOOGLE_CLIENT, "stored")
    assert script.form() == {"token": "stored"}


def test_a_grant_that_is_already_gone_counts_as_revoked() -> None:
    script = Script({GOOGLE_REVOKE: reply({"error": "invalid_token"}, 400)})
    google(script).revoke(GOOGLE_CLIENT, "stored")
    assert len(script.requests) == 1


def test_a_revocation_that_fails_is_reported() -> None:
    with pytest.raises(RetryLater):
        google(Script({GOOGLE_REVOKE: reply(b"", 503)})).revoke(GOOGLE_CLIENT, "stored")


def test_microsoft_has_nothing_to_revoke() -> None:
    script = Script({})
    microsoft(script).revoke(MICROSOFT_CLIENT, "stored")
    assert script.requests == []


# Scopes


@pytest.mark.parametrize(
    ("granted", "missing"),
    [
        ({"openid", EVENTS_SCOPE}, set()),
        ({"openid", "https://www.googleapis.com/auth/calendar.readonly"}, set()),
        ({"openid", "https://www.googleapis.com/auth/calendar"}, set()),
        ({"openid", "https://www.googleapis.com/auth/calendar.events"}, set()),
        ({"openid", CALENDAR_LIST_SCOPE}, {EVENTS_SCOPE}),
        ({EVENTS_SCOPE}, {"openid"}),
        (set(), {"openid", EVENTS_SCOPE}),
    ],
)
def test_google_needs_the_events_and_the_identity(granted: set[str], missing: set[str]) -> None:
    assert google(Script({})).missing_scopes(frozenset(granted)) == missing


@pytest.mark.parametrize(
    ("granted", "missing"),
    [
        ({"openid", "Calendars.Read"}, set()),
        ({"calendars.read"}, set()),
        ({"https://graph.microsoft.com/Calendars.Read"}, set()),
        ({"Calendars.ReadWrite"}, set()),
        ({"Calendars.ReadBasic"}, {"Calendars.Read"}),
        ({"openid"}, {"Calendars.Read"}),
    ],
)
def test_microsoft_needs_the_calendars(granted: set[str], missing: set[str]) -> None:
    assert microsoft(Script({})).missing_scopes(frozenset(granted)) == missing
