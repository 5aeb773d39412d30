"""Sealing against a real OpenBao.

The tests show what each principal may do, and what survives rotation, restarts and outages.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

from meetbot.dev.environment import free_port
from meetbot.errors import SecretUnreadable, VaultError, VaultUnavailable
from meetbot.vault.client import AppRoleAuth, SealedSecret, SecretBinding, TokenAuth, Vault
from meetbot.vault.setup import Principal, app_role_credentials, provision
from tests.stack import VaultService

pytestmark = pytest.mark.stack

REFRESH_TOKEN = b"1//refresh-token-of-somebody"
_tenant_numbers = itertools.count(1)


@pytest.fixture
def tenant(vault_service: VaultService) -> str:
    """A tenant with a key of its own, made with the provisioner's rights."""
    tenant_id = f"ten_{next(_tenant_numbers)}"
    with closing(vault_of(vault_service, vault_service.tokens.provisioner_token)) as provisioner:
        provisioner.create_tenant_key(tenant_id)
    return tenant_id


@pytest.fixture
def api(vault_service: VaultService) -> Iterator[Vault]:
    with closing(vault_of(vault_service, vault_service.tokens.api_token)) as vault:
        yield vault


@pytest.fixture
def worker(vault_service: VaultService) -> Iterator[Vault]:
    with closing(vault_of(vault_service, vault_service.tokens.worker_token)) as vault:
        yield vault


def vault_of(service: VaultService, token: str) -> Vault:
    return Vault(service.address, TokenAuth(token))


def binding(tenant_id: str) -> SecretBinding:
    return SecretBinding("eu", tenant_id, "refresh_token", "cu_1")


def sealed_by(vault: Vault, tenant_id: str) -> SealedSecret:
    return vault.seal(tenant_id, REFRESH_TOKEN, binding(tenant_id))


def as_root(service: VaultService, method: str, path: str, body: object = None) -> httpx.Response:
    return asked(service, service.root_token, method, path, body)


def asked(service: VaultService, token: str, method: str, path: str, body: object = None) -> httpx.Response:
    return httpx.request(
        method,
        f"{service.address}/v1/{path}",
        json=body,
        headers={"X-Vault-Token": token},
        timeout=10,
        trust_env=False,
    )


def test_what_the_api_seals_the_worker_opens(api: Vault, worker: Vault, tenant: str) -> None:
    assert worker.open(tenant, sealed_by(api, tenant), binding(tenant)) == REFRESH_TOKEN


def test_the_api_cannot_open_what_it_has_just_sealed(api: Vault, tenant: str) -> None:
    sealed = sealed_by(api, tenant)
    with pytest.raises(VaultError) as refusal:
        api.open(tenant, sealed, binding(tenant))
    assert refusal.value.code == "vault_denied"


# Requests on an existing key {key}; `wrapped` is a real wrapped data key of it.
REQUESTS: dict[str, tuple[str, str, dict[str, object] | None]] = {
    "mint a data key": ("POST", "meetbot/datakey/plaintext/{key}", {}),
    "mint a wrapped data key only": ("POST", "meetbot/datakey/wrapped/{key}", {}),
    "unwrap a data key": ("POST", "meetbot/decrypt/{key}", {"ciphertext": "{wrapped}"}),
    "rewrap a data key": ("POST", "meetbot/rewrap/{key}", {"ciphertext": "{wrapped}"}),
    "encrypt directly": ("POST", "meetbot/encrypt/{key}", {"plaintext": "eA=="}),
    "create a key": ("POST", "meetbot/keys/{key}-new", {"type": "aes256-gcm96"}),
    "create an exportable key": ("POST", "meetbot/keys/{key}-x", {"type": "aes256-gcm96", "exportable": True}),
    "rotate a key": ("POST", "meetbot/keys/{key}/rotate", {}),
    "read a key's versions": ("GET", "meetbot/keys/{key}", None),
    "retire old versions": ("POST", "meetbot/keys/{key}/config", {"min_decryption_version": 1}),
    "destroy old versions": ("POST", "meetbot/keys/{key}/trim", {"min_available_version": 1}),
    "make a key exportable": ("POST", "meetbot/keys/{key}/config", {"exportable": True}),
    "back a key up": ("GET", "meetbot/backup/{key}", None),
    "make a key deletable": ("POST", "meetbot/keys/{key}/config", {"deletion_allowed": True}),
    "raise a key's oldest version": ("POST", "meetbot/keys/{key}/config", {"min_decryption_version": 1}),
    "make a deletable key exportable": (
        "POST",
        "meetbot/keys/{key}/config",
        {"deletion_allowed": True, "exportable": True},
    ),
    "delete a key": ("DELETE", "meetbot/keys/{key}", None),
    "export a key": ("GET", "meetbot/export/encryption-key/{key}", None),
    "list the keys": ("LIST", "meetbot/keys", None),
    "read a policy": ("GET", "sys/policies/acl/meetbot-worker", None),
}
REFUSED_OF_A_NEW_KEY = {"delete a key", "destroy old versions"}
ALLOWED = {
    Principal.API: {"mint a data key"},
    Principal.WORKER: {"mint a data key", "unwrap a data key"},
    Principal.PROVISIONER: {"create a key"},
    Principal.ROTATOR: {"rewrap a data key", "rotate a key", "read a key's versions"},
    Principal.TRIMMER: {
        "read a key's versions",
        "raise a key's oldest version",
        "retire old versions",
        "destroy old versions",
    },
    Principal.ERASER: {"make a key deletable", "delete a key"},
}


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize("principal", Principal)
def test_each_principal_may_do_its_own_work_and_nothing_else(
    vault_service: VaultService, api: Vault, tenant: str, principal: Principal, request_name: str
) -> None:
    sealed = sealed_by(api, tenant)
    method, path, template = REQUESTS[request_name]
    body = template and {
        name: sealed.wrapped_key if value == "{wrapped}" else value for name, value in template.items()
    }
    if request_name == "delete a key":
        as_root(vault_service, "POST", f"meetbot/keys/{sealed.kek_name}/config", {"deletion_allowed": True})
    answer = asked(vault_service, vault_service.tokens.of(principal), method, path.format(key=sealed.kek_name), body)
    if request_name in ALLOWED[principal]:
        # A key has to have a version to destroy first; what counts is that it is not forbidden.
        assert answer.is_success or (answer.status_code == 400 and request_name in REFUSED_OF_A_NEW_KEY)
    else:
        assert answer.status_code == 403


