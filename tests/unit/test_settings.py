"""Settings: defaults as published, and production refuses every unsafe one."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from meetbot.settings import Settings, faults_in, load_database_url

PRODUCTION = {
    "MEETBOT_ENV": "production",
    "MEETBOT_PUBLIC_URL": "https://calendar.example",
    "DATABASE_URL": "postgresql://meetbot@db/meetbot",
    "TEMPORAL_ADDRESS": "temporal:7233",
    "VAULT_ADDR": "https://vault:8200",
    "VAULT_ROLE_ID": "role",
    "VAULT_SECRET_ID": "secret",
    "MEETBOT_BACKEND_API_KEY": "key",
    "MEETBOT_BACKEND_WEBHOOK_SECRET": "secret",
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


def test_the_databases_address_is_had_without_anything_else_that_production_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MEETBOT_ENV", "production")
    monkeypatch.setenv("DATABASE_URL", "postgresql://meetbot@db/meetbot")
    assert load_database_url() == "postgresql://meetbot@db/meetbot"


def test_what_is_wrong_is_said_in_one_line_with_the_variables_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEETBOT_REGION", "mars")
    monkeypatch.setenv("MEETBOT_SYNC_INTERVAL_SECONDS", "often")
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert faults_in(caught.value) == (
        "MEETBOT_REGION: Input should be 'eu' or 'us'; MEETBOT_SYNC_INTERVAL_SECONDS: Input should be a valid integer,"
        " unable to parse string as an integer"
    )
