"""Clients that were added to the sandbox are known, and refused, as the real logins do."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.driver import CALLBACK, Driver

ADA = {"google": "ada@acme.test", "microsoft": "grace@acme.test"}
OWN = {"client_id": "own-client", "client_secret": "own-secret"}


def register(sandbox: Driver, provider: str, **more: Any) -> None:
    sandbox.control("POST", "/oauth-clients", {"provider": provider, **OWN, **more})


def connect(sandbox: Driver, provider: str) -> Any:
    sandbox.auto_consent(account=ADA[provider])
    code = sandbox.authorize(provider, ADA[provider], client_id="own-client")["code"]
    return sandbox.exchange(provider, code, **OWN)


@pytest.mark.parametrize("provider", ["google", "microsoft"])
def test_a_registered_client_gets_tokens_that_only_it_can_refresh(sandbox: Driver, provider: str) -> None:
    register(sandbox, provider)
    tokens = connect(sandbox, provider).json()
    assert sandbox.refresh(provider, tokens["refresh_token"], **OWN).status_code == 200
    assert sandbox.refresh(provider, tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_google_refuses_unknown_clients_and_wrong_secrets(sandbox: Driver) -> None:
    register(sandbox, "google")
    unknown = sandbox.refresh("google", "x", client_id="nobody")
    wrong = sandbox.refresh("google", "x", client_id="own-client", client_secret="wrong")
    assert (unknown.status_code, unknown.json()) == (
        401,
        {"error": "invalid_client", "error_description": "The OAuth client was not found."},
    )
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")


def test_microsoft_tells_unknown_clients_from_wrong_secrets(sandbox: Driver) -> None:
    register(sandbox, "microsoft")
    unknown = sandbox.refresh("microsoft", "x", client_id="nobody").json()
    wrong = sandbox.refresh("microsoft", "x", client_id="own-client", client_secret="wrong").json()
    assert (unknown["error"], unknown["error_codes"]) == ("unauthorized_client", [700016])
    assert (wrong["error"], wrong["error_codes"]) == ("invalid_client", [7000215])


@pytest.mark.parametrize(
    ("provider", "error", "numbers"),
    [("google", "redirect_uri_mismatch", None), ("microsoft", "invalid_client", [50011])],
)
def test_an_address_that_is_not_registered_is_refused(
    sandbox: Driver, provider: str, error: str, numbers: list[int] | None
) -> None:
    register(sandbox, provider, redirect_uris=["https://own.test/callback"])
    answer = sandbox.exchange(provider, "x", **OWN, redirect_uri=CALLBACK).json()
    assert (answer["error"], answer.get("error_codes")) == (error, numbers)


def test_an_application_of_one_directory_is_refused_under_common(sandbox: Driver) -> None:
    register(sandbox, "microsoft", directory="contoso.test")
    assert sandbox.refresh("microsoft", "x", **OWN).json()["error_codes"] == [50194]
    url = f"{sandbox.base}/microsoft/contoso.test/oauth2/v2.0/token"
    answer = sandbox.http.post(url, data={"grant_type": "refresh_token", "refresh_token": "x", **OWN})
    assert answer.json()["error"] == "invalid_grant"


def test_a_client_of_one_provider_is_unknown_to_the_other(sandbox: Driver) -> None:
    register(sandbox, "google")
    assert sandbox.refresh("microsoft", "x", **OWN).json()["error_codes"] == [700016]


def test_a_client_that_was_removed_is_unknown(sandbox: Driver) -> None:
    register(sandbox, "google")
    sandbox.control("DELETE", "/oauth-clients/google/own-client")
    assert sandbox.refresh("google", "x", **OWN).json()["error"] == "invalid_client"
