from __future__ import annotations

from datetime import UTC, datetime, timedelta

from meetbot.vault.sealing import DataKey, SealedSecret, kek_name, open_with, seal_with
from meetbot.webhooks.endpoint_secrets import (
    StoredSecret,
    rotated,
    sealed_secret,
    secret_binding,
    stored_secret,
    valid_secrets,
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


def test_after_a_rotation_both_are_valid_for_a_day_and_the_newest_is_first() -> None:
    first, second = stored(b"1"), stored(b"2")
    both = rotated([first], second, NOW)

    almost_a_day_later = NOW + timedelta(hours=24, microseconds=-1)
    assert [secret["ciphertext"] for secret in valid_secrets(both, almost_a_day_later)] == [
        second["ciphertext"],
        first["ciphertext"],
    ]
    assert valid_secrets(both, NOW + timedelta(hours=24)) == [second]


def test_a_second_rotation_does_not_lengthen_the_life_of_the_first_secret() -> None:
    once = rotated([stored(b"1")], stored(b"2"), NOW)
    twice = rotated(once, stored(b"3"), NOW + timedelta(hours=12))

    assert [len(valid_secrets(twice, NOW + timedelta(hours=hours))) for hours in (12, 24, 36)] == [3, 2, 1]


def test_an_expired_secret_is_dropped_at_the_next_rotation() -> None:
    once = rotated([stored(b"1")], stored(b"2"), NOW)

    assert len(rotated(once, stored(b"3"), NOW + timedelta(hours=25))) == 2


def test_however_often_it_is_rotated_the_row_stays_small() -> None:
    secrets = [stored(b"1")]
    for _ in range(10):
        secrets = rotated(secrets, stored(b"2"), NOW)

    assert len(secrets) == 5
