"""The secrets of a webhook endpoint as its row keeps them. Pure.

They are sealed, the newest first, older ones with an end.
"""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from typing import Any

from meetbot.vault.sealing import SealedSecret, SecretBinding, kek_name

OVERLAP = timedelta(hours=24)

_KIND = "webhook_secret"

StoredSecret = dict[str, Any]


def secret_binding(region: str, tenant_id: str, endpoint_id: str) -> SecretBinding:
    """Return what an endpoint's sealed secrets are bound to: they open for no other endpoint."""
    return SecretBinding(region, tenant_id, _KIND, endpoint_id)


def stored_secret(sealed: SealedSecret, created_at: datetime) -> StoredSecret:
    """Return what the row keeps of a new secret; ``expires_at`` is null until it is rotated out."""
    return {
        "kek_version": sealed.kek_version,
        "wrapped_key": sealed.wrapped_key,
        "ciphertext": base64.b64encode(sealed.nonce_and_ciphertext).decode("ascii"),
        "created_at": created_at.isoformat(),
        "expires_at": None,
    }


def sealed_secret(tenant_id: str, stored: StoredSecret) -> SealedSecret:
    """Return the sealed form of a secret that the row keeps."""
    return SealedSecret(
        kek_name=kek_name(tenant_id),
        kek_version=stored["kek_version"],
        wrapped_key=stored["wrapped_key"],
        nonce_and_ciphertext=base64.b64decode(stored["ciphertext"]),
    )


def valid_secrets(stored: list[StoredSecret], now: datetime) -> list[StoredSecret]:
    """Return the secrets to sign with, the newest first."""
    return [secret for secret in stored if _is_valid(secret, now)]


def _is_valid(secret: StoredSecret, now: datetime) -> bool:
    expires_at = secret["expires_at"]
    return expires_at is None or datetime.fromisoformat(expires_at) > now
