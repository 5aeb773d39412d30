"""Refreshing: by one process at a time, and no new refresh token is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from activities.services import Services
from activities.wiring import build_services
from meetbot.calendars import refresh_lease
from meetbot.domain.event import Provider
from meetbot.errors import ReconnectRequired, RetryLater, VaultUnavailable
from meetbot.providers.http import Deadline
from meetbot.storage.calendar_user_context import CalendarUserContext, load_context
from meetbot.storage.calendar_users import GivenConsent, renew_calendar_user
from meetbot.storage.tables import CalendarUser
from meetbot.vault.sealing import SealedSecret, SecretBinding, refresh_token_binding, seal_refresh_token
from tests.integration.meetings import BOTH
from tests.integration.test_crashes import worker_environment
from tests.rig import Rig
from tests.stack import VaultService

pytestmark = pytest.mark.stack


def connected(rig: Rig, provider: Provider) -> str:
    user = rig.connect(rig.sandbox.account("ada@acme.test", provider), provider)
    rig.sync(user)
    rig.services.tokens.forget(rig.tenant_id, user)
    return user


def context(rig: Rig, user: str) -> CalendarUserContext:
    with rig.read() as session:
        found = load_context(session, rig.tenant_id, user)
    assert found is not None
    return found


def replace_at_each_refresh(rig: Rig) -> None:
    """The old refresh token is dead once the new one is given."""
    rig.sandbox.post("/control/behaviour", {"refresh_rotation": "replace"})


def token_of(services: Services, user: CalendarUserContext) -> str:
    return services.tokens.call(user, lambda token: token)


def wrap_refresh(
    rig: Rig, provider: Provider, monkeypatch: pytest.MonkeyPatch, around: Callable[[Callable[[], Any]], Any]
) -> None:
    real = rig.services.providers[provider].refresh
    monkeypatch.setattr(
        rig.services.providers[provider],
        "refresh",
        lambda *given, **options: around(lambda: real(*given, **options)),
        raising=False,
    )


def test_a_refusal_right_after_a_refresh_is_of_the_token_that_it_brought(rig: Rig) -> None:
    """Hourly polls refresh each time: one that needs an unchanged token would never count."""
    user = connected(rig, Provider.MICROSOFT)
    body = {"error": {"code": "Authorization_RequestDenied", "message": "no"}}
    rig.sandbox.fault(path="/microsoft/v1.0", status=403, body=body)
    assert rig.sync(user).state == "needs_reconnect"


@BOTH
def test_a_new_token_outlives_a_database_that_fails_just_then(
    rig: Rig, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = connected(rig, provider)
    replace_at_each_refresh(rig)
    with monkeypatch.context() as patched:
        patched.setattr(refresh_lease, "store_and_end", failing_store)
        patched.setattr(refresh_lease, "pause", lambda _seconds: None)
        with pytest.raises(RetryLater) as failed:
            rig.sync(user)
        assert failed.value.code == "token_not_stored"
    let_the_lease_end(rig, user)
    assert rig.sync(user).state == "active"


def failing_store(*_: Any, **__: Any) -> int:
    raise OperationalError("update", {}, Exception("the database is gone"))


def let_the_lease_end(rig: Rig, user: str) -> None:
    """Let half a minute pass on the database's clock."""
    with rig.database.transaction(rig.tenant_id) as session:
        session.execute(
            text("update calendar_user set refresh_held_until = now() - interval '1 second' where id = :id"),
            {"id": user},
        )


