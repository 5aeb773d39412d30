from __future__ import annotations

import re
from typing import Any

from joserfc import jwt
from joserfc.jwk import KeySet

from tests.sandbox.driver import CALLBACK, CLIENT_ID, EVENTS_SCOPE, LIST_SCOPE, Driver, new_pkce

ADA = "ada@acme.test"


def _code(sandbox: Driver, **extra: str) -> str:
    sandbox.auto_consent()
    return sandbox.authorize("google", ADA, **extra)["code"]


def _claims(sandbox: Driver, tokens: dict[str, Any]) -> dict[str, Any]:
    keys = KeySet.import_key_set(sandbox.http.get(f"{sandbox.base}/google/oauth2/v3/certs").json())
    return dict(jwt.decode(tokens["id_token"], keys).claims)


def test_the_login_gives_tokens_and_a_signed_identity(sandbox: Driver) -> None:
    sandbox.auto_consent()
    back = sandbox.authorize("google", ADA, nonce="the-nonce")
    tokens = sandbox.exchange("google", back["code"]).json()
    claims = _claims(sandbox, tokens)
    assert back["state"] == "the-state"
    assert (claims["iss"], claims["aud"], claims["nonce"]) == ("https://accounts.google.com", CLIENT_ID, "the-nonce")
    assert (claims["email"], claims["email_verified"]) == (ADA, True)
    assert claims["exp"] - claims["iat"] == 3600
    assert set(tokens["scope"].split()) >= {"openid", EVENTS_SCOPE, LIST_SCOPE}
    assert tokens["refresh_token"]


def test_a_code_works_once(sandbox: Driver) -> None:
    code = _code(sandbox)
    assert sandbox.exchange("google", code).status_code == 200
    second = sandbox.exchange("google", code)
    assert (second.status_code, second.json()["error"]) == (400, "invalid_grant")


def test_a_code_expires(sandbox: Driver) -> None:
    code = _code(sandbox)
    sandbox.control("POST", "/clock", {"advance_seconds": 301})
    assert sandbox.exchange("google", code).json()["error"] == "invalid_grant"


def test_a_code_is_bound_to_its_redirect_address(sandbox: Driver) -> None:
    answer = sandbox.exchange("google", _code(sandbox), redirect_uri=CALLBACK + "2")
    assert (answer.status_code, answer.json()["error"]) == (400, "redirect_uri_mismatch")


def test_a_wrong_or_missing_verifier_is_refused(sandbox: Driver) -> None:
    sent = {"code_challenge": new_pkce().challenge, "code_challenge_method": "S256"}
    wrong = sandbox.exchange("google", _code(sandbox, **sent), code_verifier=new_pkce().verifier)
    missing = sandbox.exchange("google", _code(sandbox, **sent))
    assert [wrong.json()["error"], missing.json()["error"]] == ["invalid_grant", "invalid_grant"]


def test_a_plain_challenge_is_refused_on_a_page(sandbox: Driver) -> None:
    query = {"client_id": CLIENT_ID, "redirect_uri": CALLBACK, "response_type": "code", "scope": "openid"}
    answer = sandbox.http.get(f"{sandbox.base}/google/o/oauth2/v2/auth", params={**query, "code_challenge": "x" * 43})
    assert answer.status_code == 400
    assert "S256" in answer.text


def test_a_wrong_client_secret_is_refused(sandbox: Driver) -> None:
    answer = sandbox.exchange("google", _code(sandbox), client_secret="wrong")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_client_credentials_may_come_by_http_basic(sandbox: Driver) -> None:
    form = {"grant_type": "authorization_code", "code": _code(sandbox), "redirect_uri": CALLBACK}
    answer = sandbox.http.post(f"{sandbox.base}/google/token", data=form, auth=(CLIENT_ID, "sandbox-secret"))
    assert answer.status_code == 200


def test_an_unknown_client_never_gets_a_redirect(sandbox: Driver) -> None:
    sandbox.auto_consent()
    query = {"client_id": "someone", "redirect_uri": CALLBACK, "response_type": "code", "scope": "openid"}
    answer = sandbox.http.get(f"{sandbox.base}/google/o/oauth2/v2/auth", params=query)
    assert answer.status_code == 401
    assert "location" not in answer.headers


def test_a_refresh_keeps_the_refresh_token_and_gives_a_working_access_token(sandbox: Driver) -> None:
    tokens = sandbox.connect("google", ADA)
    renewed = sandbox.refresh("google", tokens["refresh_token"]).json()
    assert "refresh_token" not in renewed
    assert sandbox.google(renewed["access_token"], "/calendars/primary/events").status_code == 200


