"""How the parts of the development stack are told of each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from meetbot.dev.environment import (
    SANDBOXED,
    Addresses,
    SandboxSecrets,
    process_environment,
    shared_environment,
    stands_in_for,
    variable_name,
)
from meetbot.dev.stack import sandbox_arguments
from meetbot.dev.state import VaultRole, exclusive, load_running_environment, write_running
from meetbot.settings import Settings
from sandbox.__main__ import parse_arguments

ADDRESSES = Addresses(
    public_url="http://127.0.0.1:8000",
    sandbox_url="http://127.0.0.1:8900",
    database_url="postgresql://meetbot:x@127.0.0.1:54329/meetbot",
    temporal_address="127.0.0.1:7233",
    vault_address="http://127.0.0.1:8200",
    temporal_ui_url="http://127.0.0.1:8233",
)
SECRETS = SandboxSecrets(api_key="sandbox-key", webhook_secret="sandbox-webhook-secret")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Without any of our own variables, whatever the developer has set."""
    for setting in Settings.model_fields:
        monkeypatch.delenv(variable_name(setting), raising=False)
    return monkeypatch


def wired() -> dict[str, str]:
    return shared_environment(Settings(), ADDRESSES, SECRETS)


def test_without_configuration_everything_points_at_the_stack(environment: pytest.MonkeyPatch) -> None:
    assert wired() == {
        "MEETBOT_ENV": "development",
        "MEETBOT_PUBLIC_URL": "http://127.0.0.1:8000",
        "DATABASE_URL": "postgresql://meetbot:x@127.0.0.1:54329/meetbot",
        "TEMPORAL_ADDRESS": "127.0.0.1:7233",
        "VAULT_ADDR": "http://127.0.0.1:8200",
        "MEETBOT_OUTBOUND_ALLOW_CIDRS": "127.0.0.0/8,::1/128",
        "MEETBOT_GOOGLE_CLIENT_ID": "sandbox-client",
        "MEETBOT_GOOGLE_CLIENT_SECRET": "sandbox-secret",
        "MEETBOT_GOOGLE_AUTHORIZE_URL": "http://127.0.0.1:8900/google/o/oauth2/v2/auth",
        "MEETBOT_GOOGLE_TOKEN_URL": "http://127.0.0.1:8900/google/token",
        "MEETBOT_GOOGLE_REVOKE_URL": "http://127.0.0.1:8900/google/revoke",
        "MEETBOT_GOOGLE_API_URL": "http://127.0.0.1:8900/google/calendar/v3",
        "MEETBOT_MICROSOFT_CLIENT_ID": "sandbox-client",
        "MEETBOT_MICROSOFT_CLIENT_SECRET": "sandbox-secret",
        "MEETBOT_MICROSOFT_LOGIN_URL": "http://127.0.0.1:8900/microsoft",
        "MEETBOT_MICROSOFT_GRAPH_URL": "http://127.0.0.1:8900/microsoft/v1.0",
        "MEETBOT_BACKEND_URL": "http://127.0.0.1:8900/backend",
        "MEETBOT_BACKEND_API_KEY": "sandbox-key",
        "MEETBOT_BACKEND_WEBHOOK_SECRET": "sandbox-webhook-secret",
    }


def test_what_is_wired_is_accepted_by_the_settings(environment: pytest.MonkeyPatch) -> None:
    for name, value in process_environment(wired(), vault_token="s.token", ops_port=9100).items():
        environment.setenv(name, value)
    settings = Settings()
    assert settings.google_token_url == "http://127.0.0.1:8900/google/token"
    assert settings.vault_token is not None
    assert settings.vault_token.get_secret_value() == "s.token"
    assert [str(network) for network in settings.outbound_allow_cidrs] == ["127.0.0.0/8", "::1/128"]


