from __future__ import annotations

from datetime import UTC, datetime

from meetbot.vault.sealing import DataKey, SealedSecret, kek_name, open_with, seal_with
from meetbot.webhooks.endpoint_secrets import (
    StoredSecret,
    sealed_secret,
    secret_binding,
    stored_secret,
)

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
KEY = DataKey(bytes(32), "vault:v3:abc", kek_name("tnt_1"), 3)
BINDING = secret_binding("eu", "tnt_1", "whe_1")


def stored(plain: bytes, created_at: datetime = NOW) -> StoredSecret:
    return stored_secret(seal_with(KEY, plain, BINDING), created_at)


def test_a_stored_secret_comes_back_as_it_was_sealed() -> None:
    sealed = sealed_secret("tnt_1", stored(b"whsec_1"))

    assert isinstance(sealed, SealedSecret)
    assert (sealed.kek_name, sealed.kek_version, sealed.wrapped_key) == (kek_name("tnt_1"), 3, "vault:v3:abc")
    assert open_with(KEY.plaintext, sealed, BINDING) == b"whsec_1"


def test_the_row_holds_no_plain_secret() -> None:
    assert "whsec_1" not in repr(stored(b"whsec_1"))
