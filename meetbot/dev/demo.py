"""The demonstration tenant of a development stack, and its API key over restarts."""

from __future__ import annotations

from meetbot.dev.files import read_json, write_private_json
from meetbot.dev.supervisor import DemoTenant, DevEnvironment
from meetbot.settings import Settings


def prepare_demo_tenant(environment: DevEnvironment) -> DemoTenant:
    """The same tenant and key at every start of one state directory."""
    # Imported here: slow to load, and the servers boot meanwhile.
    from meetbot.storage.database import create_database
    from meetbot.tenancy import ensure_demo_tenant
    from meetbot.vault import TokenAuth, Vault, vault_from_settings

    remembered = environment.state_directory / "demo.json"
    known = (read_json(remembered) or {}).get("api_key")
    settings = Settings()
    database = create_database(environment.addresses.database_url)
    tokens = environment.vault_tokens
    vault = (
        Vault(environment.addresses.vault_address, TokenAuth(tokens.provisioner_token))
        if tokens is not None
        else vault_from_settings(settings)
    )
    try:
        tenant_id, api_key = ensure_demo_tenant(database, vault, settings.region, known)
    finally:
        vault.close()
        database.close()
    if api_key != known:
        write_private_json(remembered, {"tenant_id": tenant_id, "api_key": api_key})
    return DemoTenant(tenant_id, api_key)
