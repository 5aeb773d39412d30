"""The demonstration tenant of a development stack: its API key over restarts, and rules that let a newcomer see a bot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from meetbot.dev.files import read_json, write_private_json
from meetbot.dev.supervisor import DemoTenant, DevEnvironment
from meetbot.dev.unchanged import key_is_known
from meetbot.settings import Settings

if TYPE_CHECKING:
    from meetbot.storage.database import Database


# Whoever connects a sandbox calendar and puts a meeting into it sees a bot come, without having to learn the rules first.
DEMO_RULES = {
    "rules": [
        {"name": "customers", "action": "record", "when": {"attendee_domains": {"any_of": ["customer.test"]}}},
        {"name": "internal meetings", "action": "record", "when": {"internal": True}},
    ]
}


def prepare_demo_tenant(environment: DevEnvironment) -> DemoTenant:
    """The same tenant and key at every start of one state directory."""
    remembered = environment.state_directory / "demo.json"
    known = read_json(remembered) or {}
    if known and key_is_known(environment.addresses.database_url, known["api_key"]):
        return DemoTenant(known["tenant_id"], known["api_key"])
    return _make_demo_tenant(environment, remembered, known.get("api_key"))


def _make_demo_tenant(environment: DevEnvironment, remembered: Path, known_key: str | None) -> DemoTenant:
    # Imported here: slow to load, and the servers boot meanwhile.
    from meetbot.storage.database import create_database
    from meetbot.tenants.create import ensure_demo_tenant
    from meetbot.vault.client import TokenAuth, Vault, vault_from_settings

    settings = Settings()
    database = create_database(environment.addresses.database_url)
    tokens = environment.vault_tokens
    vault = (
        Vault(environment.addresses.vault_address, TokenAuth(tokens.provisioner_token))
        if tokens is not None
        else vault_from_settings(settings)
    )
    try:
        tenant_id, api_key = ensure_demo_tenant(database, vault, settings.region, known_key)
        _give_rules(database, tenant_id)
    finally:
        vault.close()
        database.close()
    write_private_json(remembered, {"tenant_id": tenant_id, "api_key": api_key})
    return DemoTenant(tenant_id, api_key)


def _give_rules(database: Database, tenant_id: str) -> None:
    """Once: what somebody has changed since stays as it is."""
    from meetbot.rules.policy import TENANT_OWNER
    from meetbot.storage.rule_sets import add_version, list_versions

    with database.transaction(tenant_id) as session:
        if not list_versions(session, tenant_id, TENANT_OWNER, "default", before=None, limit=1):
            add_version(session, tenant_id, TENANT_OWNER, "default", body=DEMO_RULES, created_by="demo")
