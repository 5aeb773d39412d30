"""Rotating tenants' keys on a real OpenBao while secrets are opened and stored."""

from __future__ import annotations

import dataclasses
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select
from typer.testing import CliRunner

from meetbot.cli import app
from meetbot.errors import SecretUnreadable, VaultError
from meetbot.settings import load_settings
from meetbot.storage.calendar_user_context import load_context
from meetbot.storage.database import Database, create_database
from meetbot.storage.refresh_tokens import store_rotated
from meetbot.storage.sealed_secrets import SEALED_PLACES, StoredKey, move_key
from meetbot.storage.tables import CalendarUser, WebhookEndpoint
from meetbot.tenants.create import create_tenant
from meetbot.tenants.key_rotation import KeyReport, KeyRotation, RotationStep
from meetbot.vault.client import TokenAuth, Vault
from meetbot.vault.sealing import TokenOwner, refresh_token_binding, seal_refresh_token, seal_with
from meetbot.vault.setup import Principal
from meetbot.webhooks.endpoint_secrets import sealed_secret, secret_binding, stored_secret
from tests.stack import VaultService

pytestmark = pytest.mark.stack

_numbers = itertools.count(1)


@dataclasses.dataclass(frozen=True, slots=True)
class Keys:
    """A tenant with sealed secrets, and a vault for each principal."""

    database: Database
    vaults: dict[Principal, Vault]
    tenant_id: str

    @property
    def worker(self) -> Vault:
        return self.vaults[Principal.WORKER]

    def step(self, step: RotationStep, tenant_id: str | None = None, **options: Any) -> KeyReport:
        (report,) = self.steps(step, tenant_id or self.tenant_id, **options)
        return report

    def steps(self, step: RotationStep, tenant_id: str | None, **options: Any) -> list[KeyReport]:
        principal = Principal.TRIMMER if step is RotationStep.TRIM else Principal.ROTATOR
        settled = {"settling": timedelta()} | options
        return list(KeyRotation(self.database, self.vaults[principal], **settled).run(step, tenant_id))

    def add_user(self, name: str) -> str:
        owner = TokenOwner(self.tenant_id, f"cu_{name}", "google", f"subject-{name}", 1)
        sealed = seal_refresh_token(
            self.worker.new_data_key(self.tenant_id), f"token-{name}", refresh_token_binding("eu", owner)
        )
        with self.database.transaction(self.tenant_id) as session:
            session.add(
                CalendarUser(
                    tenant_id=self.tenant_id,
                    id=owner.calendar_user_id,
                    provider="google",
                    subject=owner.subject,
                    customer_user_id=name,
                    email=f"{name}@acme.test",
                    state="active",
                    state_changed_at=datetime.now(UTC),
                    kek_version=sealed.kek_version,
                    wrapped_key=sealed.wrapped_key,
                    refresh_ciphertext=sealed.nonce_and_ciphertext,
                )
            )
        return owner.calendar_user_id

    def add_endpoint(self, endpoint_id: str, *secrets: str) -> None:
        binding = secret_binding("eu", self.tenant_id, endpoint_id)
        stored = [
            stored_secret(
                seal_with(self.worker.new_data_key(self.tenant_id), secret.encode(), binding), datetime.now(UTC)
            )
            for secret in secrets
        ]
        with self.database.transaction(self.tenant_id) as session:
            session.add(
                WebhookEndpoint(
                    tenant_id=self.tenant_id, id=endpoint_id, url="https://example.com/hook", secrets=stored
                )
            )

    def open_token(self, user_id: str) -> str:
        """Open as a worker does that has no data key in memory."""
        with self.database.transaction(self.tenant_id) as session:
            user = load_context(session, self.tenant_id, user_id)
        assert user is not None
        self.worker.forget_tenant(self.tenant_id)
        binding = refresh_token_binding("eu", user.token_owner)
        return self.worker.open(self.tenant_id, user.sealed_refresh_token, binding).decode()

    def open_endpoint(self, endpoint_id: str) -> list[str]:
        with self.database.transaction(self.tenant_id) as session:
            stored = session.get_one(WebhookEndpoint, (self.tenant_id, endpoint_id)).secrets
        self.worker.forget_tenant(self.tenant_id)
        binding = secret_binding("eu", self.tenant_id, endpoint_id)
        return [
            self.worker.open(self.tenant_id, sealed_secret(self.tenant_id, secret), binding).decode()
            for secret in stored
        ]

    def store_new_token(self, user_id: str, token: str) -> None:
        """Store a rotated refresh token as a refresh does."""
        with self.database.transaction(self.tenant_id) as session:
            user = load_context(session, self.tenant_id, user_id)
        assert user is not None
        owner = dataclasses.replace(user.token_owner, token_version=user.token_version + 1)
        key = self.worker.new_data_key(self.tenant_id)
        sealed = seal_refresh_token(key, token, refresh_token_binding("eu", owner))
        with self.database.transaction(self.tenant_id) as session:
            store_rotated(session, self.tenant_id, user_id, sealed, replaces=user.token_version)

    def versions(self) -> set[int]:
        """The versions that wrap the stored secrets."""
        with self.database.transaction(self.tenant_id) as session:
            users = set(session.exec(select(CalendarUser.kek_version)))
            endpoints = session.exec(select(WebhookEndpoint)).all()
            return users | {secret["kek_version"] for endpoint in endpoints for secret in endpoint.secrets}


