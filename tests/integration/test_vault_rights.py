"""What production refuses of a real OpenBao: too many rights, and no audit device."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

import pytest

from meetbot.errors import VaultError
from meetbot.vault.client import TokenAuth, Vault
from meetbot.vault.rights import ProcessKind, refuse_unsafe_rights
from tests.stack import VaultService

pytestmark = pytest.mark.stack


class Audited:
    """The real rights, with an audit device."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def capabilities(self, paths: Sequence[str]) -> dict[str, list[str]]:
        return self._vault.capabilities(paths)

    def audit_devices(self) -> list[str]:
        return ["stdout/"]


def refused(service: VaultService, token: str, kind: ProcessKind, *, audited: bool = True) -> str | None:
    with closing(Vault(service.address, TokenAuth(token))) as vault:
        try:
            refuse_unsafe_rights(Audited(vault) if audited else vault, kind)
        except VaultError as error:
            return error.code
    return None


def test_each_process_is_content_with_its_own_principal(vault_service: VaultService) -> None:
    tokens = vault_service.tokens
    assert refused(vault_service, tokens.api_token, ProcessKind.API) is None
    assert refused(vault_service, tokens.worker_token, ProcessKind.WORKER) is None


def test_the_api_refuses_a_token_that_can_decrypt(vault_service: VaultService) -> None:
    assert refused(vault_service, vault_service.tokens.worker_token, ProcessKind.API) == "vault_rights_unsafe"


@pytest.mark.parametrize("kind", ProcessKind)
def test_nobody_runs_with_a_root_token(vault_service: VaultService, kind: ProcessKind) -> None:
    assert refused(vault_service, vault_service.root_token, kind) == "vault_rights_unsafe"


@pytest.mark.parametrize("kind", ProcessKind)
def test_nobody_runs_as_the_eraser(vault_service: VaultService, kind: ProcessKind) -> None:
    assert refused(vault_service, vault_service.tokens.eraser_token, kind) == "vault_rights_unsafe"


def test_a_service_without_an_audit_device_is_refused(vault_service: VaultService) -> None:
    for token, kind in (
        (vault_service.tokens.api_token, ProcessKind.API),
        (vault_service.tokens.worker_token, ProcessKind.WORKER),
    ):
        assert refused(vault_service, token, kind, audited=False) == "vault_audit_missing"


def test_a_principal_that_cannot_see_audit_devices_is_told_so(vault_service: VaultService) -> None:
    token = vault_service.tokens.provisioner_token
    assert refused(vault_service, token, ProcessKind.WORKER, audited=False) == "vault_audit_unseen"
