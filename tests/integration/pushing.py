"""An address at which the sandbox reaches us, for tests of push."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from activities.erasing import ErasingActivities
from activities.push import PushActivity
from activities.sync import SyncActivities
from activities.wiring import build_revoker
from api.app import create_app
from api.dependencies import ApiServices
from meetbot.dev.postgres import PostgresServer
from meetbot.domain.event import Provider
from meetbot.domain.push import ChannelState
from meetbot.storage.database import Database, create_database
from meetbot.storage.roles import Role
from tests.api.stand_ins import RecordingOrchestrator, StandInProvider, StandInVault
from tests.integration.test_crashes import until
from tests.rig import Rig
from tests.serving import serving
from tests.stack import url_as

PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Pushing:
    """A rig whose channels lead to a served API, which records whom it would signal."""

    rig: Rig
    orchestrator: RecordingOrchestrator

    def connected(self, email: str, provider: Provider) -> str:
        """Connect, sync and open the channels; return the calendar user once push works."""
        user = self.rig.connect(self.rig.sandbox.account(email, provider), provider)
        self.keep(user)
        self.until_verified(user)
        return user

    def keep(self, user: str) -> bool:
        """Sync as the workflow does; return whether push was due."""
        due = self.rig.sync(user).push_due
        if due:
            self.rig.ensure_push(user)
        return due

    def until_verified(self, user: str) -> None:
        until(
            lambda: all(row.verified_at for row in self.rig.channels(user) if row.state is not ChannelState.ENDING),
            seconds=PATIENCE_SECONDS,
            what="the provider reached us",
        )

    def until_signalled(self, user: str) -> None:
        until(
            lambda: any(told == user for told, _ in self.orchestrator.signals),
            seconds=PATIENCE_SECONDS,
            what="a signal to the calendar's workflow",
        )

    def at_provider(self) -> list[dict[str, object]]:
        """Return what the sandbox has, of both providers."""
        shown = self.rig.sandbox.http.get("/control/push").json()
        return [*shown["channels"], *shown["subscriptions"]]

    def play(self, **settings: object) -> None:
        """Set how the sandbox pushes."""
        self.rig.sandbox.post("/control/push/settings", settings)


@contextmanager
def open_pushing(rig: Rig, database: Database) -> Iterator[Pushing]:
    orchestrator = RecordingOrchestrator()
    services = ApiServices(
        settings=rig.settings,
        database=database,
        vault=StandInVault(),
        providers={provider: StandInProvider(provider) for provider in Provider},
        clients={},
        orchestrator=orchestrator,
    )
    with serving(create_app(rig.settings, services)) as url:
        yield Pushing(reaching(rig, url), orchestrator)


def reaching(rig: Rig, public_url: str) -> Rig:
    """Return the rig with channels that lead to this address."""
    services = replace(rig.services, push=replace(rig.services.push, public_url=public_url))
    return replace(
        rig,
        services=services,
        sync_activities=SyncActivities(services),
        push_activity=PushActivity(services),
        erasing_activities=ErasingActivities(services, build_revoker(rig.settings, services, rig.vault)),
    )


@pytest.fixture
def pushing(rig: Rig, postgres_server: PostgresServer, fresh_database: str) -> Iterator[Pushing]:
    with (
        closing(create_database(url_as(postgres_server, fresh_database, Role.API))) as database,
        open_pushing(rig, database) as opened,
    ):
        yield opened


@contextmanager
def running_api(environment: Mapping[str, str], port: int, log: Path) -> Iterator[str]:
    """Run the HTTP front as a process of its own."""
    command = [sys.executable, "-m", "uvicorn", "api.app:app", "--port", str(port), "--no-access-log"]
    with log.open("ab") as output:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=output, stderr=output)
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: _answers(url), seconds=60, what="the API")
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


def _answers(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"{url}/healthz", timeout=2, trust_env=False).status_code == 200
    return False