@pytest.fixture
def keys(fresh_database: str, vault_service: VaultService) -> Iterator[Keys]:
    database = create_database(fresh_database)
    vaults = {
        principal: Vault(vault_service.address, TokenAuth(vault_service.tokens.of(principal)))
        for principal in Principal
    }
    tenant_id, _ = create_tenant(database, vaults[Principal.PROVISIONER], f"Tenant {next(_numbers)}", "eu")
    with closing(database):
        yield Keys(database, vaults, tenant_id)
    for vault in vaults.values():
        vault.close()


@contextmanager
def repeating(action: Callable[[], object]) -> Iterator[list[str]]:
    """Run the action over and over in a thread; gives a list of how each run went."""
    outcomes: list[str] = []
    stopped = threading.Event()

    def repeat() -> None:
        while not stopped.is_set():
            try:
                action()
            except Exception as error:
                outcomes.append(repr(error))
            else:
                outcomes.append("ok")

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield outcomes
    finally:
        stopped.set()
        thread.join(timeout=60)


def wait_for_more(outcomes: list[str], number: int) -> None:
    enough, deadline = len(outcomes) + number, time.monotonic() + 60
    while len(outcomes) < enough:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_every_secret_opens_at_every_moment_of_rotations_and_rewraps(keys: Keys) -> None:
    users = [keys.add_user(f"{number}") for number in range(12)]
    keys.add_endpoint("whe_1", "whsec_new", "whsec_old")
    turn = itertools.count()
    renewed = keys.add_user("renewed")

    def open_all() -> None:
        for user in users:
            assert keys.open_token(user) == f"token-{user.removeprefix('cu_')}"
        assert keys.open_endpoint("whe_1") == ["whsec_new", "whsec_old"]
        assert keys.open_token(renewed).startswith("token-")

    with (
        repeating(open_all) as opened,
        repeating(lambda: keys.store_new_token(renewed, f"token-{next(turn)}")) as stored,
    ):
        for _ in range(3):
            keys.step(RotationStep.ROTATE)
            keys.step(RotationStep.REWRAP)
            wait_for_more(opened, 2)
        # What was sealed with a key from before the last rotation may have been stored after the rewrap.
        keys.step(RotationStep.REWRAP)
    assert set(opened) == set(stored) == {"ok"}
    assert keys.versions() == {4}


def test_after_the_trim_an_old_copy_of_the_row_opens_no_more(keys: Keys) -> None:
    user = keys.add_user("ada")
    keys.add_endpoint("whe_1", "whsec_1")
    with keys.database.transaction(keys.tenant_id) as session:
        copy = load_context(session, keys.tenant_id, user)
    assert copy is not None
    keys.step(RotationStep.ROTATE)
    rewrapped = keys.step(RotationStep.REWRAP)
    keys.worker.forget_tenant(keys.tenant_id)
    binding = refresh_token_binding("eu", copy.token_owner)
    assert keys.worker.open(keys.tenant_id, copy.sealed_refresh_token, binding) == b"token-ada"
    trimmed = keys.step(RotationStep.TRIM)
    keys.worker.forget_tenant(keys.tenant_id)
    with pytest.raises(SecretUnreadable):
        keys.worker.open(keys.tenant_id, copy.sealed_refresh_token, binding)
    assert (keys.open_token(user), keys.open_endpoint("whe_1")) == ("token-ada", ["whsec_1"])
    assert (rewrapped.rewrapped, rewrapped.outdated) == (2, 0)
    assert (trimmed.newest_version, trimmed.oldest_version, trimmed.failure_code) == (2, 2, None)


@pytest.mark.parametrize("place", [place.table for place in SEALED_PLACES])
def test_the_trim_refuses_while_any_table_has_an_older_version(keys: Keys, place: str) -> None:
    user = keys.add_user("ada")
    if place == "webhook_endpoint":
        keys.step(RotationStep.ROTATE)
        keys.step(RotationStep.REWRAP)
        keys.add_endpoint("whe_1", "whsec_1")
    keys.step(RotationStep.ROTATE)
    if place == "webhook_endpoint":
        keys.store_new_token(user, "token-ada")
    refused = keys.step(RotationStep.TRIM)
    assert (refused.failure_code, keys.open_token(user)) == ("rows_outdated", "token-ada")
    assert refused.next_step == f"run `meetbot vault rewrap {keys.tenant_id}` first"


