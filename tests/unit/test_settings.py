"""Settings: defaults as published, and production refuses every unsafe one."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from meetbot.settings import Settings, faults_in, load_database_url

PRODUCTION = {
    "MEETBOT_ENV": "production",
    "MEETBOT_PUBLIC_URL": "https://calendar.example",
    "DATABASE_URL": "postgresql://meetbot:db-password@db/meetbot?sslmode=verify-full",
    "TEMPORAL_ADDRESS": "temporal:7233",
    "VAULT_ADDR": "https://vault:8200",
    "VAULT_ROLE_ID": "role",
    "VAULT_SECRET_ID": "secret",
    "MEETBOT_BACKEND_API_KEY": "key-of-the-backend",
    "MEETBOT_BACKEND_WEBHOOK_SECRET": "secret-of-its-webhooks",
    "MEETBOT_GOOGLE_CLIENT_ID": "client",
}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"MEETBOT_{name.upper()}", raising=False)
    for name in ("DATABASE_URL", "TEMPORAL_ADDRESS", "VAULT_ADDR", "VAULT_TOKEN", "VAULT_ROLE_ID", "VAULT_SECRET_ID"):
        monkeypatch.delenv(name, raising=False)


def production(monkeypatch: pytest.MonkeyPatch, **changes: str | None) -> Settings:
    for name, value in {**PRODUCTION, **changes}.items():
        if value is not None:
            monkeypatch.setenv(name, value)
    return Settings()


def test_development_needs_nothing() -> None:
    settings = Settings()
    assert (settings.env, settings.join_lead_seconds, settings.sync_interval_seconds) == ("development", 90, 300)


def test_a_complete_production_configuration_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert production(monkeypatch).env == "production"


@pytest.mark.parametrize("missing", sorted(set(PRODUCTION) - {"MEETBOT_ENV", "VAULT_ROLE_ID"}))
def test_production_refuses_to_start_without(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    with pytest.raises(ValidationError, match=missing):
        production(monkeypatch, **{missing: None})


def test_production_refuses_a_sync_interval_below_five_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError, match="MEETBOT_SYNC_INTERVAL_SECONDS"):
        production(monkeypatch, MEETBOT_SYNC_INTERVAL_SECONDS="4")


def test_production_refuses_a_public_url_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError, match="https"):
        production(monkeypatch, MEETBOT_PUBLIC_URL="http://calendar.example")


@pytest.mark.parametrize(
    "name",
    [
        "VAULT_ADDR",
        "MEETBOT_GOOGLE_AUTHORIZE_URL",
        "MEETBOT_GOOGLE_TOKEN_URL",
        "MEETBOT_GOOGLE_REVOKE_URL",
        "MEETBOT_GOOGLE_API_URL",
        "MEETBOT_MICROSOFT_LOGIN_URL",
        "MEETBOT_MICROSOFT_GRAPH_URL",
        "MEETBOT_BACKEND_URL",
    ],
)
def test_production_refuses_an_address_without_tls(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with pytest.raises(ValidationError, match=f"{name} must be https"):
        production(monkeypatch, **{name: "http://other.example:8200"})


@pytest.mark.parametrize("name", ["MEETBOT_BACKEND_API_KEY", "MEETBOT_BACKEND_WEBHOOK_SECRET"])
def test_production_refuses_a_secret_that_can_be_guessed(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with pytest.raises(ValidationError, match=f"{name} must have 16 characters"):
        production(monkeypatch, **{name: "x"})


@pytest.mark.parametrize(
    "database_url",
    [
        "postgresql://meetbot@db/meetbot",
        "postgresql://meetbot@db/meetbot?sslmode=disable",
        "postgresql://meetbot@db/meetbot?sslmode=allow",
        "postgresql://meetbot@db/meetbot?sslmode=prefer",
        "postgresql+psycopg://meetbot@db/meetbot?sslmode=disable",
        "postgresql://meetbot@127.0.0.1/meetbot?sslmode=disable",
        "postgresql://meetbot@127.0.0.1,db/meetbot",
        "postgresql://meetbot@localhost/meetbot?hostaddr=10.0.0.7",
        "postgresql:///meetbot",
        "postgresql://meetbot@db/meetbot?sslmod=require",
    ],
)
def test_production_refuses_a_database_without_tls(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    with pytest.raises(ValidationError, match="DATABASE_URL must"):
        production(monkeypatch, DATABASE_URL=database_url)


@pytest.mark.parametrize(
    "database_url",
    [
        "postgresql://meetbot@db/meetbot?sslmode=require",
        "postgresql+psycopg://meetbot@db,db2/meetbot?sslmode=verify-ca",
        "postgresql://meetbot@127.0.0.1:5432/meetbot",
        "postgresql://meetbot@localhost/meetbot?sslmode=prefer",
        "postgresql://meetbot@[::1]/meetbot",
        "postgresql:///meetbot?host=/var/run/postgresql&sslmode=disable",
    ],
)
def test_production_takes_an_encrypted_or_local_database(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    assert production(monkeypatch, DATABASE_URL=database_url).database_url == database_url


@pytest.mark.parametrize(
    "network",
    [
        "0.0.0.0/0",
        "::/0",
        "10.0.0.0/8",
        "127.0.0.0/8",
        "128.0.0.0/1",
        "169.254.169.254/32",
        "fe80::/64",
        "fc00::/7",
        "::ffff:0:0/96",
        "64:ff9b::/96",
        "2002:a00::/48",
    ],
)
def test_production_refuses_an_allowed_network_too_wide(monkeypatch: pytest.MonkeyPatch, network: str) -> None:
    with pytest.raises(ValidationError, match="MEETBOT_OUTBOUND_ALLOW_CIDRS"):
        production(monkeypatch, MEETBOT_OUTBOUND_ALLOW_CIDRS=f"10.1.2.0/24,{network}")


def test_production_takes_allowed_networks_that_are_narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = production(monkeypatch, MEETBOT_OUTBOUND_ALLOW_CIDRS="10.1.0.0/16,fd00:1:2::/48,127.0.0.1/32,::1/128")
    assert len(settings.outbound_allow_cidrs) == 4


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "")
    assert Settings().database_url is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MEETBOT_REGION", "mars"),
        ("MEETBOT_OUTBOUND_ALLOW_CIDRS", "10.0.0.1/8"),
        ("MEETBOT_PUBLIC_URL", "calendar.example"),
        ("MEETBOT_BACKEND_URL", "ftp://backend.example"),
        ("MEETBOT_GOOGLE_TOKEN_URL", "https://"),
    ],
)
def test_nonsense_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        Settings()


def test_secrets_do_not_show_in_what_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEETBOT_BACKEND_API_KEY", "hush-hush")
    assert "hush-hush" not in repr(Settings())


def test_no_address_with_a_password_shows_in_what_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://meetbot:hush-hush@db/meetbot")
    monkeypatch.setenv("MEETBOT_BACKEND_URL", "https://user:hush-hush@backend.example")
    monkeypatch.setenv("VAULT_ADDR", "https://user:hush-hush@vault.example")
    settings = Settings()
    assert "hush-hush" not in repr(settings) + str(settings) + repr(settings.model_copy())


def test_what_is_wrong_with_a_password_does_not_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError) as caught:
        production(monkeypatch, DATABASE_URL="postgresql://meetbot:hush-hush@db/meetbot?sslmode=disable")
    assert "hush-hush" not in faults_in(caught.value) + str(caught.value)


def test_the_databases_address_is_had_without_anything_else_that_production_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MEETBOT_ENV", "production")
    monkeypatch.setenv("DATABASE_URL", "postgresql://meetbot@db/meetbot?sslmode=require")
    assert load_database_url() == "postgresql://meetbot@db/meetbot?sslmode=require"


def test_commands_of_the_database_alone_refuse_it_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEETBOT_ENV", "production")
    monkeypatch.setenv("DATABASE_URL", "postgresql://meetbot@db/meetbot")
    with pytest.raises(ValidationError, match="DATABASE_URL must say sslmode=verify-full"):
        load_database_url()


def test_what_is_wrong_is_said_in_one_line_with_the_variables_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEETBOT_REGION", "mars")
    monkeypatch.setenv("MEETBOT_SYNC_INTERVAL_SECONDS", "often")
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert faults_in(caught.value) == (
        "MEETBOT_REGION: Input should be 'eu' or 'us'; MEETBOT_SYNC_INTERVAL_SECONDS: Input should be a valid integer,"
        " unable to parse string as an integer"
    )
