"""Getting an access token takes no longer than the caller has time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from meetbot.calendars import access_tokens as access_tokens_module
from meetbot.calendars.access_tokens import AccessTokens
from meetbot.calendars.oauth_clients import OAuthClients
from meetbot.calendars.provider_waits import ProviderWaits
from meetbot.calendars.refresh_lease import RefreshLease, RefreshLeases
from meetbot.domain.event import Provider
from meetbot.errors import AccessTokenRejected, OperatorRequired, RetryLater, SecretUnreadable, VaultUnavailable
from meetbot.providers.base import CalendarProvider, OAuthClient, TokenGrant
from meetbot.providers.http import Deadline
from meetbot.storage.calendar_user_context import CalendarUserContext
from meetbot.storage.database import Database
from meetbot.storage.refresh_tokens import StoredToken
from meetbot.vault.client import Vault
from meetbot.vault.sealing import DataKey, SealedSecret, TokenOwner

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@dataclass
class Login:
    """A token endpoint: it says how long it was given, and answers once ``open`` is set."""

    given: list[float] = field(default_factory=list)
    noted: list[CalendarUserContext] = field(default_factory=list)
    asked: threading.Event = field(default_factory=threading.Event)
    open: threading.Event = field(default_factory=threading.Event)

    def refresh(self, client: OAuthClient, refresh_token: str, *, timeout_seconds: float) -> TokenGrant:
        self.given.append(timeout_seconds)
        self.asked.set()
        assert self.open.wait(timeout=30)
        token = f"access-{len(self.given)}"
        return TokenGrant(token, NOW + timedelta(hours=1), "refresh", frozenset(), None, None)


class OpenVault:
    def open(self, *_: Any) -> bytes:
        return b"refresh"

    def new_data_key(self, tenant_id: str) -> DataKey:
        return DataKey(b"0" * 32, "wrapped", "tenant-ten_1", 1)


class FreeLeases:
    """Leases that no other process holds, and a store that takes nothing."""

    @contextmanager
    def hold(self, tenant_id: str, calendar_user_id: str, deadline: Deadline) -> Iterator[RefreshLease]:
        token = StoredToken(VERSIONS.get(calendar_user_id, 1), 1, None, cast(SealedSecret, None))
        yield RefreshLease(tenant_id, calendar_user_id, "holder", token, Deadline(25))

    def is_newer(self, lease: RefreshLease) -> bool:
        return False


VERSIONS: dict[str, int] = {}


OWNER = TokenOwner("ten_1", "cu_1", Provider.GOOGLE, "subject-1", 1)


@dataclass(frozen=True)
class User:
    tenant_id: str = "ten_1"
    id: str = "cu_1"
    provider: Provider = Provider.GOOGLE
    token_version: int = 1
    sealed_refresh_token: None = None
    token_owner: TokenOwner = OWNER
    oauth_client_id: str | None = None
    not_before: datetime | None = None
    asked_at: datetime | None = None


USER = cast(CalendarUserContext, User())


def clients(provider: Provider) -> OAuthClients:
    ours = {provider: OAuthClient(provider, "id", "secret")}
    return OAuthClients(cast(Database, None), OpenVault(), ours, "eu", lambda *_: None)


def access_tokens(login: Login) -> AccessTokens:
    return AccessTokens(
        leases=cast(RefreshLeases, FreeLeases()),
        vault=cast(Vault, OpenVault()),
        providers={Provider.GOOGLE: cast(CalendarProvider, login)},
        clients=clients(Provider.GOOGLE),
        region="eu",
        clock=lambda: NOW,
        note_use=login.noted.append,
        waits=ProviderWaits(cast(Database, None), lambda: NOW),
    )


def test_a_refresh_gets_no_more_time_than_is_left() -> None:
    login = Login()
    login.open.set()
    assert access_tokens(login).call(USER, lambda token: token, deadline=Deadline(3)) == "access-1"
    assert login.given[0] <= 3


def test_only_a_refresh_that_opens_the_token_is_noted() -> None:
    login = Login()
    login.open.set()
    tokens = access_tokens(login)
    for _ in range(3):
        tokens.call(USER, lambda token: token)
    assert login.noted == [USER]


def test_a_call_without_time_left_does_not_wait_for_another_refresh() -> None:
    login = Login()
    tokens = access_tokens(login)
    slow = threading.Thread(target=tokens.call, args=(USER, lambda token: token))
    slow.start()
    assert login.asked.wait(timeout=30)
    with pytest.raises(RetryLater) as refused:
        tokens.call(USER, lambda token: token, deadline=Deadline(0.01))
    login.open.set()
    slow.join(timeout=30)
    assert refused.value.code == "token_refresh_slow"


def test_a_token_that_is_good_is_had_at_once_while_its_grant_is_being_proved() -> None:
    """A bot that is due does not wait for a login that hangs."""
    login = Login()
    login.open.set()
    tokens = access_tokens(login)
    tokens.call(USER, lambda token: token)
    login.open.clear()
    login.asked.clear()
    proof = threading.Thread(
        target=tokens.call, args=(USER, lambda token: token), kwargs={"given_within": timedelta(0)}
    )
    proof.start()
    assert login.asked.wait(timeout=30)
    assert tokens.call(USER, lambda token: token, deadline=Deadline(0.01)) == "access-1"
    login.open.set()
    proof.join(timeout=30)
    assert tokens.call(USER, lambda token: token) == "access-2"


def test_a_login_that_asks_for_a_wait_while_a_grant_is_proved_is_left_alone() -> None:
    now = [NOW]

    class LoopingLogin(Login):
        def refresh(self, client: OAuthClient, refresh_token: str, *, timeout_seconds: float) -> TokenGrant:
            if self.given:
                self.given.append(timeout_seconds)
                raise RetryLater("login_loop", "too often", retry_after=timedelta(minutes=30))
            return super().refresh(client, refresh_token, timeout_seconds=timeout_seconds)

    login = LoopingLogin()
    login.open.set()
    tokens = access_tokens(login)
    tokens._clock = lambda: now[0]
    for minutes in (0, 5, 10, 30):
        now[0] = NOW + timedelta(minutes=minutes)
        assert tokens.call(USER, lambda token: token, given_within=timedelta(minutes=2)) == "access-1"
    # The first one, and one proof that was refused.
    assert len(login.given) == 2


def test_a_token_that_is_rejected_is_refreshed_once_and_no_more() -> None:
    login = Login()
    login.open.set()
    seen: list[str] = []

    def rejecting(token: str) -> str:
        seen.append(token)
        raise AccessTokenRejected("access_token_rejected", "no")

    with pytest.raises(AccessTokenRejected):
        access_tokens(login).call(USER, rejecting)
    assert seen == ["access-1", "access-2"]


@pytest.mark.parametrize("provider", list(Provider))
def test_a_token_is_not_used_while_no_key_can_be_had_for_the_next_one(provider: Provider) -> None:
    class SealedVault(OpenVault):
        def new_data_key(self, tenant_id: str) -> DataKey:
            raise VaultUnavailable("vault_unreachable", "stands still")

    login = Login()
    login.open.set()
    tokens = access_tokens(login)
    tokens._providers = {provider: cast(CalendarProvider, login)}
    tokens._clients = clients(provider)
    tokens._vault = cast(Vault, SealedVault())
    with pytest.raises(VaultUnavailable):
        tokens.call(cast(CalendarUserContext, User(provider=provider)), lambda token: token)
    assert login.given == []


def test_no_refresh_token_stays_in_memory() -> None:
    login = Login()
    login.open.set()
    tokens = access_tokens(login)
    tokens.call(USER, lambda token: token)
    (kept,) = tokens._tokens.values()
    assert astuple(kept) == (1, "access-1", NOW + timedelta(hours=1), NOW)


def test_a_full_cache_evicts_the_token_unused_for_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_tokens_module, "_CACHED_TOKENS", 2)
    login = Login()
    login.open.set()
    tokens = access_tokens(login)
    for user_id in ("cu_1", "cu_2", "cu_1", "cu_3"):
        tokens.call(cast(CalendarUserContext, User(id=user_id)), lambda token: token)
    assert [user_id for _, user_id in tokens._tokens] == ["cu_1", "cu_3"]


def test_a_token_of_before_a_reconnect_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    login = Login()
    login.open.set()
    tokens = access_tokens(login)
    tokens.call(USER, lambda token: token)
    monkeypatch.setitem(VERSIONS, "cu_1", 2)
    assert tokens.call(cast(CalendarUserContext, User(token_version=2)), lambda token: token) == "access-2"
    tokens.forget("ten_1", "cu_1")
    assert not list(tokens._tokens.values())


def test_a_refresh_token_that_does_not_open_is_for_the_operator() -> None:
    class SealedVault(OpenVault):
        def open(self, *_: Any) -> bytes:
            raise SecretUnreadable("secret_unreadable", "no")

    tokens = access_tokens(Login())
    tokens._vault = cast(Vault, SealedVault())
    with pytest.raises(OperatorRequired) as caught:
        tokens.call(USER, lambda token: token)
    assert (caught.value.code, bool(caught.value.next_step)) == ("secret_unreadable", True)
