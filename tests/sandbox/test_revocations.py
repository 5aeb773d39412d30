"""How grants end at the sandbox's logins: taken back, reset, in testing, replaced."""

from __future__ import annotations

import pytest

from tests.sandbox.driver import Driver

ADA, GRACE = "ada@acme.test", "grace@acme.test"
VIEW = {"startDateTime": "2026-01-05T00:00:00", "endDateTime": "2026-01-06T00:00:00"}
_DAY = 86_400


@pytest.mark.parametrize(("by", "error"), [("user", "invalid_grant"), ("administrator", "admin_policy_enforced")])
def test_googles_access_tokens_die_with_the_grant(sandbox: Driver, by: str, error: str) -> None:
    tokens = sandbox.connect("google", ADA)
    sandbox.control("POST", f"/accounts/{ADA}/revoke", {"by": by})
    assert sandbox.refresh("google", tokens["refresh_token"]).json()["error"] == error
    assert sandbox.google(tokens["access_token"], "/calendars/primary/events").status_code == 401


@pytest.mark.parametrize(("by", "number"), [("user", 65001), ("administrator", 50173), ("password_reset", 50173)])
def test_microsofts_access_tokens_outlive_the_grant(sandbox: Driver, by: str, number: int) -> None:
    tokens = sandbox.connect("microsoft", GRACE)
    sandbox.control("POST", f"/accounts/{GRACE}/revoke", {"by": by})
    refused = sandbox.refresh("microsoft", tokens["refresh_token"]).json()
    assert (refused["error"], refused["error_codes"]) == ("invalid_grant", [number])
    assert sandbox.graph(tokens["access_token"], "/me/calendarView", **VIEW).status_code == 200
    sandbox.control("POST", "/clock", {"advance_seconds": 3600})
    assert sandbox.graph(tokens["access_token"], "/me/calendarView", **VIEW).status_code == 401


@pytest.mark.parametrize(("provider", "email"), [("google", ADA), ("microsoft", GRACE)])
def test_a_changed_password_ends_no_grant_for_calendars(sandbox: Driver, provider: str, email: str) -> None:
    tokens = sandbox.connect(provider, email)
    sandbox.control("POST", f"/accounts/{email}/revoke", {"by": "password_change"})
    assert sandbox.refresh(provider, tokens["refresh_token"]).status_code == 200


@pytest.mark.parametrize(("provider", "email"), [("google", ADA), ("microsoft", GRACE)])
def test_a_grant_that_was_ended_can_be_given_again(sandbox: Driver, provider: str, email: str) -> None:
    sandbox.connect(provider, email)
    sandbox.control("POST", f"/accounts/{email}/revoke", {"by": "user"})
    (shown,) = (each for each in sandbox.control("GET", "/accounts") if each["email"] == email)
    assert (shown["connected"], shown["granted_scopes"]) == (False, [])
    again = sandbox.connect(provider, email)
    assert sandbox.refresh(provider, again["refresh_token"]).status_code == 200


def test_a_grant_to_a_client_in_testing_ends_seven_days_after_the_consent(sandbox: Driver) -> None:
    sandbox.control("POST", "/behaviour", {"google_client_in_testing": True})
    token = sandbox.connect("google", ADA)["refresh_token"]
    sandbox.control("POST", "/clock", {"advance_seconds": 7 * _DAY - 60})
    last = sandbox.refresh("google", token)
    sandbox.control("POST", "/clock", {"advance_seconds": 60})
    refused = sandbox.refresh("google", token)
    assert (last.status_code, refused.json()["error"]) == (200, "invalid_grant")
    # The last access token is good for its hour.
    assert sandbox.google(last.json()["access_token"], "/calendars/primary/events").status_code == 200


def test_grants_of_other_clients_and_of_microsoft_live_on(sandbox: Driver) -> None:
    google = sandbox.connect("google", ADA)["refresh_token"]
    sandbox.control("POST", "/behaviour", {"google_client_in_testing": True})
    microsoft = sandbox.connect("microsoft", GRACE)["refresh_token"]
    sandbox.control("POST", "/behaviour", {"google_client_in_testing": False})
    sandbox.control("POST", "/clock", {"advance_seconds": 8 * _DAY})
    assert sandbox.refresh("google", google).status_code == 200
    assert sandbox.refresh("microsoft", microsoft).status_code == 200


@pytest.mark.parametrize(("provider", "email"), [("google", ADA), ("microsoft", GRACE)])
def test_refresh_tokens_can_be_replaced_at_each_use(sandbox: Driver, provider: str, email: str) -> None:
    sandbox.control("POST", "/behaviour", {"refresh_rotation": "replace"})
    first = sandbox.connect(provider, email)["refresh_token"]
    second = sandbox.refresh(provider, first).json()["refresh_token"]
    assert sandbox.refresh(provider, first).json()["error"] == "invalid_grant"
    assert sandbox.refresh(provider, second).status_code == 200