def test_every_request_of_the_matrix_is_one_that_the_service_would_grant_to_root(
    vault_service: VaultService, tenant: str
) -> None:
    """Otherwise a 403 above could stand for a path that does not exist."""
    unknown = [
        name
        for name, (method, path, _) in REQUESTS.items()
        if as_root(vault_service, method, path.format(key=f"tenant-{tenant}"), {}).status_code in {403, 405}
    ]
    assert unknown == []


def test_a_mistyped_tenant_gets_an_error_and_no_key(vault_service: VaultService, api: Vault, worker: Vault) -> None:
    for vault in (api, worker):
        with pytest.raises(VaultError) as refusal:
            vault.new_data_key("ten_mistyped")
        assert refusal.value.code == "vault_refused"
    assert as_root(vault_service, "GET", "meetbot/keys/tenant-ten_mistyped").status_code == 404


def test_creating_a_tenants_key_again_leaves_it_as_it_was(
    vault_service: VaultService, api: Vault, worker: Vault, tenant: str
) -> None:
    sealed = sealed_by(api, tenant)
    with closing(vault_of(vault_service, vault_service.tokens.provisioner_token)) as provisioner:
        provisioner.create_tenant_key(tenant)
    assert worker.open(tenant, sealed, binding(tenant)) == REFRESH_TOKEN
    assert api.new_data_key(tenant).kek_version == 1


def test_provisioning_again_breaks_neither_secrets_nor_tokens(
    vault_service: VaultService, api: Vault, worker: Vault, tenant: str
) -> None:
    sealed = sealed_by(api, tenant)
    again = provision(vault_service.address, vault_service.root_token)
    assert worker.open(tenant, sealed, binding(tenant)) == REFRESH_TOKEN
    with closing(vault_of(vault_service, again.worker_token)) as newer_worker:
        assert newer_worker.open(tenant, sealed, binding(tenant)) == REFRESH_TOKEN


def test_after_a_rotation_old_secrets_open_and_new_ones_name_the_new_version(
    vault_service: VaultService, api: Vault, worker: Vault, tenant: str
) -> None:
    old = sealed_by(api, tenant)
    as_root(vault_service, "POST", f"meetbot/keys/{old.kek_name}/rotate", {}).raise_for_status()
    new = sealed_by(api, tenant)
    assert (old.kek_version, new.kek_version) == (1, 2)
    assert worker.open(tenant, old, binding(tenant)) == REFRESH_TOKEN
    assert worker.open(tenant, new, binding(tenant)) == REFRESH_TOKEN


def test_a_rewrapped_data_key_still_opens_its_secret(
    vault_service: VaultService, api: Vault, worker: Vault, tenant: str
) -> None:
    sealed = sealed_by(api, tenant)
    as_root(vault_service, "POST", f"meetbot/keys/{sealed.kek_name}/rotate", {}).raise_for_status()
    answer = as_root(vault_service, "POST", f"meetbot/rewrap/{sealed.kek_name}", {"ciphertext": sealed.wrapped_key})
    rewrapped = dataclasses.replace(sealed, kek_version=2, wrapped_key=answer.json()["data"]["ciphertext"])
    assert rewrapped.wrapped_key.startswith("vault:v2:")
    assert worker.open(tenant, rewrapped, binding(tenant)) == REFRESH_TOKEN


def test_a_row_copied_to_another_tenant_does_not_open(
    vault_service: VaultService, api: Vault, worker: Vault, tenant: str
) -> None:
    other = f"{tenant}_other"
    with closing(vault_of(vault_service, vault_service.tokens.provisioner_token)) as provisioner:
        provisioner.create_tenant_key(other)
    sealed = sealed_by(api, tenant)
    for row in (sealed, dataclasses.replace(sealed, kek_name=f"tenant-{other}")):
        with pytest.raises(SecretUnreadable):
            worker.open(other, row, binding(other))


