"""An authorization code is exchanged for tokens and an identity."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from meetbot.errors import ReconnectRequired
from meetbot.providers.google.adapter import EVENTS_SCOPE, GoogleAddresses, GoogleCalendar
from meetbot.providers.microsoft.adapter import MicrosoftAddresses, MicrosoftCalendar
from tests.unit.providers.scripted import (
    GOOGLE_CLIENT,
    MICROSOFT_CLIENT,
    NOW,
    Script,
    client,
    google,
    microsoft,
)
from tests.unit.providers.token_endpoint import (
    DIRECTORY,
    GOOGLE_TOKEN,
    MICROSOFT_TOKEN,
    REDIRECT,
    encoded,
    exchange_google,
    exchange_microsoft,
    google_claims,
    microsoft_claims,
    tokens,
)


def test_googles_code_is_exchanged_with_verifier_and_secret() -> None:
    script = Script({GOOGLE_TOKEN: tokens(id_token=encoded(google_claims()))})
    grant = exchange_google(script)
    assert script.form() == {
        "client_id": "google-client",
        "client_secret": "google-secret",
        "grant_type": "authorization_code",
        "code": "the-code",
        "code_verifier": "the-verifier",
        "redirect_uri": REDIRECT,
    }
    assert grant.access_token == "access"
    assert grant.refresh_token == "refresh"
    assert grant.expires_at == NOW + timedelta(seconds=3599)
    assert grant.scopes == {"openid", EVENTS_SCOPE}
    assert (grant.subject, grant.email, grant.directory_id) == ("1234567890", "ann@acme.example", None)


def test_microsofts_subject_is_directory_and_object() -> None:
    grant = exchange_microsoft(Script({MICROSOFT_TOKEN: tokens(id_token=encoded(microsoft_claims()))}))
    assert grant.subject == f"{DIRECTORY}:object-1"
    assert grant.directory_id == DIRECTORY
    assert grant.email == "ann@acme.example"


def test_an_accounts_addresses_are_those_that_an_invitation_may_name() -> None:
    claims = microsoft_claims(email="Ann.Owner@acme.example", preferred_username="ann@acme.example", upn=" ")
    grant = exchange_microsoft(Script({MICROSOFT_TOKEN: tokens(id_token=encoded(claims))}))
    assert (grant.email, grant.aliases) == ("Ann.Owner@acme.example", ("ann@acme.example",))


def test_without_an_object_id_the_subject_is_sub() -> None:
    grant = exchange_microsoft(Script({MICROSOFT_TOKEN: tokens(id_token=encoded(microsoft_claims(oid=None)))}))
    assert grant.subject == "pairwise"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"aud": "another-client"}, "aud"),
        ({"aud": ["google-client", "another-client"]}, "aud"),
        ({"aud": None}, "aud"),
        ({"exp": NOW.timestamp() - 61}, "exp"),
        ({"exp": "later"}, "exp"),
        ({"exp": True}, "exp"),
        ({"nonce": "another"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"iss": "https://evil.example"}, "iss"),
    ],
)
def test_an_id_token_that_does_not_hold_is_refused(change: dict[str, Any], named: str) -> None:
    with pytest.raises(ReconnectRequired) as caught:
        exchange_google(Script({GOOGLE_TOKEN: tokens(id_token=encoded(google_claims(**change)))}))
    assert caught.value.code == "id_token_refused"
    assert caught.value.detail.endswith(f": {named}")


@pytest.mark.parametrize("token", [None, "", "a.b", "a.%%%.c", "a.W10.c", 5, "é.é.é", "x" * 70_000, "a.eyJ.c"])
def test_an_id_token_that_cannot_be_read_is_refused(token: object) -> None:
    with pytest.raises(ReconnectRequired) as caught:
        exchange_google(Script({GOOGLE_TOKEN: tokens(id_token=token)}))
    assert caught.value.code == "id_token_refused"


def test_several_audiences_hold_when_the_token_was_issued_to_us() -> None:
    claims = google_claims(aud=["google-client", "other"], azp="google-client")
    assert exchange_google(Script({GOOGLE_TOKEN: tokens(id_token=encoded(claims))})).subject == "1234567890"


def test_a_clock_a_few_seconds_apart_does_no_harm() -> None:
    claims = google_claims(exp=NOW.timestamp() - 30)
    assert exchange_google(Script({GOOGLE_TOKEN: tokens(id_token=encoded(claims))})).subject == "1234567890"


def test_microsofts_issuer_must_belong_to_the_directory_in_the_token() -> None:
    claims = microsoft_claims(tid="another-directory")
    with pytest.raises(ReconnectRequired) as caught:
        exchange_microsoft(Script({MICROSOFT_TOKEN: tokens(id_token=encoded(claims))}))
    assert caught.value.detail.endswith(": iss")


def test_with_other_addresses_configured_any_issuer_is_right() -> None:
    at = "http://127.0.0.1:9000"
    script = Script(
        {
            "/token": tokens(id_token=encoded(google_claims(iss=at))),
            "/common/oauth2/v2.0/token": tokens(id_token=encoded(microsoft_claims(iss=at))),
        }
    )
    other_google = GoogleCalendar(
        GoogleAddresses(f"{at}/auth", f"{at}/token", f"{at}/revoke", at), client(script), now=lambda: NOW
    )
    other_microsoft = MicrosoftCalendar(MicrosoftAddresses(at, "common", at), client(script), now=lambda: NOW)
    code = {"code": "c", "code_verifier": "v", "redirect_uri": REDIRECT, "nonce": "the-nonce"}
    assert other_google.exchange_code(GOOGLE_CLIENT, **code).subject == "1234567890"
    assert other_microsoft.exchange_code(MICROSOFT_CLIENT, **code).subject == f"{DIRECTORY}:object-1"


def test_an_unticked_calendar_permission_is_missing_from_the_scopes() -> None:
    script = Script({GOOGLE_TOKEN: tokens(scope="openid", id_token=encoded(google_claims()))})
    grant = exchange_google(script)
    assert google(script).missing_scopes(grant.scopes) == {EVENTS_SCOPE}


def test_a_consent_without_a_refresh_token_says_so() -> None:
    script = Script({GOOGLE_TOKEN: tokens(refresh_token=None, id_token=encoded(google_claims()))})
    assert exchange_google(script).refresh_token is None


def test_scopes_that_are_not_repeated_are_those_that_were_asked_for() -> None:
    at_google = Script({GOOGLE_TOKEN: tokens(scope=None, id_token=encoded(google_claims()))})
    assert google(at_google).missing_scopes(exchange_google(at_google).scopes) == frozenset()
    at_microsoft = Script({MICROSOFT_TOKEN: tokens(scope=None, id_token=encoded(microsoft_claims()))})
    assert microsoft(at_microsoft).missing_scopes(exchange_microsoft(at_microsoft).scopes) == frozenset()


def test_scopes_said_to_be_none_are_none() -> None:
    script = Script({GOOGLE_TOKEN: tokens(scope="", id_token=encoded(google_claims()))})
    assert exchange_google(script).scopes == frozenset()