def test_a_refresh_token_comes_only_offline_and_with_first_or_asked_consent(sandbox: Driver) -> None:
    sandbox.auto_consent()
    online = sandbox.exchange("google", sandbox.authorize("google", ADA, access_type="online")["code"]).json()
    again = sandbox.exchange("google", sandbox.authorize("google", ADA, prompt="")["code"]).json()
    asked = sandbox.exchange("google", sandbox.authorize("google", ADA)["code"]).json()
    assert ["refresh_token" in answer for answer in (online, again, asked)] == [False, False, True]


def test_revoking_one_token_ends_the_whole_grant(sandbox: Driver) -> None:
    first, second = sandbox.connect("google", ADA), sandbox.connect("google", ADA)
    revoked = sandbox.http.post(f"{sandbox.base}/google/revoke", data={"token": first["refresh_token"]})
    refused = sandbox.refresh("google", second["refresh_token"])
    assert revoked.status_code == 200
    assert refused.json() == {
        "error": "invalid_grant",
        "error_description": "Token has been expired or revoked.",
    }
    assert sandbox.google(second["access_token"], "/calendars/primary/events").status_code == 401


def test_revoking_an_unknown_token_says_so(sandbox: Driver) -> None:
    answer = sandbox.http.post(f"{sandbox.base}/google/revoke", params={"token": "1//0unknown"})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_token")


def test_an_access_token_lives_an_hour_of_the_sandbox_clock(sandbox: Driver) -> None:
    token = sandbox.connect("google", ADA)["access_token"]
    sandbox.control("POST", "/clock", {"advance_seconds": 3599})
    assert sandbox.google(token, "/calendars/primary/events").status_code == 200
    sandbox.control("POST", "/clock", {"advance_seconds": 2})
    assert sandbox.google(token, "/calendars/primary/events").status_code == 401


def test_scopes_can_be_withheld(sandbox: Driver) -> None:
    sandbox.auto_consent(withhold=[LIST_SCOPE])
    tokens = sandbox.exchange("google", sandbox.authorize("google", ADA)["code"]).json()
    assert LIST_SCOPE not in tokens["scope"]
    assert sandbox.google(tokens["access_token"], "/users/me/calendarList").status_code == 403


def test_consent_can_be_refused(sandbox: Driver) -> None:
    sandbox.auto_consent(error="access_denied")
    assert sandbox.authorize("google", ADA) == {"error": "access_denied", "state": "the-state"}


def test_a_person_chooses_an_account_unticks_a_scope_and_allows(sandbox: Driver) -> None:
    """Without automatic consent: the pages, as a browser posts them."""
    url = f"{sandbox.base}/google/o/oauth2/v2/auth"
    query = {
        "client_id": CLIENT_ID,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": f"openid {EVENTS_SCOPE} {LIST_SCOPE}",
        "state": "a&b",
    }
    chooser = sandbox.http.get(url, params=query)
    assert ADA in chooser.text
    assert "grace@acme.test" not in chooser.text
    carried = str(chooser.request.url.query, "ascii")
    scopes_page = sandbox.http.post(url, data={"request": carried, "account": ADA})
    assert re.findall(r'name="scope" value="([^"]+)"', scopes_page.text) == [EVENTS_SCOPE, LIST_SCOPE]
    ticked = {"request": carried, "account": ADA, "decision": "allow", "scope": EVENTS_SCOPE}
    location = sandbox.http.post(url, data=ticked).headers["location"]
    assert location.startswith(CALLBACK + "?code=")
    assert location.endswith("&state=a%26b")


def test_a_person_cancels(sandbox: Driver) -> None:
    query = f"client_id={CLIENT_ID}&redirect_uri={CALLBACK}&response_type=code&scope=openid&state=s"
    form = {"request": query, "decision": "cancel"}
    answer = sandbox.http.post(f"{sandbox.base}/google/o/oauth2/v2/auth", data=form)
    assert answer.headers["location"] == f"{CALLBACK}?error=access_denied&state=s"


def test_a_page_of_another_site_cannot_give_consent(sandbox: Driver) -> None:
    query = f"client_id={CLIENT_ID}&redirect_uri={CALLBACK}&response_type=code&scope=openid"
    form = {"request": query, "account": ADA, "decision": "allow"}
    headers = {"Origin": "http://elsewhere.test"}
    answer = sandbox.http.post(f"{sandbox.base}/google/o/oauth2/v2/auth", data=form, headers=headers)
    assert answer.status_code == 403
