"""What a tenant's own client changes in the requests, and what its refusals mean."""

from __future__ import annotations

from dataclasses import replace

import pytest

from meetbot.domain.event import Provider
from meetbot.errors import OperatorRequired
from meetbot.providers.base import OAuthClient
from tests.unit.providers.scripted import MICROSOFT_CLIENT, Script, microsoft, reply
from tests.unit.providers.token_endpoint import REDIRECT, tokens

OF_ONE_DIRECTORY = replace(MICROSOFT_CLIENT, directory="contoso.example")


def test_an_application_of_one_directory_asks_for_consent_there() -> None:
    url = microsoft(Script({})).authorization_url(
        OF_ONE_DIRECTORY, redirect_uri=REDIRECT, state="s", code_challenge="c", nonce="n", login_hint=None
    )
    assert url.startswith("https://login.microsoftonline.com/contoso.example/oauth2/v2.0/authorize?")


def test_an_application_of_one_directory_refreshes_there() -> None:
    script = Script({"/contoso.example/oauth2/v2.0/token": [tokens(scope="Calendars.Read")]})
    assert microsoft(script).refresh(OF_ONE_DIRECTORY, "old").refresh_token == "refresh"


def test_a_directory_cannot_leave_its_place_in_the_address() -> None:
    url = microsoft(Script({})).authorization_url(
        replace(MICROSOFT_CLIENT, directory="x/../../elsewhere?"),
        redirect_uri=REDIRECT,
        state="s",
        code_challenge="c",
        nonce="n",
        login_hint=None,
    )
    assert url.startswith("https://login.microsoftonline.com/x%2F..%2F..%2Felsewhere%3F/oauth2/v2.0/authorize?")


@pytest.mark.parametrize(
    ("numbers", "description", "code"),
    [
        ([50011], "AADSTS50011: The redirect URI does not match.", "redirect_uri_mismatch"),
        (None, "AADSTS50011: The redirect URI does not match.", "redirect_uri_mismatch"),
        ([7000215], "AADSTS7000215: Invalid client secret provided.", "invalid_client"),
    ],
)
def test_an_unregistered_address_is_told_from_a_wrong_secret(
    numbers: list[int] | None, description: str, code: str
) -> None:
    body = {"error": "invalid_client", "error_description": description, "error_codes": numbers}
    script = Script({"/common/oauth2/v2.0/token": [reply(body, status=401)]})
    with pytest.raises(OperatorRequired) as refused:
        microsoft(script).refresh(MICROSOFT_CLIENT, "old")
    assert refused.value.code == code


def test_a_clients_text_form_leaves_its_secret_out() -> None:
    assert "hush" not in repr(OAuthClient(Provider.GOOGLE, "own-client", "hush", "contoso.example"))