def test_a_row_that_changed_after_it_was_read_is_left_alone(keys: Keys) -> None:
    user = keys.add_user("ada")
    keys.add_endpoint("whe_1", "whsec_1")
    rows = {"calendar_user": user, "webhook_endpoint": "whe_1"}
    for place in SEALED_PLACES:
        row_id = rows.get(place.table, "none")
        with keys.database.transaction(keys.tenant_id) as session:
            read_before = StoredKey(row_id, "vault:v1:another")
            assert not move_key(session, place, keys.tenant_id, read_before, wrapped_key="vault:v2:x", version=2)
    assert (keys.open_token(user), keys.open_endpoint("whe_1")) == ("token-ada", ["whsec_1"])


def test_more_secrets_than_a_batch_holds_are_all_moved(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meetbot.tenants.key_rotation.BATCH", 3)
    users = [keys.add_user(f"{number}") for number in range(7)]
    keys.add_endpoint("whe_1", "a", "b", "c", "d")
    keys.step(RotationStep.ROTATE)
    assert keys.step(RotationStep.REWRAP).rewrapped == 11
    assert keys.versions() == {2}
    assert [keys.open_token(user) for user in users] == [f"token-{number}" for number in range(7)]
    assert keys.open_endpoint("whe_1") == ["a", "b", "c", "d"]


def test_a_data_key_that_is_damaged_is_told_and_holds_up_no_other(keys: Keys) -> None:
    damaged, whole = keys.add_user("a-damaged"), keys.add_user("whole")
    with keys.database.transaction(keys.tenant_id) as session:
        session.get_one(CalendarUser, (keys.tenant_id, damaged)).wrapped_key = "vault:v1:AAAA"
    keys.step(RotationStep.ROTATE)
    report = keys.step(RotationStep.REWRAP)
    assert (report.rewrapped, report.unreadable, report.outdated) == (1, 1, 1)
    assert keys.open_token(whole) == "token-whole"
    assert keys.step(RotationStep.TRIM).failure_code == "rows_outdated"


def test_the_trim_waits_for_secrets_that_are_under_way_since_the_rotation(keys: Keys) -> None:
    waited: list[float] = []
    keys.step(RotationStep.TRIM, settling=timedelta(minutes=1), pause=waited.append)
    assert waited == []
    keys.step(RotationStep.ROTATE)
    keys.step(RotationStep.TRIM, settling=timedelta(minutes=1), pause=waited.append)
    (seconds,) = waited
    assert 0 < seconds <= 60


def test_one_tenant_that_fails_stops_no_other(keys: Keys) -> None:
    with keys.database.transaction("ten_0") as session:
        session.connection().exec_driver_sql(
            "insert into tenant (id, name, region, internal_domains, "
            "redirect_origins, revoked_grace_hours, bot_display_name) values ('ten_0', 'Without a key', 'eu', "
            "'[]', '[]', 24, 'Notetaker')"
        )
    reports = {report.tenant_id: report.failure_code for report in keys.steps(RotationStep.ROTATE, None)}
    assert reports == {"ten_0": "vault_refused", keys.tenant_id: None}
    assert keys.step(RotationStep.ROTATE, "../x").failure_code == "invalid_tenant_id"


def test_the_command_line_rotates_rewraps_and_trims_all_tenants(
    keys: Keys, fresh_database: str, vault_service: VaultService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.add_user("ada")
    monkeypatch.setenv("DATABASE_URL", fresh_database)
    monkeypatch.setenv("VAULT_ADDR", vault_service.address)
    shown = {}
    for step, principal in (
        ("rotate", Principal.ROTATOR),
        ("trim", Principal.TRIMMER),
        ("rewrap", Principal.ROTATOR),
    ):
        monkeypatch.setenv("VAULT_TOKEN", vault_service.tokens.of(principal))
        load_settings.cache_clear()
        settle = ["--settle", "0"] if step == "trim" else []
        answer = CliRunner().invoke(app, ["vault", step, "--json", "--state", str(tmp_path), *settle])
        shown[step] = (answer.exit_code, json.loads(answer.stdout)["tenants"][0])
    load_settings.cache_clear()
    assert [code for code, _ in shown.values()] == [0, 1, 0]
    assert shown["rotate"][1]["newest_version"] == 2
    assert shown["trim"][1]["failure_code"] == "rows_outdated"
    assert shown["rewrap"][1]["rewrapped"] == 1


def test_the_worker_can_neither_rotate_nor_trim(keys: Keys) -> None:
    with pytest.raises(VaultError) as refused:
        KeyRotation(keys.database, keys.worker).rotate(keys.tenant_id)
    assert refused.value.code == "vault_denied"
