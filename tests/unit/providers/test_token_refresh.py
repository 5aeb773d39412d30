"""A refresh token brings a new access token, or a refusal that is read for what it means."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from meetbot.domain.event import Provider
from meetbot.errors import OperatorRequired, ProviderError, ReconnectRequired, RetryLater
from meetbot.providers.http import Answer
from meetbot.providers.token_endpoint import token_error
from tests.unit.providers.scripted import (
    GOOGLE_CLIENT,
    MICROSOFT_CLIENT,
    NOW,
    Script,
    google,
    microsoft,
    reply,
)
from tests.unit.providers.token_endpoint import GOOGLE_TOKEN, MICROSOFT_TOKEN, encoded, google_claims, tokens

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