@pytest.mark.parametrize(
    ("variable", "value", "group"),
    [
        ("MEETBOT_GOOGLE_CLIENT_ID", "real.apps.googleusercontent.com", "MEETBOT_GOOGLE_"),
        ("MEETBOT_MICROSOFT_CLIENT_ID", "real", "MEETBOT_MICROSOFT_"),
        ("MEETBOT_BACKEND_API_KEY", "real", "MEETBOT_BACKEND_"),
        ("MEETBOT_BACKEND_URL", "https://bots.example.com", "MEETBOT_BACKEND_"),
        ("MEETBOT_BACKEND", "attendee", "MEETBOT_BACKEND_"),
    ],
)
def test_a_real_account_takes_the_whole_group_away_from_the_sandbox(
    environment: pytest.MonkeyPatch, variable: str, value: str, group: str
) -> None:
    before = {name for name in wired() if not name.startswith(group)}
    environment.setenv(variable, value)
    assert set(wired()) == before


def test_without_configuration_the_sandbox_stands_in_for_everything(environment: pytest.MonkeyPatch) -> None:
    assert stands_in_for(Settings()) == SANDBOXED


def test_the_sandbox_stands_in_for_what_has_no_real_account(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MEETBOT_GOOGLE_CLIENT_ID", "real.apps.googleusercontent.com")
    assert stands_in_for(Settings()) == ("Microsoft", "the bot backend")


def test_what_has_other_addresses_needs_no_sandbox(environment: pytest.MonkeyPatch) -> None:
    for name in (
        "GOOGLE_AUTHORIZE",
        "GOOGLE_TOKEN",
        "GOOGLE_REVOKE",
        "GOOGLE_API",
        "MICROSOFT_LOGIN",
        "MICROSOFT_GRAPH",
    ):
        environment.setenv(f"MEETBOT_{name}_URL", "http://127.0.0.1:9")
    assert stands_in_for(Settings()) == ("the bot backend",)
    environment.setenv("MEETBOT_BACKEND_URL", "http://127.0.0.1:9")
    assert stands_in_for(Settings()) == ()


@pytest.mark.parametrize("variable", ["DATABASE_URL", "TEMPORAL_ADDRESS", "VAULT_ADDR", "MEETBOT_PUBLIC_URL"])
def test_what_the_user_has_set_is_left_alone(environment: pytest.MonkeyPatch, variable: str) -> None:
    environment.setenv(variable, "http://user.example")
    assert variable not in wired()


def test_an_empty_variable_counts_as_unset(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DATABASE_URL", "")
    assert wired()["DATABASE_URL"] == ADDRESSES.database_url


def test_without_a_token_of_ours_the_users_own_credentials_stay_in_force() -> None:
    assert "VAULT_TOKEN" not in process_environment({}, vault_token=None, ops_port=9100)


def test_secrets_that_begin_with_a_dash_reach_the_sandbox_whole(tmp_path: Path) -> None:
    secrets = SandboxSecrets(api_key="-key", webhook_secret="--secret")
    understood = parse_arguments(sandbox_arguments(tmp_path, port=8900, secrets=secrets))
    assert (understood.api_key, understood.webhook_secret, understood.port) == ("-key", "--secret", 8900)


def test_secrets_do_not_show_in_texts() -> None:
    assert "sandbox-key" not in repr(SECRETS)
    assert "sandbox-webhook-secret" not in repr(SECRETS)


@pytest.mark.parametrize("role", VaultRole)
def test_a_command_reaches_the_running_stack_as_the_principal_it_needs(tmp_path: Path, role: VaultRole) -> None:
    tokens = {f"{one}_token": f"token of the {one}" for one in VaultRole}
    with exclusive(tmp_path):
        write_running(tmp_path, {"environment": {"VAULT_TOKEN": "any"}, "vault_tokens": tokens})
        assert load_running_environment(tmp_path, role) == {"VAULT_TOKEN": f"token of the {role}"}
        # A vault that the user brought has the user's own token.
        write_running(tmp_path, {"environment": {"VAULT_ADDR": "http://own"}, "vault_tokens": None})
        assert load_running_environment(tmp_path, role) == {"VAULT_ADDR": "http://own"}