@BOTH
def test_no_token_is_spent_while_the_next_one_could_not_be_sealed(
    rig: Rig, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = connected(rig, provider)
    replace_at_each_refresh(rig)

    def sealed(_tenant_id: str) -> Any:
        raise VaultUnavailable("vault_unreachable", "stands still")

    with monkeypatch.context() as patched:
        patched.setattr(rig.vault, "new_data_key", sealed)
        with pytest.raises(VaultUnavailable):
            rig.sync(user)
    assert rig.sync(user).state == "active"


@BOTH
def test_a_token_that_was_replaced_is_stored_and_used_next(rig: Rig, provider: Provider) -> None:
    user = connected(rig, provider)
    replace_at_each_refresh(rig)
    for _ in range(2):
        assert rig.sync(user).state == "active"
        rig.services.tokens.forget(rig.tenant_id, user)
    assert rig.sync(user).state == "active"


@BOTH
def test_two_processes_never_refresh_one_token_at_once(
    rig: Rig, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one asks only after the first has stored what it got, and with that."""
    user = context(rig, connected(rig, provider))
    replace_at_each_refresh(rig)
    other = build_services(rig.settings, rig.services.database, rig.vault, clock=rig.clock)
    under_way, waits, log = threading.Event(), threading.Event(), list[str]()

    def slow(refresh: Callable[[], Any]) -> Any:
        log.append("first asks")
        under_way.set()
        assert waits.wait(timeout=60)
        answer = refresh()
        log.append("first is answered")
        return answer

    def wait(_seconds: float) -> None:
        log.append("second waits")
        waits.set()
        first.join(timeout=60)

    wrap_refresh(rig, provider, monkeypatch, slow)
    monkeypatch.setattr(refresh_lease, "pause", wait)
    first = threading.Thread(target=token_of, args=(rig.services, user))
    first.start()
    assert under_way.wait(timeout=60)
    assert token_of(other, user)
    other.close()
    assert log == ["first asks", "second waits", "first is answered"]


def test_a_refresh_that_holds_too_long_is_waited_for_no_longer_than_the_caller_can(rig: Rig) -> None:
    user = connected(rig, Provider.GOOGLE)
    with rig.database.transaction(rig.tenant_id) as session:
        session.execute(
            text(
                "update calendar_user set refresh_holder = 'another', refresh_held_until = now() + interval '1 hour' "
                "where id = :id"
            ),
            {"id": user},
        )
    with pytest.raises(RetryLater) as refused:
        rig.services.tokens.call(context(rig, user), lambda token: token, deadline=Deadline(0.3))
    assert refused.value.code == "token_refresh_slow"


@BOTH
def test_a_failed_refresh_lets_the_next_one_begin_at_once(rig: Rig, provider: Provider) -> None:
    user = connected(rig, provider)
    path = "/google/token" if provider is Provider.GOOGLE else "/microsoft/common/oauth2/v2.0/token"
    rig.sandbox.fault(path=path, status=503)
    with pytest.raises(RetryLater):
        rig.sync(user)
    rig.sandbox.clear_faults()
    assert rig.calendar_user(user).refresh_holder is None
    assert rig.sync(user).state == "active"


@BOTH
def test_a_grant_that_ended_while_a_newer_one_was_stored_disconnects_nobody(
    rig: Rig, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old token is refused; by then another process has stored a newer version."""
    user = connected(rig, provider)
    newer = rig.connect(rig.sandbox.account("grace@acme.test", provider), provider)
    refusals = iter([True])

    def refused_once(refresh: Callable[[], Any]) -> Any:
        if next(refusals, False):
            consent_again(rig, user, newer)
            raise ReconnectRequired("invalid_grant", "the old one has ended")
        return refresh()

    wrap_refresh(rig, provider, monkeypatch, refused_once)
    assert rig.sync(user).state == "active"
    assert rig.calendar_user(user).state == "active"


@BOTH
def test_a_process_killed_between_the_answer_and_our_commit_costs_no_connection(
    rig: Rig, provider: Provider, fresh_database: str, vault_service: VaultService
) -> None:
    user = connected(rig, provider)
    environment = worker_environment(rig, fresh_database, vault_service, "127.0.0.1:1")
    killed = subprocess.run(
        [sys.executable, "-m", "tests.integration.killed_refresh", rig.tenant_id, user],
        env={**os.environ, **environment},
        timeout=120,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert rig.calendar_user(user).refresh_holder is not None
    let_the_lease_end(rig, user)
    assert rig.sync(user).state == "active"


def consent_again(rig: Rig, user: str, other: str) -> None:
    """Store a refresh token as a new consent of the user does; here that of another user."""
    stored = context(rig, other).sealed_refresh_token
    token = rig.vault.open(rig.tenant_id, stored, binding_of(rig, other, version=1)).decode()
    with rig.database.transaction(rig.tenant_id) as session:
        row = session.get_one(CalendarUser, (rig.tenant_id, user))
        sealed = sealed_for(rig, user, token, version=row.token_version + 1)
        consent = GivenConsent(row.email, row.scopes, sealed, None)
        renew_calendar_user(session, row, consent=consent, attributes=None, now=rig.clock())


def binding_of(rig: Rig, user: str, *, version: int) -> SecretBinding:
    owner = replace(context(rig, user).token_owner, token_version=version)
    return refresh_token_binding(rig.settings.region, owner)


def sealed_for(rig: Rig, user: str, token: str, *, version: int) -> SealedSecret:
    binding = binding_of(rig, user, version=version)
    return seal_refresh_token(rig.vault.new_data_key(rig.tenant_id), token, binding)
