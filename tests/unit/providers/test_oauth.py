"""Consent, tokens, and what their refusals mean."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import orjson
import pytest

from meetbot.domain.event import Provider
from meetbot.errors import OperatorRequired, ProviderError, ReconnectRequired, RetryLater
from meetbot.providers.base import TokenGrant
from meetbot.providers.google.adapter import CALENDAR_LIST_SCOPE, EVENTS_SCOPE, GoogleAddresses, GoogleCalendar
from meetbot.providers.http import Answer
from meetbot.providers.microsoft.adapter import MicrosoftAddresses, MicrosoftCalendar
from meetbot.providers.oauth import code_challenge_s256, new_code_verifier, url_with_query
from meetbot.providers.token_endpoint import token_error
from tests.unit.providers.scripted import (
    GOOGLE_CLIENT,
    MICROSOFT_CLIENT,
    NOW,
    Script,
    client,
    google,
    microsoft,
    reply,
)

REDIRECT = "https://app.example/v1/calendar/callback/google"
GOOGLE_TOKEN = "/token"
GOOGLE_REVOKE = "/revoke"
MICROSOFT_TOKEN = "/common/oauth2/v2.0/token"
DIRECTORY = "11111111-2222-3333-4444-555555555555"


def encoded(claims: object) -> str:
    payload = base64.urlsafe_b64encode(orjson.dumps(claims)).decode().rstrip("=")
    return f"e30.{payload}.signature"


def google_claims(**changes: Any) -> dict[str, Any]:
    return {
        "iss": "https://accounts.google.com",
        "aud": "google-client",
        "sub": "1234567890",
        "email": "ann@acme.example",
        "nonce": "the-nonce",
        "exp": NOW.timestamp() + 3600,
        **changes,
    }


def microsoft_claims(**changes: Any) -> dict[str, Any]:
    return {
        "iss": f"https://login.microsoftonline.com/{DIRECTORY}/v2.0",
        "aud": "microsoft-client",
        "sub": "pairwise",
        "oid": "object-1",
        "tid": DIRECTORY,
        "preferred_username": "ann@acme.example",
        "nonce": "the-nonce",
        "exp": NOW.timestamp() + 3600,
        **changes,
    }


def tokens(**changes: Any) -> httpx.Response:
    body = {
        "access_token": "access",
        "expires_in": 3599,
        "refresh_token": "refresh",
        "scope": f"openid {EVENTS_SCOPE}",
        "token_type": "Bearer",
        **changes,
    }
    return reply({name: value for name, value in body.items() if value is not None})


def exchange_google(script: Script) -> TokenGrant:
    return google(script).exchange_code(
        GOOGLE_CLIENT, code="the-code", code_verifier="the-verifier", redirect_uri=REDIRECT, nonce="the-nonce"
    )


def exchange_microsoft(script: Script) -> TokenGrant:
    return microsoft(script).exchange_code(
        MICROSOFT_CLIENT, code="the-code", code_verifier="the-verifier", redirect_uri=REDIRECT, nonce="the-nonce"
    )


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


# Exchanging the code


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


# Refreshing


def test_a_refresh_sends_the_token_and_keeps_what_is_not_repeated() -> None:
    script = Script({GOOGLE_TOKEN: tokens(refresh_token=None, scope=None)})
    grant = google(script).refresh(GOOGLE_CLIENT, "stored")
    assert script.form()["grant_type"] == "refresh_token"
    assert script.form()["refresh_token"] == "stored"
    assert grant.refresh_token is None
    assert grant.scopes == frozenset()
    assert (grant.subject, grant.email) == (None, None)


def test_microsofts_rotated_refresh_token_is_handed_on() -> None:
    script = Script({MICROSOFT_TOKEN: tokens(refresh_token="rotated")})
    assert microsoft(script).refresh(MICROSOFT_CLIENT, "stored").refresh_token == "rotated"
    assert script.form()["scope"] == "openid profile email offline_access Calendars.Read"


def test_two_refreshes_at_once_both_give_credentials() -> None:
    script = Script({MICROSOFT_TOKEN: [tokens(refresh_token="first"), tokens(refresh_token="second")]})
    provider = microsoft(script)
    grants = [provider.refresh(MICROSOFT_CLIENT, "stored") for _ in range(2)]
    assert [grant.refresh_token for grant in grants] == ["first", "second"]


def test_an_id_token_of_a_refresh_brings_news_of_the_address() -> None:
    claims = google_claims(email="ann@new.example", nonce=None)
    grant = google(Script({GOOGLE_TOKEN: tokens(id_token=encoded(claims))})).refresh(GOOGLE_CLIENT, "stored")
    assert (grant.subject, grant.email) == ("1234567890", "ann@new.example")


def test_a_doubtful_id_token_of_a_refresh_disconnects_nobody() -> None:
    claims = google_claims(aud="another-client")
    grant = google(Script({GOOGLE_TOKEN: tokens(id_token=encoded(claims))})).refresh(GOOGLE_CLIENT, "stored")
    assert grant.access_token == "access"
    assert grant.email is None


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [(3600, 3600), ("3600", 3600), (None, 300), (0, 300), (-5, 300), (True, 300), ("x", 300), (10**12, 86400)],
)
def test_the_lifetime_is_never_taken_on_trust(expires_in: object, seconds: int) -> None:
    grant = google(Script({GOOGLE_TOKEN: tokens(expires_in=expires_in)})).refresh(GOOGLE_CLIENT, "stored")
    assert grant.expires_at == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize("access_token", [None, "", 5, "line\nbreak", "ünïcode", "x" * 40_000])
def test_an_answer_without_a_usable_access_token_is_malformed(access_token: object) -> None:
    with pytest.raises(RetryLater) as caught:
        google(Script({GOOGLE_TOKEN: tokens(access_token=access_token)})).refresh(GOOGLE_CLIENT, "stored")
    assert caught.value.code == "malformed_answer"


# Refusals


def refusal(status: int, **body: Any) -> ProviderError:
    response = reply(body, status)
    return token_error(Answer(status, response.headers, response.content), Provider.MICROSOFT, NOW)


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, "invalid_grant", ReconnectRequired),
        (400, "interaction_required", ReconnectRequired),
        (400, "consent_required", ReconnectRequired),
        (400, "login_required", ReconnectRequired),
        (403, "access_denied", ReconnectRequired),
        (400, "admin_policy_enforced", ReconnectRequired),
        (401, "invalid_client", OperatorRequired),
        (400, "unauthorized_client", OperatorRequired),
        (401, "deleted_client", OperatorRequired),
        (400, "redirect_uri_mismatch", OperatorRequired),
        (403, "org_internal", OperatorRequired),
        (400, "invalid_scope", OperatorRequired),
    ],
)
def test_a_refused_token_is_judged_by_its_error_alone(status: int, error: str, kind: type[ProviderError]) -> None:
    caught = refusal(status, error=error, error_description="Bad Request")
    assert (type(caught), caught.code) == (kind, error)
    assert caught.next_step


@pytest.mark.parametrize("number", [7000215, 7000222])
def test_our_own_wrong_or_expired_secret_disconnects_nobody(number: int) -> None:
    caught = refusal(401, error="invalid_client", error_codes=[number])
    assert isinstance(caught, OperatorRequired)


@pytest.mark.parametrize("error", ["consent_required", "interaction_required", "invalid_grant"])
def test_a_directory_that_wants_its_administrator_says_so(error: str) -> None:
    caught = refusal(400, error=error, error_codes=[90094])
    assert (type(caught), caught.code) == (ReconnectRequired, "admin_consent_required")
    assert "administrator" in caught.next_step


@pytest.mark.parametrize("number", [90093, 90094, 90095, 900941])
def test_every_number_that_wants_an_administrator_is_known_in_list_and_text(number: int) -> None:
    listed = refusal(400, error="invalid_grant", error_codes=[number])
    told = refusal(400, error="invalid_grant", error_description=f"AADSTS{number}: An administrator must consent.")
    assert listed.code == told.code == "admin_consent_required"


def test_a_number_that_only_begins_like_one_wants_no_administrator() -> None:
    told = refusal(400, error="invalid_grant", error_description="AADSTS900949: something else")
    assert told.code == "invalid_grant"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": "temporarily_unavailable"}),
        (400, {"error": "something_new"}),
        (400, {"error": {"code": 400}}),
        (400, {}),
        (429, {"error": "invalid_grant"}),
        (500, {"error": "invalid_grant"}),
        (503, {}),
    ],
)
def test_an_unclear_or_passing_refusal_disconnects_nobody(status: int, body: dict[str, Any]) -> None:
    assert isinstance(refusal(status, **body), RetryLater)


@pytest.mark.parametrize("header", ["Mon, 1 Jan 9999999999 00:00:00 GMT", "9" * 400])
def test_a_hostile_retry_after_does_not_change_a_refusals_meaning(header: str) -> None:
    response = reply({}, 429, {"Retry-After": header})
    caught = token_error(Answer(429, response.headers, response.content), Provider.GOOGLE, NOW)
    assert isinstance(caught, RetryLater)
    assert caught.code == "login_unavailable"


def test_a_token_endpoint_that_answers_html_disconnects_nobody() -> None:
    for status in (200, 400, 502):
        with pytest.raises(RetryLater):
            google(Script({GOOGLE_TOKEN: reply(b"<html>", status)})).refresh(GOOGLE_CLIENT, "stored")


def test_no_token_shows_in_an_error_or_a_repr() -> None:
    script = Script({GOOGLE_TOKEN: reply({"error": "invalid_grant", "error_description": "stored-token"}, 400)})
    with pytest.raises(ReconnectRequired) as caught:
        google(script).refresh(GOOGLE_CLIENT, "stored-token")
    assert "stored-token" not in str(caught.value)
    grant = google(Script({GOOGLE_TOKEN: tokens(access_token="secret-access")})).refresh(GOOGLE_CLIENT, "x")
    assert "secret-access" not in repr(grant)


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
