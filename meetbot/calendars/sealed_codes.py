"""Authorization codes with their PKCE verifiers, sealed for the worker. Pure."""

from __future__ import annotations

import orjson

from meetbot.vault.sealing import DataKey, SealedSecret, SecretBinding, seal_with

_KIND = "consent_code"


def code_binding(region: str, tenant_id: str, exchange_id: str, oauth_client_id: str) -> SecretBinding:
    """Return what a sealed code is bound to: its exchange, and the client that got it."""
    return SecretBinding(region, tenant_id, _KIND, exchange_id, (("oauth_client_id", oauth_client_id),))


def seal_code(data_key: DataKey, code: str, code_verifier: str, binding: SecretBinding) -> SealedSecret:
    """Seal a code together with its verifier."""
    return seal_with(data_key, orjson.dumps([code, code_verifier]), binding)


def read_code(opened: bytes) -> tuple[str, str]:
    """Return the code and the verifier of what `seal_code` sealed."""
    code, code_verifier = orjson.loads(opened)
    return str(code), str(code_verifier)
