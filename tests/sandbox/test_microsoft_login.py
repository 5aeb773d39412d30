from __future__ import annotations

from joserfc import jwt
from joserfc.jwk import KeySet

from tests.sandbox.driver import CLIENT_ID, Driver, new_pkce

GRACE = "grace@acme.test"
VIEW = {"startDateTime": "2026-01-05T00:00:00", "endDateTime": "2026-01-06T00:00:00"}


def test_the_login_names_the_account_by_oid_and_tid(sandbox: Driver) -> None:
    sandbox.auto_consent()
    code = sandbox.authorize("microsoft", GRACE, nonce="n-1")["code"]
    tokens = sandbox.exchange("microsoft", code).json()
    keys = KeySet.import_key_set(sandbox.http.get(f"{sandbox.base}/microsoft/common/discovery/v2.0/keys").json())
    claims = jwt.decode(tokens["id_token"], keys).claims
    account = next(each for each in sandbox.control("GET", "/accounts") if each["email"] == GRACE)
    assert (claims["oid"], claims["tid"]) == (account["subject"], account["directory"])
    assert claims["iss"] == f"https://login.microsoftonline.com/{account['directory']}/v2.0"
    assert (claims["aud"], claims["nonce"], claims["preferred_username"]) == (CLIENT_ID, "n-1", GRACE)
    assert claims["sub"] != claims["oid"]
    assert tokens["scope"] == "openid profile email Calendars.Read"


def test_every_refresh_gives_a_new_token_and_the_old_one_stays_valid(sandbox: Driver) -> None:
    first = sandbox.connect("microsoft", GRACE)["refresh_token"]
    second = sandbox.refresh("microsoft", first).json()["refresh_token"]
    third = sandbox.refresh("microsoft", first).json()["refresh_token"]
    assert len({first, second, third}) == 3
    assert sandbox.refresh("microsoft", second).status_code == 200


def test_without_offline_access_there_is_no_refresh_token(sandbox: Driver) -> None:
    assert "refresh_token" not in sandbox.connect("microsoft", GRACE, ["openid", "Calendars.Read"])


def test_a_code_used_twice_is_told_apart_by_number(sandbox: Driver) -> None:
    sandbox.auto_consent()
    code = sandbox.authorize("microsoft", GRACE)["code"]
    sandbox.exchange("microsoft", code)
    again = sandbox.exchange("microsoft", code).json()
    assert (again["error"], again["error_codes"]) == ("invalid_grant", [54005])


def test_a_wrong_verifier_is_refused(sandbox: Driver) -> None:
    sandbox.auto_consent()
    sent = {"code_challenge": new_pkce().challenge, "code_challenge_method": "S256"}
    code = sandbox.authorize("microsoft", GRACE, **sent)["code"]
    answer = sandbox.exchange("microsoft", code, code_verifier=new_pkce().verifier)
    assert (answer.status_code, answer.json()["error_codes"]) == (400, [501481])


def test_wrong_client_credentials_are_told_apart_from_a_bad_grant(sandbox: Driver) -> None:
    secret = sandbox.token("microsoft", {"grant_type": "refresh_token", "client_secret": "wrong"})
    client = sandbox.token("microsoft", {"grant_type": "refresh_token", "client_id": "someone"})
    assert (secret.status_code, secret.json()["error"], secret.json()["error_codes"]) == (
        401,
        "invalid_client",
        [7000215],
    )
    assert client.json()["error"] == "unauthorized_client"


def test_taking_back_consent_ends_refresh_and_access(sandbox: Driver) -> None:
    tokens = sandbox.connect("microsoft", GRACE)
    sandbox.control("POST", f"/accounts/{GRACE}/revoke")
    assert sandbox.refresh("microsoft", tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert sandbox.graph(tokens["access_token"], "/me/calendarView", **VIEW).status_code == 401


def test_a_google_token_opens_nothing_at_microsoft(sandbox: Driver) -> None:
    token = sandbox.connect("google", "ada@acme.test")["access_token"]
    assert sandbox.graph(token, "/me/calendarView", **VIEW).status_code == 401


def test_cancelling_returns_microsofts_subcode(sandbox: Driver) -> None:
    sandbox.auto_consent(error="access_denied")
    back = sandbox.authorize("microsoft", GRACE)
    assert (back["error"], back["error_subcode"], back["state"]) == ("access_denied", "cancel", "the-state")


def test_the_need_for_an_admins_consent_can_be_simulated(sandbox: Driver) -> None:
    sandbox.auto_consent(error="consent_required", error_description="AADSTS90094: An administrator must consent.")
    back = sandbox.authorize("microsoft", GRACE)
    assert back["error_description"].startswith("AADSTS90094")


def test_scopes_can_be_answered_as_full_addresses(sandbox: Driver) -> None:
    sandbox.control("POST", "/behaviour", {"graph_scope_urls": True})
    assert "https://graph.microsoft.com/Calendars.Read" in sandbox.connect("microsoft", GRACE)["scope"].split()
