"""Sealing one secret with one data key: AES-256-GCM, bound to its owner. Pure.

The binding (region, tenant, kind, record and its facts) is authenticated data here and not in transit, because transit cannot
rewrap a ciphertext that carries any.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field, fields

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from meetbot.errors import SecretUnreadable

_AAD_LABEL = "meetbot/secret/v2"
_NONCE_BYTES = 12
_REFRESH_TOKEN = "refresh_token"  # noqa: S105 - a kind of secret
_TENANT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class SecretBinding:
    """What a secret belongs to. A sealed secret opens only under the binding it was sealed with.

    Use only parts that stay as they are until the secret is sealed anew: ``kind`` such as ``refresh_token``, ``record_id`` the
    row's own id, ``facts`` what else the row says of this very secret, as names with values.
    """

    region: str
    tenant_id: str
    kind: str
    record_id: str
    facts: tuple[tuple[str, str], ...] = ()

    def authenticated_data(self) -> bytes:
        """Return every part with its length before it, so that no two bindings read alike."""
        of_this_secret = (part for fact in self.facts for part in fact)
        parts = (_AAD_LABEL, self.region, self.tenant_id, self.kind, self.record_id, *of_this_secret)
        encoded = [part.encode("utf-8") for part in parts]
        return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


@dataclass(frozen=True, slots=True)
class TokenOwner:
    """Whose refresh token it is, and which one: a field more is one more thing it is bound to.

    ``token_version`` is the version of the grant that the token was stored with. ``oauth_client_id`` is the tenant's own client
    that the grant was given to; None is ours, and then no part of what the token is bound to.
    """

    tenant_id: str
    calendar_user_id: str
    provider: str
    subject: str
    token_version: int
    oauth_client_id: str | None = None


@dataclass(frozen=True, slots=True)
class DataKey:
    """A fresh key for one secret: use it once and drop it. Only ``wrapped_key`` may be stored."""

    plaintext: bytes = field(repr=False)
    wrapped_key: str
    kek_name: str
    kek_version: int


@dataclass(frozen=True, slots=True)
class SealedSecret:
    """What storage holds. ``kek_version`` says which rows a key rotation still has to rewrap."""

    kek_name: str
    kek_version: int
    wrapped_key: str
    nonce_and_ciphertext: bytes


def kek_name(tenant_id: str) -> str:
    """Return the name of the tenant's key in transit.

    Raises ``ValueError`` for an id that could leave its path segment.
    """
    if not _TENANT_ID.fullmatch(tenant_id):
        raise ValueError("a tenant id holds 1 to 64 letters, digits, '_' or '-'")
    return f"tenant-{tenant_id}"


def seal_with(data_key: DataKey, plaintext: bytes, binding: SecretBinding) -> SealedSecret:
    """Seal without any call. Raises ``ValueError`` for another tenant's data key."""
    if data_key.kek_name != kek_name(binding.tenant_id):
        raise ValueError("the data key belongs to another tenant than the binding")
    nonce = secrets.token_bytes(_NONCE_BYTES)
    ciphertext = AESGCM(data_key.plaintext).encrypt(nonce, plaintext, binding.authenticated_data())
    return SealedSecret(data_key.kek_name, data_key.kek_version, data_key.wrapped_key, nonce + ciphertext)


def refresh_token_binding(region: str, owner: TokenOwner) -> SecretBinding:
    """Return what a sealed refresh token is bound to.

    It opens for no other calendar user or account, and an earlier token not in the place of a later one.
    """
    row_key = ("tenant_id", "calendar_user_id")
    told = ((part.name, getattr(owner, part.name)) for part in fields(owner) if part.name not in row_key)
    facts = tuple((name, str(value)) for name, value in told if value is not None)
    return SecretBinding(region, owner.tenant_id, _REFRESH_TOKEN, owner.calendar_user_id, facts)


def seal_refresh_token(data_key: DataKey, refresh_token: str, binding: SecretBinding) -> SealedSecret:
    """Seal a provider's refresh token with the `refresh_token_binding` of its calendar user."""
    return seal_with(data_key, refresh_token.encode("utf-8"), binding)


def open_with(key: bytes, sealed: SealedSecret, binding: SecretBinding) -> bytes:
    """Open with an unwrapped data key. Raises `SecretUnreadable`."""
    nonce, ciphertext = sealed.nonce_and_ciphertext[:_NONCE_BYTES], sealed.nonce_and_ciphertext[_NONCE_BYTES:]
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, binding.authenticated_data())
    except (InvalidTag, ValueError):
        raise SecretUnreadable("secret_unreadable", "the ciphertext does not open with its key and binding") from None