def test_a_damaged_wrapped_key_is_unreadable_and_not_an_outage(api: Vault, worker: Vault, tenant: str) -> None:
    sealed = sealed_by(api, tenant)
    for damaged in ("", "vault:v1:AAAA", sealed.wrapped_key[:-8] + "AAAAAAA="):
        with pytest.raises(SecretUnreadable):
            worker.open(tenant, dataclasses.replace(sealed, wrapped_key=damaged), binding(tenant))


def test_a_bad_token_is_a_denial(vault_service: VaultService, tenant: str) -> None:
    with closing(vault_of(vault_service, "s.nobody")) as stranger:
        for refused in (lambda: stranger.new_data_key(tenant), stranger.check):
            with pytest.raises(VaultError) as refusal:
                refused()
            assert refusal.value.code == "vault_denied"


def test_the_service_is_reported_ready_to_every_principal(vault_service: VaultService) -> None:
    tokens = vault_service.tokens
    for token in (tokens.api_token, tokens.worker_token, tokens.provisioner_token, tokens.eraser_token):
        with closing(vault_of(vault_service, token)) as vault:
            vault.check()


def test_an_app_role_logs_in_by_itself_and_again_when_its_token_is_gone(
    vault_service: VaultService, tenant: str
) -> None:
    role = app_role_credentials(vault_service.address, vault_service.root_token, Principal.WORKER)
    with closing(Vault(vault_service.address, role)) as worker:
        sealed = sealed_by(worker, tenant)
        revoke_app_role_tokens(vault_service)
        assert worker.open(tenant, sealed, binding(tenant)) == REFRESH_TOKEN


def test_an_app_role_is_bound_to_its_policy_after_a_second_login(vault_service: VaultService, tenant: str) -> None:
    role = app_role_credentials(vault_service.address, vault_service.root_token, Principal.API)
    with closing(Vault(vault_service.address, role)) as api, pytest.raises(VaultError) as refusal:
        api.open(tenant, sealed_by(api, tenant), binding(tenant))
    assert refusal.value.code == "vault_denied"


def test_a_wrong_app_role_is_a_denial(vault_service: VaultService, tenant: str) -> None:
    with (
        closing(Vault(vault_service.address, AppRoleAuth("no-role", "no-secret"))) as stranger,
        pytest.raises(VaultError) as refusal,
    ):
        stranger.new_data_key(tenant)
    assert refusal.value.code == "vault_denied"


def test_a_recently_opened_secret_opens_for_five_minutes_of_an_outage(
    vault_service: VaultService, api: Vault, tenant: str
) -> None:
    sealed, now = sealed_by(api, tenant), [0.0]
    token = TokenAuth(vault_service.tokens.worker_token)
    with closing(Vault(vault_service.address, token, clock=lambda: now[0])) as worker:
        worker.open(tenant, sealed, binding(tenant))
        worker._client.adapter.base_uri = f"http://127.0.0.1:{free_port()}"
        now[0] = 299.0
        assert worker.open(tenant, sealed, binding(tenant)) == REFRESH_TOKEN
        now[0] = 301.0
        with pytest.raises(VaultUnavailable):
            worker.open(tenant, sealed, binding(tenant))


def test_a_forgotten_tenants_keys_are_asked_for_anew_and_others_are_kept(
    vault_service: VaultService, api: Vault, worker: Vault, tenant: str
) -> None:
    neighbour = f"{tenant}_neighbour"
    with closing(vault_of(vault_service, vault_service.tokens.provisioner_token)) as provisioner:
        provisioner.create_tenant_key(neighbour)
    sealed, neighbours = sealed_by(api, tenant), sealed_by(api, neighbour)
    worker.open(tenant, sealed, binding(tenant))
    worker.open(neighbour, neighbours, binding(neighbour))
    worker.forget_tenant(tenant)
    worker._client.adapter.base_uri = f"http://127.0.0.1:{free_port()}"
    assert worker.open(neighbour, neighbours, binding(neighbour)) == REFRESH_TOKEN
    with pytest.raises(VaultUnavailable):
        worker.open(tenant, sealed, binding(tenant))


def test_one_command_prepares_the_vault_and_prints_working_credentials(
    vault_service: VaultService, tenant: str
) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "meetbot.vault.setup"],
        env={**os.environ, "VAULT_ADDR": vault_service.address, "VAULT_TOKEN": vault_service.root_token},
        capture_output=True,
        check=True,
        timeout=60,
    )
    role = json.loads(finished.stdout)["meetbot-worker"]
    auth = AppRoleAuth(role["VAULT_ROLE_ID"], role["VAULT_SECRET_ID"])
    with closing(Vault(vault_service.address, auth)) as worker:
        assert worker.open(tenant, sealed_by(worker, tenant), binding(tenant)) == REFRESH_TOKEN


def revoke_app_role_tokens(service: VaultService) -> None:
    """Every token that any AppRole login has given out is gone afterwards."""
    as_root(service, "PUT", "sys/leases/revoke-force/auth/approle/login", {}).raise_for_status()
