"""Sealing with a data key, which is pure and needs no key management service."""

from __future__ import annotations

import dataclasses
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetbot.errors import SecretUnreadable
from meetbot.vault.sealing import (
    DataKey,
    SealedSecret,
    SecretBinding,
    TokenOwner,
    kek_name,
    open_with,
    refresh_token_binding,
    seal_with,
)

BINDING = SecretBinding(region="eu", tenant_id="ten_a", kind="refresh_token", record_id="cu_1")
OWNER = TokenOwner("ten_a", "cu_1", "google", "subject-1", 3)
REFRESH_TOKEN = b"1//refresh-token-of-somebody"


def fresh_key(tenant_id: str = "ten_a") -> DataKey:
    return DataKey(secrets.token_bytes(32), "vault:v3:d3JhcHBlZA==", kek_name(tenant_id), 3)


def test_a_sealed_secret_opens_with_its_key_and_binding() -> None:
    key = fresh_key()
    sealed = seal_with(key, REFRESH_TOKEN, BINDING)
    assert open_with(key.plaintext, sealed, BINDING) == REFRESH_TOKEN


def test_a_sealed_secret_carries_what_storage_needs_and_nothing_in_clear() -> None:
    key = fresh_key()
    sealed = seal_with(key, REFRESH_TOKEN, BINDING)
    assert (sealed.kek_name, sealed.kek_version, sealed.wrapped_key) == ("tenant-ten_a", 3, key.wrapped_key)
    assert REFRESH_TOKEN not in sealed.nonce_and_ciphertext
    assert key.plaintext not in sealed.nonce_and_ciphertext


def test_the_same_secret_never_seals_to_the_same_bytes() -> None:
    key = fresh_key()
    sealed = {seal_with(key, REFRESH_TOKEN, BINDING).nonce_and_ciphertext for _ in range(20)}
    assert len(sealed) == 20


@pytest.mark.parametrize(
    "other",
    [
        dataclasses.replace(BINDING, region="us"),
        dataclasses.replace(BINDING, tenant_id="ten_b"),
        dataclasses.replace(BINDING, kind="access_token"),
        dataclasses.replace(BINDING, record_id="cu_2"),
        dataclasses.replace(BINDING, facts=(("provider", "google"),)),
    ],
    ids=["region", "tenant", "kind", "record", "facts"],
)
def test_a_secret_moved_to_another_place_does_not_open(other: SecretBinding) -> None:
    key = fresh_key()
    sealed = seal_with(key, REFRESH_TOKEN, BINDING)
    with pytest.raises(SecretUnreadable):
        open_with(key.plaintext, sealed, other)


OTHERS = {
    "tenant_id": dataclasses.replace(OWNER, tenant_id="ten_b"),
    "calendar_user_id": dataclasses.replace(OWNER, calendar_user_id="cu_2"),
    "provider": dataclasses.replace(OWNER, provider="microsoft"),
    "subject": dataclasses.replace(OWNER, subject="subject-2"),
    "token_version": dataclasses.replace(OWNER, token_version=2),
    "oauth_client_id": dataclasses.replace(OWNER, oauth_client_id="client-1"),
}


@pytest.mark.parametrize("part", [part.name for part in dataclasses.fields(TokenOwner)])
def test_a_refresh_token_opens_for_its_owner_and_version_only(part: str) -> None:
    key = fresh_key()
    sealed = seal_with(key, REFRESH_TOKEN, refresh_token_binding("eu", OWNER))
    assert open_with(key.plaintext, sealed, refresh_token_binding("eu", dataclasses.replace(OWNER))) == REFRESH_TOKEN
    with pytest.raises(SecretUnreadable):
        open_with(key.plaintext, sealed, refresh_token_binding("eu", OTHERS[part]))


@given(position=st.integers(min_value=0), bit=st.integers(0, 7))
def test_one_flipped_bit_anywhere_is_noticed(position: int, bit: int) -> None:
    key = fresh_key()
    sealed = seal_with(key, REFRESH_TOKEN, BINDING)
    damaged = bytearray(sealed.nonce_and_ciphertext)
    damaged[position % len(damaged)] ^= 1 << bit
    with pytest.raises(SecretUnreadable):
        open_with(key.plaintext, dataclasses.replace(sealed, nonce_and_ciphertext=bytes(damaged)), BINDING)


@given(content=st.binary(max_size=40))
def test_any_rubbish_instead_of_a_ciphertext_is_refused_in_the_same_way(content: bytes) -> None:
    sealed = SealedSecret("tenant-ten_a", 1, "vault:v1:eA==", content)
    with pytest.raises(SecretUnreadable):
        open_with(bytes(32), sealed, BINDING)


SHORT = st.text(max_size=6)
BINDINGS = st.builds(
    SecretBinding, SHORT, SHORT, SHORT, SHORT, st.lists(st.tuples(SHORT, SHORT), max_size=2).map(tuple)
)


@given(BINDINGS, BINDINGS)
def test_different_bindings_never_authenticate_the_same_bytes(one: SecretBinding, two: SecretBinding) -> None:
    assert (one.authenticated_data() == two.authenticated_data()) == (one == two)


def test_parts_do_not_run_into_each_other() -> None:
    shifted = SecretBinding("eu", "ten_ar", "efresh_token", "cu_1")
    assert shifted.authenticated_data() != BINDING.authenticated_data()


def test_a_data_key_of_another_tenant_is_refused() -> None:
    with pytest.raises(ValueError, match="another tenant"):
        seal_with(fresh_key("ten_b"), REFRESH_TOKEN, BINDING)


def test_the_text_of_a_data_key_hides_the_key() -> None:
    key = DataKey(b"k" * 32, "vault:v1:eA==", "tenant-ten_a", 1)
    assert "kkk" not in repr(key)
    assert "kkk" not in str(key)


@pytest.mark.parametrize("tenant_id", ["", "a/b", "../x", "a b", "a\n", "ü", "x" * 65])
def test_a_tenant_id_that_could_leave_its_path_segment_names_no_key(tenant_id: str) -> None:
    with pytest.raises(ValueError, match="tenant id"):
        kek_name(tenant_id)
