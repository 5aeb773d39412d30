"""Preparing OpenBao or Vault: the transit mount, a policy and credentials per principal.

The policies name whole path segments with ``+``. A suffix glob such as ``keys/t-*`` would also match ``keys/t-1/config`` and
hand the provisioner the right to make keys deletable and exportable.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import hvac

from meetbot.errors import VaultError
from meetbot.settings import load_settings
from meetbot.vault.adapter import bounded_session
from meetbot.vault.client import TRANSIT_MOUNT, AppRoleAuth

_TIMEOUT_SECONDS = 10
_DEVELOPMENT_TOKEN_PERIOD = "768h"  # noqa: S105 - a duration; the service's own upper limit
_APP_ROLE_TOKEN_PERIOD = "20m"  # noqa: S105 - a duration
_APP_ROLE_MOUNT = "approle"


class Principal(StrEnum):
    """Who talks to the key management service, with exactly the rights of its policy."""

    API = "meetbot-api"
    WORKER = "meetbot-worker"
    PROVISIONER = "meetbot-provisioner"
    ROTATOR = "meetbot-rotator"
    TRIMMER = "meetbot-trimmer"
    ERASER = "meetbot-eraser"


# Rights on one path, in the JSON form of the service's own policies.
PathRights = dict[str, Any]

_MINT_DATA_KEY: dict[str, PathRights] = {f"{TRANSIT_MOUNT}/datakey/plaintext/+": {"capabilities": ["update"]}}

# A process in production refuses to serve if nothing records who opened what. The service asks for `sudo` to list its devices;
# making or removing one is another path.
_SEE_AUDIT_DEVICES: dict[str, PathRights] = {"sys/audit": {"capabilities": ["read", "sudo"]}}

POLICIES: dict[Principal, dict[str, PathRights]] = {
    Principal.API: {**_MINT_DATA_KEY, **_SEE_AUDIT_DEVICES},
    Principal.WORKER: {
        **_MINT_DATA_KEY,
        **_SEE_AUDIT_DEVICES,
        f"{TRANSIT_MOUNT}/decrypt/+": {"capabilities": ["update"]},
    },
    Principal.PROVISIONER: {
        f"{TRANSIT_MOUNT}/keys/+": {
            "capabilities": ["create", "update"],
            "allowed_parameters": {"type": ["aes256-gcm96"]},
        }
    },
    # Reading a key shows its versions, never the key itself.
    Principal.ROTATOR: {
        f"{TRANSIT_MOUNT}/keys/+": {"capabilities": ["read"]},
        f"{TRANSIT_MOUNT}/keys/+/rotate": {"capabilities": ["update"]},
        f"{TRANSIT_MOUNT}/rewrap/+": {"capabilities": ["update"]},
    },
    # Whoever rotates every night need not be able to destroy anything.
    Principal.TRIMMER: {
        f"{TRANSIT_MOUNT}/keys/+": {"capabilities": ["read"]},
        f"{TRANSIT_MOUNT}/keys/+/config": {
            "capabilities": ["update"],
            "allowed_parameters": {"min_decryption_version": [], "min_encryption_version": []},
        },
        f"{TRANSIT_MOUNT}/keys/+/trim": {"capabilities": ["update"]},
    },
    # Who ends a tenant: one command that an operator runs, no process of ours.
    Principal.ERASER: {
        f"{TRANSIT_MOUNT}/keys/+": {"capabilities": ["delete"]},
        f"{TRANSIT_MOUNT}/keys/+/config": {
            "capabilities": ["update"],
            "allowed_parameters": {"deletion_allowed": [True]},
        },
    },
}


@dataclass(frozen=True, slots=True)
class VaultCredentials:
    """One token per principal, renewable for 32 days at a time."""

    api_token: str = field(repr=False)
    worker_token: str = field(repr=False)
    provisioner_token: str = field(repr=False)
    rotator_token: str = field(repr=False)
    trimmer_token: str = field(repr=False)
    eraser_token: str = field(repr=False)

    def of(self, principal: Principal) -> str:
        """Return the token of one principal."""
        return str(getattr(self, f"{principal.name.lower()}_token"))


def provision(address: str, root_token: str) -> VaultCredentials:
    """Prepare the service and return fresh tokens, for development and tests.

    Production logs in by AppRole, whose secrets expire. Raises hvac's own errors and `OutboundFailed`: an operator or the
    development stack runs it, and wants to see them.
    """
    prepare(address, root_token)
    with _administering(address, root_token) as client:
        return VaultCredentials(
            **{f"{principal.name.lower()}_token": _new_token(client, principal) for principal in Principal}
        )


def prepare(address: str, root_token: str) -> None:
    """Create the mount, policies and AppRoles; what exists is brought up to date or left alone."""
    with _administering(address, root_token) as client:
        _mount_transit(client)
        _mount_app_role(client)
        for principal, rights in POLICIES.items():
            client.sys.create_or_update_acl_policy(str(principal), json.dumps({"path": rights}))
            client.auth.approle.create_or_update_approle(
                str(principal),
                token_policies=[str(principal)],
                token_period=_APP_ROLE_TOKEN_PERIOD,
                mount_point=_APP_ROLE_MOUNT,
            )


def app_role_credentials(address: str, root_token: str, principal: Principal) -> AppRoleAuth:
    """Return the principal's AppRole with a fresh secret id, after `prepare`."""
    with _administering(address, root_token) as client:
        role_id = client.auth.approle.read_role_id(str(principal), mount_point=_APP_ROLE_MOUNT)
        secret_id = client.auth.approle.generate_secret_id(str(principal), mount_point=_APP_ROLE_MOUNT)
    return AppRoleAuth(str(role_id["data"]["role_id"]), str(secret_id["data"]["secret_id"]))


@contextmanager
def _administering(address: str, root_token: str) -> Iterator[Any]:
    session = bounded_session()
    try:
        yield hvac.Client(
            url=address, token=root_token, session=session, timeout=_TIMEOUT_SECONDS, allow_redirects=False
        )
    finally:
        session.close()


def _mount_transit(client: Any) -> None:
    if f"{TRANSIT_MOUNT}/" not in client.sys.list_mounted_secrets_engines()["data"]:
        client.sys.enable_secrets_engine("transit", path=TRANSIT_MOUNT)


def _mount_app_role(client: Any) -> None:
    if f"{_APP_ROLE_MOUNT}/" not in client.sys.list_auth_methods()["data"]:
        client.sys.enable_auth_method("approle", path=_APP_ROLE_MOUNT)


def _new_token(client: Any, principal: Principal) -> str:
    answer = client.auth.token.create_orphan(
        policies=[str(principal)], period=_DEVELOPMENT_TOKEN_PERIOD, display_name=str(principal)
    )
    return str(answer["auth"]["client_token"])


def main() -> None:
    """Prepare the service and print the variables of each principal as JSON.

    ``python -m meetbot.vault.setup`` with VAULT_ADDR and an administrator's VAULT_TOKEN. Each run gives out new secret ids.
    """
    settings = load_settings()
    if settings.vault_addr is None or settings.vault_token is None:
        raise VaultError("vault_not_configured", "set VAULT_ADDR, and VAULT_TOKEN to an administrator's token")
    address, root_token = settings.vault_addr, settings.vault_token.get_secret_value()
    prepare(address, root_token)
    variables = {
        str(principal): {"VAULT_ROLE_ID": role.role_id, "VAULT_SECRET_ID": role.secret_id}
        for principal in Principal
        for role in [app_role_credentials(address, root_token, principal)]
    }
    sys.stdout.write(json.dumps(variables, indent=2) + "\n")


if __name__ == "__main__":
    main()
