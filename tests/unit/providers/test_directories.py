"""Microsoft's admin consent page, and finding a directory by the domain of an address."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from meetbot.errors import RetryLater
from meetbot.providers.microsoft.directories import domain_of, read_directory_id
from tests.unit.providers.scripted import GOOGLE_CLIENT, MICROSOFT_CLIENT, Script, google, microsoft, reply

DIRECTORY = "0a1b2c3d-0000-4000-8000-000000000001"
METADATA = "/acme.test/v2.0/.well-known/openid-configuration"


def test_the_page_is_asked_for_all_that_a_connection_asks_for() -> None:
    url = microsoft(Script({})).admin_consent_url(
        MICROSOFT_CLIENT, directory=None, redirect_uri="https://app.example/back", state="s"
    )
    assert url is not None
    parts = urlsplit(url)
    assert (parts.netloc, parts.path) == ("login.microsoftonline.com", "/organizations/v2.0/adminconsent")
    assert parse_qs(parts.query) == {
        "client_id": [MICROSOFT_CLIENT.client_id],
        "scope": ["openid profile email offline_access https://graph.microsoft.com/Calendars.Read"],
        "redirect_uri": ["https://app.example/back"],
        "state": ["s"],
    }


@pytest.mark.parametrize(
    ("named", "of_client", "path"),
    [
        (DIRECTORY, None, DIRECTORY),
        (None, "own.test", "own.test"),
        (DIRECTORY, "own.test", DIRECTORY),
        ("a/b", None, "a%2Fb"),
    ],
)
def test_the_page_is_that_of_the_directory(named: str | None, of_client: str | None, path: str) -> None:
    client = replace(MICROSOFT_CLIENT, directory=of_client)
    url = microsoft(Script({})).admin_consent_url(client, directory=named, redirect_uri="https://x", state="s")
    assert (url or "").startswith(f"https://login.microsoftonline.com/{path}/v2.0/adminconsent?")


def test_google_has_no_such_page_and_no_directories() -> None:
    provider = google(Script({}))
    assert provider.admin_consent_url(GOOGLE_CLIENT, directory=None, redirect_uri="https://x", state="s") is None
    assert provider.directory_of("ada@acme.test", timeout_seconds=1) is None


def test_the_metadata_of_a_domain_name_its_directory() -> None:
    issuer = f"https://login.microsoftonline.com/{DIRECTORY.upper()}/v2.0"
    script = Script({METADATA: reply({"issuer": issuer})})
    assert microsoft(script).directory_of("Ada@Acme.Test", timeout_seconds=1) == DIRECTORY


@pytest.mark.parametrize(
    "answer",
    [
        reply({"error": "invalid_tenant"}, status=400),
        reply({"issuer": "https://login.microsoftonline.com/{tenantid}/v2.0"}),
        reply({"issuer": f"https://login.microsoftonline.com/{DIRECTORY}/v2.0/x"}),
        reply({"issuer": f"https://login.microsoftonline.com/{'-' * 36}/v2.0"}),
        reply({"issuer": None}),
        reply({"issuer": [DIRECTORY]}),
        reply({}),
        httpx.Response(200, content=b"<html>"),
        httpx.Response(302, headers={"location": "https://elsewhere.test/"}),
    ],
)
def test_what_names_no_directory_leaves_it_unknown(answer: httpx.Response) -> None:
    assert microsoft(Script({METADATA: answer})).directory_of("ada@acme.test", timeout_seconds=1) is None


def test_no_answer_is_an_error_to_be_handled() -> None:
    script = Script({METADATA: httpx.ConnectTimeout("no")})
    with pytest.raises(RetryLater):
        microsoft(script).directory_of("ada@acme.test", timeout_seconds=1)


@pytest.mark.parametrize(
    "address",
    [
        None,
        "",
        "ada",
        "ada@",
        "ada@acme",
        "ada@ac me.test",
        "ada@../x.test",
        "ada@ä.test",
        "@" + "a." * 200,
        "a@b.test/x",
    ],
)
def test_what_has_no_domain_is_not_looked_up(address: str | None) -> None:
    script = Script({})
    assert (microsoft(script).directory_of(address, timeout_seconds=1), script.requests) == (None, [])


def test_the_domain_is_what_follows_the_last_at_sign() -> None:
    assert domain_of('"a@b"@Acme.Test ') == "acme.test"


@pytest.mark.parametrize(
    "value", ["", "x", "acme.test", DIRECTORY + "0", "0a1b2c3d00004000800000000000000100", "-" * 36]
)
def test_only_a_guid_is_a_directorys_id(value: str) -> None:
    assert read_directory_id(value) is None
    assert read_directory_id(f" {DIRECTORY.upper()} ") == DIRECTORY
